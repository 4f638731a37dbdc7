"""What is going on now: the few lines above the input line, and the words of the status line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prompt_toolkit.utils import get_cwidth

from repl.kawaii import PLAIN_VERBS, Kawaii, Mood
from safety.terminal_text import stand_in

if TYPE_CHECKING:
    from repl.surface import Fragments

PLAIN_SPINNER = "✻"


class RunningTool:
    """`started` is of time.monotonic()."""

    def __init__(self, name: str, preview: str) -> None:
        self.name = name
        self.preview = preview
        self.started = time.monotonic()
        self.last_line = ""


class Live:
    """State of the running turn as it is shown. Times are of time.monotonic()."""

    def __init__(self, kawaii: Kawaii) -> None:
        self.kawaii = kawaii
        self.started: float | None = None
        self.mood: Mood = "waiting"
        self.tail = ""
        self.thought = ""
        self.writing_call = ""
        self.tools: dict[str, RunningTool] = {}
        self.retry_at = 0.0
        self.retry_text = ""
        self.hint = ""
        self.asking = ""
        self.queued: list[str] = []

    def begin(self) -> None:
        self.started = time.monotonic()
        self.kawaii.change()
        self.mood = "waiting"

    def end(self) -> None:
        self.started = None
        self.tail = self.thought = self.writing_call = self.retry_text = ""
        self.tools.clear()

    def state(self) -> str:
        """For the status line: "ready", or the verb and the seconds."""
        if self.started is None:
            return "ready"
        now = time.monotonic()
        if self.asking:
            return "waiting for your answer"
        if self.retry_text:
            return f"retrying in {max(0, round(self.retry_at - now))} s {self.retry_text}"
        verb = "running " + ", ".join(t.name for t in self.tools.values()) if self.tools else ""
        return f"{verb or PLAIN_VERBS[self.mood]} {now - self.started:.0f} s"

    def lines(self, columns: int, most: int) -> list[Fragments]:
        """At most `most` lines, none wider than `columns` cells."""
        below = self._queue_lines(columns)
        if self.hint:
            below.append([("class:warn", fit(self.hint, columns))])
        if self.asking:
            question = [[("class:ask", row)] for row in _wrapped(self.asking, columns)]
            return [*question, *below][:most]
        if self.started is None:
            return below[-most:]
        room = max(1, most - len(below))
        return [*self._work_lines(columns, room)[-room:], *below][-most:]

    def _work_lines(self, columns: int, room: int) -> list[Fragments]:
        if self.tools:
            return self._tool_lines(columns, room)
        if self.retry_text:
            return []
        if self.writing_call:
            return [[("class:dim", fit(f"  {self.writing_call}", columns))]]
        if self.tail.strip():
            return [[("", line)] for line in tail_lines(self.tail, columns, room)]
        head: Fragments = [("class:accent", fit(self._head(), columns))]
        if self.thought.strip():
            thought = [[("class:dim", line)] for line in tail_lines(self.thought, columns, room - 1)]
            return [head, *thought]
        return [head]

    def _head(self) -> str:
        seconds = time.monotonic() - (self.started or 0)
        face = self.kawaii.face(self.mood) or PLAIN_SPINNER
        return f"{face} {self.kawaii.verb(self.mood)} {seconds:.0f} s"

    def _tool_lines(self, columns: int, room: int) -> list[Fragments]:
        """A line for each call, and what it told last: below it, or behind it where there is no room."""
        lines: list[Fragments] = []
        running = list(self.tools.values())
        below = len(running) + sum(bool(tool.last_line) for tool in running) <= room
        shown = running if len(running) <= room else running[-max(1, room - 1) :]
        for tool in shown:
            lines.append(self._tool_line(tool, columns, whole=not below))
            if below and tool.last_line:
                lines.append([("class:dim", fit("  │ " + tool.last_line, columns))])
        if len(shown) < len(running):
            lines.append([("class:dim", f"  … and {len(running) - len(shown)} more")])
        return lines

    def _tool_line(self, tool: RunningTool, columns: int, *, whole: bool) -> Fragments:
        """`whole`: with what it told last."""
        preview = tool.preview
        if whole and tool.last_line:
            preview = f"{fit(preview, columns // 3)}  │ {tool.last_line}".lstrip()
        text = f"{self.kawaii.face('tool') or PLAIN_SPINNER} {tool.name}  {preview}".rstrip()
        seconds = f"  {time.monotonic() - tool.started:.0f} s"
        return [("class:accent", fit(text, columns - len(seconds))), ("class:dim", seconds)]

    def _queue_lines(self, columns: int) -> list[Fragments]:
        if not self.queued:
            return []
        more = f" (and {len(self.queued) - 1} more)" if len(self.queued) > 1 else ""
        text = fit(f"  queued: {one_line(self.queued[0])}", columns - len(more))
        return [[("class:dim", text + more)]]


def one_line(text: str) -> str:
    return " ".join(text.split())


def fit(text: str, columns: int) -> str:
    """`text` cut to `columns` cells, with … where something is missing."""
    if columns <= 1:
        return ""
    if get_cwidth(text) <= columns:
        return text
    width, kept = 0, []
    for char in text:
        width += get_cwidth(char)
        if width > columns - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def first_rows(text: str, columns: int, most: int) -> list[str]:
    """The first `most` rows of one line of text, with … where something is missing."""
    rows = _wrapped(text, columns)
    if len(rows) > most:
        rows = [*rows[: most - 1], fit(f"{rows[most - 1]} {rows[most]}", columns)]
        rows[-1] = rows[-1] if rows[-1].endswith("…") else f"{fit(rows[-1], columns - 1)}…"
    return rows


def no_answer(text: str, columns: int) -> str:
    """What is said of `text` where one of the choices was wanted."""
    told = ": none of the choices, not sent (Up brings it back)"
    return "  " + fit(one_line(stand_in(text)), max(columns - 3 - get_cwidth(told), 8)) + told


def tail_lines(text: str, columns: int, most: int) -> list[str]:
    """The last `most` lines of `text` after wrapping at `columns` cells."""
    if most < 1 or columns < 1:
        return []
    lines: list[str] = []
    for line in text[-columns * (most + 1) :].expandtabs(4).rstrip().split("\n"):
        lines += _wrapped(line, columns)
    return lines[-most:]


def wrapped(text: str, columns: int) -> str:
    """Text for the scrollback, indented by two and broken between words, so that no terminal breaks words."""
    rows = [row for line in text.split("\n") for row in _wrapped(line, max(columns - 3, 20))]
    return "\n".join(f"  {row}" if row else "" for row in rows)


def _wrapped(line: str, columns: int) -> list[str]:
    """`line` in rows of at most `columns` cells, broken at blanks where there are any."""
    rows: list[str] = []
    row, width = "", 0
    for char in line:
        cells = get_cwidth(char)
        if width + cells > columns:
            kept, blank, rest = row.rpartition(" ")
            rows.append(kept if blank and char != " " else row)
            row = rest if blank and char != " " else ""
            width = get_cwidth(row)
        if row or char != " " or not rows:
            row += char
            width += cells
    return [*rows, row]
