"""The events of a conversation as they are given to other programs: without secrets, in pieces or whole."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from conversation.event import (
    Event,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolFinished,
    ToolOutput,
    TurnFinished,
)
from safety.redact import Redactor
from safety.stream_redact import StreamRedactor


class RedactedEvents:
    """Pieces of a text may come a little later, and joined to others; nothing else changes its place.

    A text is over, and what was held back of it is given, with the next event of another kind; the output of
    a call with the call's end.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._texts: dict[type[TextDelta | ReasoningDelta], StreamRedactor] = {}
        self._outputs: dict[str, StreamRedactor] = {}

    def __call__(self, event: Event) -> Iterator[Event]:
        """What is to be said now that `event` has happened."""
        match event:
            case TextDelta() | ReasoningDelta():
                yield from self._end_texts(but=type(event))
                stream = self._texts.setdefault(type(event), StreamRedactor(self._redactor))
                yield from _pieces(event, stream.feed(event.text))
            case ToolOutput(call_id=call_id):
                stream = self._outputs.setdefault(call_id, StreamRedactor(self._redactor))
                yield from _pieces(event, stream.feed(event.text))
            case ToolCallDelta():
                yield event
            case _:
                yield from self._end_texts()
                if isinstance(event, ToolFinished):
                    yield from self._end_output(event.call_id)
                elif isinstance(event, TurnFinished):
                    for call_id in list(self._outputs):
                        yield from self._end_output(call_id)
                yield self._whole(event)

    def _end_texts(self, but: type[TextDelta | ReasoningDelta] | None = None) -> Iterator[Event]:
        for kind in [kind for kind in self._texts if kind is not but]:
            yield from _pieces(kind(""), self._texts.pop(kind).finish())

    def _end_output(self, call_id: str) -> Iterator[Event]:
        stream = self._outputs.pop(call_id, None)
        if stream is not None:
            yield from _pieces(ToolOutput(call_id, ""), stream.finish())

    def _whole(self, event: Event) -> Event:
        clean, found = self._redactor.redact_json(msgspec.to_builtins(event))
        return msgspec.convert(clean, type(event)) if found else event


def _pieces(event: TextDelta | ReasoningDelta | ToolOutput, text: str) -> Iterator[Event]:
    if text:
        yield msgspec.structs.replace(event, text=text)
