"""Where the REPL shows things and reads from, and what it hears from there. Types only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Fragments: TypeAlias = list[tuple[str, str]]
"""One line as (style, text) pairs, as prompt_toolkit draws them."""


@dataclass(slots=True)
class Question:
    """A question that is answered in the input line.

    With `keys`, one key answers: it maps each key to its answer. Enter alone answers nothing, and other
    text is refused and not sent, but for a slash command. Without `keys`, a line of text answers. `hint` is
    shown above the input line. A `hidden` answer is not shown, kept or completed while it is typed; it may
    be empty.
    """

    hint: str
    keys: dict[str, str] = field(default_factory=dict)
    hidden: bool = False


class Listener(Protocol):
    """What a surface tells the REPL, and asks of it. Nothing here blocks."""

    def submit(self, text: str) -> None:
        """Text was entered."""
        ...

    def interrupt(self) -> None:
        """Ctrl-C."""
        ...

    def leave(self) -> None:
        """End of input: Ctrl-D on an empty line, or the terminal went away."""
        ...

    def toggle_thoughts(self) -> None: ...

    def paste_picture(self) -> None:
        """The picture in the clipboard is to go into the line."""
        ...

    def live_lines(self, columns: int, most: int) -> list[Fragments]:
        """What is going on now, in at most `most` lines."""
        ...

    def status_line(self, columns: int) -> Fragments: ...


class Surface(Protocol):
    """A live screen (`repl.screen`) or a terminal that knows lines alone (`repl.line_terminal`)."""

    @property
    def columns(self) -> int: ...

    @property
    def draft(self) -> str:
        """What stands in the input line, not yet entered."""
        ...

    def clear_draft(self) -> None: ...

    def insert(self, text: str) -> None:
        """Put `text` into the input line, where the cursor stands."""
        ...

    def print(self, text: str) -> None:
        """Put finished text (SGR colours allowed, nothing else) into the scrollback, once and for good."""
        ...

    def echo(self, text: str) -> None:
        """Show a line that was entered, unless the terminal has shown it already."""
        ...

    def idle(self) -> None:
        """All that was entered is done."""
        ...

    def hint(self, text: str) -> None:
        """A passing hint, for a surface without live lines."""
        ...

    def write_control(self, sequence: str) -> None:
        """Send a control sequence of our own making (clipboard, bell)."""
        ...

    def clear(self) -> None:
        """An empty screen; the scrollback stays."""
        ...

    def changed(self) -> None:
        """Live lines or status changed; they are redrawn soon, at most ten times a second."""
        ...

    async def ask(self, question: Question, opened: Callable[[], None]) -> str:
        """Calls `opened` once keys are taken for the answer: not while the person is typing."""
        ...

    async def run(self, started: Callable[[], None]) -> None:
        """Read input until `close`; calls `started` once the person can type."""
        ...

    def close(self) -> None: ...
