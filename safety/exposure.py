"""What a conversation has read. Untrusted text, private data and a way out together are how secrets leave."""

from __future__ import annotations

from collections.abc import Callable


class Exposure:
    """Remembers the first source of each kind, for a person to read.

    One source that is both, such as an earlier session, is not yet the two together: whoever wrote what
    the model obeys must have written it somewhere else than where the private data lies.

    `tell` hears of each source that counts, with its kind ("untrusted", "private").
    """

    def __init__(self) -> None:
        self.untrusted = ""
        self.private = ""
        self.forget()

    def note_untrusted(self, source: str) -> None:
        """The model has read text that anybody may have written."""
        source = _in_a_line(source)
        if not self.untrusted:
            self.untrusted = source
            self.tell("untrusted", source)
        self._note_another("untrusted", self.untrusted, source)

    def note_private(self, source: str) -> None:
        """The model has read what nobody else should."""
        source = _in_a_line(source)
        if not self.private:
            self.private = source
            self.tell("private", source)
        self._note_another("private", self.private, source)

    def _note_another(self, kind: str, first: str, source: str) -> None:
        if source != first and not self._another[kind]:
            self._another[kind] = source
            self.tell(kind, source)

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
        self._another: dict[str, str] = {"untrusted": "", "private": ""}
        self.tell: Callable[[str, str], None] = lambda kind, source: None


def _in_a_line(source: str) -> str:
    """A name of a file may hold line ends, and stand in a question as more than it is."""
    return " ".join(source[:200].split()) or "an unknown source"
