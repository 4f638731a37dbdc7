"""What a conversation has read. Untrusted text, private data and a way out together are how secrets leave."""

from __future__ import annotations


class Exposure:
    """Remembers the first source of each kind, for a person to read.

    One source that is both, such as an earlier session, is not yet the two together: whoever wrote what
    the model obeys must have written it somewhere else than where the private data lies.
    """

    def __init__(self) -> None:
        self.untrusted = ""
        self.private = ""
        self._another: dict[str, str] = {"untrusted": "", "private": ""}

    def note_untrusted(self, source: str) -> None:
        """The model has read text that anybody may have written."""
        source = source[:200] or "an unknown source"
        self.untrusted = self.untrusted or source
        self._note_another("untrusted", self.untrusted, source)

    def note_private(self, source: str) -> None:
        """The model has read what nobody else should."""
        source = source[:200] or "an unknown source"
        self.private = self.private or source
        self._note_another("private", self.private, source)

    def _note_another(self, kind: str, first: str, source: str) -> None:
        if source != first and not self._another[kind]:
            self._another[kind] = source

    @property
    def complete(self) -> bool:
        if not (self.untrusted and self.private):
            return False
        return self.untrusted != self.private or any(self._another.values())

    def reason(self) -> str:
        others = self.untrusted
        if others == self.private:
            others = self._another["untrusted"] or others
        return (
            f"this conversation has read private data ({self.private}) and text that others may have written "
            f"({others}), and this could send something out"
        )

    def forget(self) -> None:
        self.untrusted = self.private = ""
        self._another = {"untrusted": "", "private": ""}
