"""Turns events into finished lines (printed once) and into the live state."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Literal

from conversation import event as events
from repl.blocks import BlockSplitter
from repl.ink import Ink
from repl.live import Live, RunningTool, fit, one_line, wrapped
from repl.painter import Painter
from repl.tool_line import place_note, reason_text, result_line, result_text
from safety.terminal_text import neutralize, strip_stream

if TYPE_CHECKING:
    from settings import DisplaySettings


BROKEN_OFF = "broken off, trying again"


class Transcript:
    """One for the life of the REPL. `show(event)` is all the loop's events need.

    Everything that came from a model or a tool passes `neutralize` here before it is printed or kept
    in the live state.
    """

    def __init__(
        self, display: DisplaySettings, ink: Ink, live: Live, print_: Callable[[str], None],
        columns: Callable[[], int],
    ) -> None:  # fmt: skip
        self.ink = ink
        self.live = live
        self.verbose = display.verbose
        self.reasoning = display.reasoning
        self.painter = Painter(ink, display.markdown)
        self.last_answer = ""
        self.last_thought = ""
        self._print = print_
        self._columns = columns
        self._splitter = BlockSplitter()
        self._thinking_since: float | None = None
        self._thought = ""
        self._spoken = False
        self._told_retry = ""
        self._above: Literal["person", "text", "line"] = "person"

    def person_spoke(self) -> None:
        """A line of the person's stands above what comes next."""
        self._above = "person"

    @singledispatchmethod
    def show(self, event: events.Event) -> None:
        """Events without a picture of their own are passed over."""

    @show.register
    def _request(self, event: events.RequestStarted) -> None:
        self._spoken = False
        self._mood("waiting")

    @show.register
    def _text(self, event: events.TextDelta) -> None:
        self._end_thought()
        self._mood("writing")
        self._spoken = self._spoken or not event.text.isspace()
        blocks = self._splitter.feed(event.text)
        # First out of the live lines, then into the scrollback: never in both.
        self.live.tail = neutralize(self._splitter.tail)
        for block in blocks:
            self._block(block)

    @show.register
    def _reasoning_text(self, event: events.ReasoningDelta) -> None:
        if self._thinking_since is None:
            self._thinking_since = time.monotonic()
        self._mood("thinking")
        self._thought += event.text
        if self.reasoning != "hide":
            self.live.thought = neutralize(self._thought[-2000:])

    @show.register
    def _call_text(self, event: events.ToolCallDelta) -> None:
        self._end_thought()
        self._mood("writing")
        if event.size > 400:
            self.live.writing_call = f"writing the call of {neutralize(event.name)}, {event.size} characters"

    @show.register
    def _answer(self, event: events.Answer) -> None:
        message = event.message
        if message.reasoning and not self._thought:
            self._thought, self._thinking_since = message.reasoning, time.monotonic() - message.seconds
        self._end_thought()
        if message.content.strip() and not self._spoken:
            self._text(events.TextDelta(message.content))
        self._end_text()

    @show.register
    def _round(self, event: events.RoundFinished) -> None:
        self._end_text()
        if event.message.content.strip():
            self.last_answer = event.message.content

    @show.register
    def _tool_started(self, event: events.ToolStarted) -> None:
        self._end_text()
        preview = one_line(neutralize(event.preview))
        self.live.tools[event.call_id] = RunningTool(neutralize(event.name), preview)
        if self.verbose:
            call = f"→ {neutralize(event.name)} {clip(neutralize(event.arguments), 40)}"
            self._line(self.ink(indent(call), "dim"))

    @show.register
    def _tool_output(self, event: events.ToolOutput) -> None:
        tool = self.live.tools.get(event.call_id)
        lines = neutralize(strip_stream(event.text[-4000:])).splitlines()
        if tool and lines:
            tool.last_line = next((line for line in reversed(lines) if line.strip()), tool.last_line)

    @show.register
    def _tool_finished(self, event: events.ToolFinished) -> None:
        tool = self.live.tools.pop(event.call_id, None)
        preview = tool.preview if tool else ""
        lines = [result_line(event, preview, self.ink, self._columns())]
        if not self.verbose and (reason := reason_text(event, self._columns())):
            lines.append(self.ink(reason, "dim"))
        if not self.verbose and (note := place_note(event.content)):
            lines.append(self.ink(wrapped("  " + one_line(neutralize(note)), self._columns()), "yellow"))
        if event.display is not None and event.display.kind == "diff":
            lines.append(self.painter.diff(neutralize(event.display.text)))
        elif event.display is not None and event.display.text.strip():
            lines.append(indent(clip(neutralize(event.display.text), 20)))
        if self.verbose and event.display is None:
            lines.append(self.ink(indent(clip(neutralize(result_text(event.content)), 40)), "dim"))
        self._line("\n".join(lines))

    @show.register
    def _retry(self, event: events.RetryScheduled) -> None:
        reason = one_line(neutralize(event.reason))
        self.live.retry_at = time.monotonic() + event.wait
        self.live.retry_text = f"({event.attempt} of {event.attempts}): {reason}"
        if reason != self._told_retry:
            self._told_retry = reason
            self._line(self.ink(fit(f"  ! {reason}", 2 * self._columns()), "yellow"))

    @show.register
    def _superseded(self, event: events.Superseded) -> None:
        self._end_thought()
        self._end_text()
        self._spoken = False
        cause = event.reason.removeprefix(BROKEN_OFF).strip(" :")
        self._note(f"{BROKEN_OFF}: {cause}" if cause else BROKEN_OFF, "yellow")

    @show.register
    def _reasked(self, event: events.ReAsked) -> None:
        self._note(f"asked again ({event.number} of {event.limit}): {event.reason}", "yellow")

    @show.register
    def _rolled_back(self, event: events.RolledBack) -> None:
        self._note(f"went back to the last good round: {event.reason}", "yellow")

    @show.register
    def _compacted(self, event: events.Compacted) -> None:
        self._note(f"summarised the middle: {event.before} → {event.after} tokens", "cyan")

    @show.register
    def _repaired(self, event: events.HistoryRepaired) -> None:
        self._note("repaired the history: " + "; ".join(event.problems), "yellow")

    @show.register
    def _notice(self, event: events.Notice) -> None:
        self._end_text()
        self._note(event.text, {"info": "dim", "warning": "yellow", "error": "red"}[event.level])

    @show.register
    def _turn_finished(self, event: events.TurnFinished) -> None:
        self._end_thought()
        self._end_text()
        self._told_retry = ""
        self.live.end()
        if event.text.strip():
            self.last_answer = event.text
        if event.outcome == "interrupted":
            self._note("interrupted. What was said is kept; type to go on.", "yellow")
        elif event.outcome != "done":
            style = "red" if event.outcome in ("failed", "unavailable") else "yellow"
            self._note(f"{event.outcome}: {event.reason}", style)
            if event.hint:
                self._note(event.hint, "dim")

    def toggle_thoughts(self) -> None:
        """Unfold the last thought, and those to come; or fold them again."""
        self.reasoning = "fold" if self.reasoning == "show" else "show"
        if self.reasoning == "show" and self.last_thought:
            self._line(self.ink(indent(self.last_thought), "dim"))
            self.last_thought = ""

    def _mood(self, mood: str) -> None:
        self.live.retry_text = ""
        if mood != self.live.mood:
            self.live.mood = mood  # type: ignore[assignment]

    def _note(self, text: str, style: str) -> None:
        self._line(self.ink("  " + neutralize(text).strip(), style))

    def _line(self, text: str) -> None:
        """Lines stand close together, apart from what the model says."""
        self._print("\n" + text if self._above != "line" else text)
        self._above = "line"

    def _block(self, block: str) -> None:
        self._print("\n" + self.painter.block(neutralize(block), self._columns()))
        self._above = "text"

    def _end_text(self) -> None:
        self.live.tail = self.live.writing_call = ""
        for block in self._splitter.close():
            self._block(block)

    def _end_thought(self) -> None:
        if self._thinking_since is None:
            return
        seconds = time.monotonic() - self._thinking_since
        thought, self._thought, self._thinking_since = neutralize(self._thought).strip(), "", None
        self.live.thought = ""
        if not thought or self.reasoning == "hide":
            return
        if self.reasoning == "show" or self.verbose:
            self._line(self.ink(indent(thought), "dim"))
            return
        self.last_thought = thought
        self._line(self.ink(f"  thought for {seconds:.0f} s (Ctrl-T shows it)", "dim"))


def indent(text: str) -> str:
    return "\n".join("    " + line if line else "" for line in text.split("\n"))


def clip(text: str, most: int) -> str:
    """The first `most` lines, and how many are missing."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= most:
        return "\n".join(lines)
    return "\n".join([*lines[:most], f"… {len(lines) - most} more lines"])
