"""The history and the record of it, kept in step: nothing enters one without the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.compaction import KEEP_LAST_SHARE, choose_span, summarise
from agent.context import ContextMeter
from agent.recorder import Recorder
from conversation.event import Compacted, Event, Notice, RolledBack, RoundFinished, Superseded
from conversation.history import Entry, History
from conversation.message import AssistantMessage, ToolResult, Usage, UserMessage
from conversation.round import Round
from models.chat_model import ChatModel

ASSUMED_WINDOW = 128_000
"""Tokens, where a model's window is not known and it has just said that the context is too long."""


@dataclass(slots=True)
class Ledger:
    history: History
    recorder: Recorder
    emit: Callable[[Event], None]
    meter: ContextMeter = field(default_factory=ContextMeter)

    def __len__(self) -> int:
        return len(self.history.entries)

    def tokens(self, tools: Sequence[dict[str, Any]]) -> int:
        return self.meter.tokens(self.history, tools)

    def add_user(self, message: UserMessage) -> None:
        self.recorder.message(message)
        self.history.add(message)

    def notice(self, text: str) -> None:
        """A short text to the model in the person's place."""
        self.add_user(UserMessage(text, "notice"))

    def add_answer(self, message: AssistantMessage) -> None:
        """An answer without calls. (One with calls is recorded before they run: see `close_round`.)"""
        self.recorder.message(message)
        self.close_round(message, ())

    def close_round(self, message: AssistantMessage, results: Sequence[ToolResult]) -> None:
        """Message and results are on record; now they enter the history, as one."""
        self.history.add(Round(message, tuple(results)))
        self.emit(RoundFinished(message, tuple(results)))

    def supersede(self, text: str, reasoning: str, reason: str, *, shown: bool = True) -> None:
        """Keep what was said and does not count; it is never sent or exported."""
        if not text and not reasoning:
            return
        self.recorder.superseded(text, reasoning, reason)
        if shown:
            self.emit(Superseded(text, reason, reasoning))

    def roll_back(self, keep: int, reason: str) -> None:
        removed = self.history.roll_back(keep)
        if removed:
            self.meter.forget()
            self.recorder.roll_back(keep, reason)
            self.emit(RolledBack(len(removed), reason))

    def replace(self, entries: Sequence[Entry], reason: str) -> None:
        """Put `entries` in place of the whole history."""
        self.roll_back(0, reason)
        for entry in entries:
            if isinstance(entry, UserMessage):
                self.add_user(entry)
                continue
            self.recorder.message(entry.assistant)
            for result in entry.results:
                self.recorder.message(result)
            self.history.add(entry)

    async def compact(
        self, model: ChatModel, tools: Sequence[dict[str, Any]]
    ) -> tuple[Compacted | None, Usage]:
        """Summarise the middle. None if there is nothing in between to summarise; and what it cost."""
        window = model.context_window or ASSUMED_WINDOW
        before = self.tokens(tools)
        room = int(min(window, before) * KEEP_LAST_SHARE)
        span = choose_span(self.history, room)
        if span is None:
            return None, Usage()
        summary, usage, problem = await summarise(
            self.history, span, model, int(window * 0.6), tools, self.emit
        )
        if problem:
            self.emit(Notice(f"the summary is only a list of what happened: {problem}", "warning"))
        self.history.compact(summary)
        self.meter.forget()
        after = self.tokens(tools)
        self.recorder.compaction(summary, before, after)
        event = Compacted(before, after, summary.end - summary.start)
        self.emit(event)
        return event, usage
