"""Where the loop says what must be kept: a session file, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from conversation.event import Outcome
from conversation.history import Summary
from conversation.message import AssistantMessage, ToolResult, Usage, UserMessage
from trajectories.session_file import SessionWriter
from trajectories.session_record import (
    ChangeRecord,
    CompactionRecord,
    GitRecord,
    Message,
    Record,
    RollbackRecord,
    SupersededRecord,
)


class Recorder(Protocol):
    """Called in the order in which things happen, each before the next step is taken."""

    def message(self, message: UserMessage | AssistantMessage | ToolResult) -> None:
        """An answer comes before any of its calls is run: what is begun is never forgotten."""
        ...

    def superseded(self, text: str, reasoning: str, reason: str) -> None: ...

    def roll_back(self, keep: int, reason: str) -> None: ...

    def compaction(self, summary: Summary, before: int, after: int) -> None: ...

    def change(self, change: ChangeRecord) -> None: ...

    def git(self, state: GitRecord) -> None: ...

    def turn(self, outcome: Outcome, reason: str, usage: Usage, requests: int, seconds: float) -> None: ...


class NoRecorder:
    """Keeps nothing: for `--no-save`, and for rollouts, whose record is made elsewhere."""

    def message(self, message: UserMessage | AssistantMessage | ToolResult) -> None: ...

    def superseded(self, text: str, reasoning: str, reason: str) -> None: ...

    def roll_back(self, keep: int, reason: str) -> None: ...

    def compaction(self, summary: Summary, before: int, after: int) -> None: ...

    def change(self, change: ChangeRecord) -> None: ...

    def git(self, state: GitRecord) -> None: ...

    def turn(self, outcome: Outcome, reason: str, usage: Usage, requests: int, seconds: float) -> None: ...


class SessionRecorder:
    """Keeps everything in a session file. `complain` is told once when saving begins to fail."""

    def __init__(self, writer: SessionWriter, complain: Callable[[str], None]) -> None:
        self.writer = writer
        self._complain = complain

    def message(self, message: UserMessage | AssistantMessage | ToolResult) -> None:
        self._append(message)

    def superseded(self, text: str, reasoning: str, reason: str) -> None:
        self._append(SupersededRecord(text=text, reasoning=reasoning, reason=reason))

    def roll_back(self, keep: int, reason: str) -> None:
        self._append(RollbackRecord(keep=keep, reason=reason))

    def compaction(self, summary: Summary, before: int, after: int) -> None:
        self._append(
            CompactionRecord(
                start=summary.start, end=summary.end, text=summary.text, before=before, after=after
            )
        )

    def change(self, change: ChangeRecord) -> None:
        self._append(change)

    def git(self, state: GitRecord) -> None:
        self._append(state)

    def turn(self, outcome: Outcome, reason: str, usage: Usage, requests: int, seconds: float) -> None:
        self._tell(
            self.writer.end_turn(outcome, reason=reason, usage=usage, requests=requests, seconds=seconds)
        )

    def _append(self, item: Message | Record) -> None:
        self._tell(self.writer.append(item))

    def _tell(self, problem: str) -> None:
        if problem:
            self._complain(problem)
