"""`hermes -q`: one message in, the answer on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

import msgspec

from commands.exit_code import EXIT_CODES
from commands.stop_signals import StalledOutput, StopSignals, leave_now
from conversation.event import (
    Compacted,
    Event,
    HistoryRepaired,
    Notice,
    ReAsked,
    RetryScheduled,
    RolledBack,
    RoundFinished,
    Superseded,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
)  # fmt: skip
from run_agent import AIAgent
from safety.terminal_text import escape_json, neutralize

if TYPE_CHECKING:
    from commands.redacted_events import RedactedEvents
    from conversation.message import ContentPart
    from safety.redact import Redactor


class Reporter:
    """Prints the events of a one-shot run. `json_lines`: every event on stdout and nothing else.

    On a terminal the answer is shown while it is written, and each call as it begins; elsewhere the answer is
    printed once, when it stands. Events are for other programs and hold no secrets; the answer is what the
    model said.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        redactor: Callable[[], Redactor],
        *,
        json_lines: bool,
        verbose: bool,
        quiet: bool = False,
    ) -> None:
        self.out = out
        self.err = err
        self.json_lines = json_lines
        self.verbose = verbose
        self.quiet = quiet
        self._live = out.isatty() and not json_lines
        self._watched = err.isatty() and not verbose
        self._column = 0
        self._finished = False
        self._redactor = redactor
        self._clean: RedactedEvents | None = None

    def show(self, event: Event) -> None:
        if self.json_lines and not self._finished:
            self._finished = isinstance(event, TurnFinished)  # the last line; what comes after is for stderr
            if self._clean is None:
                from commands.redacted_events import RedactedEvents

                self._clean = RedactedEvents(self._redactor())
            for each in self._clean(event):
                self._write(json_line(each))
            return
        if self._live and isinstance(event, TextDelta):
            self._write(neutralize(event.text))
            return
        if isinstance(event, TurnFinished):
            self._finish(event)
            return
        if isinstance(event, RoundFinished):
            self._end_line()
        if self._watched and isinstance(event, ToolStarted):
            line = f"  {event.name}  {event.preview}".rstrip()
        else:
            line = describe(event, self.verbose)
        if line and not self.quiet:
            self._end_line()
            print(neutralize(line), file=self.err, flush=True)

    def _finish(self, event: TurnFinished) -> None:
        if event.text and not self._live:
            self._write(event.text)
        self._end_line()
        if event.outcome != "done":
            print(neutralize(f"hermes: {outcome_line(event)}"), file=self.err, flush=True)

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()
        self._column = 0 if text.endswith("\n") else 1

    def _end_line(self) -> None:
        if self._column:
            self._write("\n")


def json_line(event: Event) -> str:
    """The event as JSON, also harmless to show. Lone surrogates, which JSON cannot hold, become "?"."""
    try:
        return escape_json(msgspec.json.encode(event).decode()) + "\n"
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(event), ensure_ascii=False)
        return escape_json(text.encode("utf-8", "replace").decode()) + "\n"


def describe(event: Event, verbose: bool) -> str:
    """One line for stderr, "" for what is not worth one."""
    match event:
        case RetryScheduled():
            count = f"{event.attempt} of {event.attempts}"
            return f"hermes: {event.reason}; trying again in {event.wait:.1f} s ({count})"
        case Superseded(text=text) if text:
            return f"hermes: an answer of {len(text)} characters does not count: {event.reason}"
        case ReAsked():
            count = f"{event.number} of {event.limit}"
            return f"hermes: unusable answer, asking again ({count}): {_short(event.reason)}"
        case RolledBack():
            return f"hermes: went back to before the unusable answers ({event.entries} entries)"
        case Compacted():
            return f"hermes: summarised {event.entries} messages: {event.before:,} -> {event.after:,} tokens"
        case HistoryRepaired():
            return f"hermes: the history was mended: {'; '.join(event.problems[:3])}"
        case Notice():
            return f"hermes: {event.text}"
        case ToolFinished(status="denied"):
            return f"hermes: {event.name} was {_short(_error_of(event.content), 400)}"
        case ToolFinished() if verbose:
            return f"  {event.name} ({event.status}, {event.seconds:.1f} s)"
    return ""


def outcome_line(event: TurnFinished) -> str:
    reason = event.reason or event.outcome
    return f"{reason}. {event.hint[:1].upper()}{event.hint[1:]}" if event.hint else reason


async def run_one_shot(
    agent: AIAgent, question: str | list[ContentPart], report: Callable[[Event], None]
) -> int:
    """Ask, print, close; returns the exit code. SIGINT interrupts in good order, a second one at once."""
    code = EXIT_CODES["failed"]
    stop = StopSignals(agent.interrupt)
    for notice in agent.opening_notices:
        report(Notice(notice, "warning"))
    try:
        async with contextlib.aclosing(agent.events(question)) as events:
            async for event in events:
                with stop.writing():
                    report(event)
                if isinstance(event, TurnFinished):
                    code = EXIT_CODES[event.outcome]
    except StalledOutput:
        code = 128 + stop.number
    finally:
        for problem in await agent.aclose():
            with contextlib.suppress(StalledOutput), stop.writing():
                report(Notice(problem, "warning"))
    if stop.number:
        leave_now(128 + stop.number)
    return code


def read_question(text: str) -> str:
    """`-` means: all of stdin. Bytes that are not UTF-8 are replaced, not refused."""
    given = sys.stdin.buffer.read() if text == "-" else text.encode("utf-8", "surrogateescape")
    return given.decode("utf-8", "replace")


def _short(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _error_of(content: str) -> str:
    try:
        return str(msgspec.json.decode(content).get("error", content))
    except (msgspec.DecodeError, AttributeError):
        return content
