"""What a conversation has read. Untrusted text, private data and a way out together are how secrets leave."""

from __future__ import annotations


class Exposure:
    """Remembers the first source of each kind, for a person to read."""

    def __init__(self) -> None:
        self.untrusted = ""
        self.private = ""

    def note_untrusted(self, source: str) -> None:
        """The model has read text that anybody may have written."""
        self.untrusted = self.untrusted or source[:200] or "an unknown source"

    def note_private(self, source: str) -> None:
        """The model has read what nobody else should."""
        self.private = self.private or source[:200] or "an unknown source"

    @property
    def complete(self) -> bool:
        return bool(self.untrusted and self.private)

    def reason(self) -> str:
        return (
            f"this conversation has read private data ({self.private}) and text that others may have written "
            f"({self.untrusted}), and this could send something out"
        )

    def forget(self) -> None:
        self.untrusted = self.private = ""
