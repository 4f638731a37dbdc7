"""Making room: whole rounds in the middle of a history are sent as a summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversation.event import Answer, Event, RetryScheduled
from conversation.history import Entry, History, Summary
from conversation.message import PICTURE_TOKENS, Usage, UserMessage
from models.chat_model import ChatModel, ModelError, ModelRequest

PROMPT = Path(__file__).with_name("compaction.md")
KEEP_LAST_SHARE = 0.3
"""Share of the window that the newest entries may fill; the rest of the middle is summarised."""
DIGEST_LINE = 160


@dataclass(frozen=True, slots=True)
class Span:
    """Entries `start` to `end` (exclusive)."""

    start: int
    end: int


def choose_span(history: History, room_tokens: int) -> Span | None:
    """The rounds to summarise: the first message and its first round stay, and so does the newest part.

    The newest part is as much as fits `room_tokens`, at least the last round. None if nothing is left
    in between.
    """
    entries = history.entries
    start = _end_of_first_exchange(entries)
    if history.summary is not None:
        start = min(start, history.summary.start)
    end = len(entries)
    used = 0
    while end > start:
        used += estimate_tokens(entries[end - 1])
        if used > room_tokens and end < len(entries):
            break
        end -= 1
    end = max(end, start)
    if end == start:
        end = max(start, len(entries) - 1)
    already = history.summary.end if history.summary is not None else start
    return Span(start, end) if end > max(start, already) else None


def estimate_tokens(entry: Entry) -> int:
    """Tokens of an entry, at four bytes a token; a picture counts for what it shows, not for its letters."""
    if isinstance(entry, UserMessage):
        return len(entry.text.encode("utf-8", "replace")) // 4 + 4 + PICTURE_TOKENS * entry.pictures
    message = entry.assistant
    size = len(message.content.encode("utf-8", "replace"))
    size += sum(len(call.arguments) + len(call.name) + 20 for call in message.tool_calls)
    size += sum(len(result.content.encode("utf-8", "replace")) + 20 for result in entry.results)
    return size // 4 + 4


async def summarise(
    history: History,
    span: Span,
    model: ChatModel,
    room_tokens: int,
    tools: Sequence[dict[str, Any]],
    emit: Callable[[Event], None] = lambda event: None,
) -> tuple[Summary, Usage, str]:
    """Ask the model for a summary of the span. Where it cannot, a plain digest is made instead.

    The request carries the conversation's `tools`, as all its requests do, and forbids their use. Of its
    events only waits go to `emit`: the summary is not for the person.
    Returns the summary, what it cost, and "" or the reason why it is only a digest.
    """
    transcript = _transcript(history, span, room_tokens * 4)
    messages = [
        {"role": "system", "content": PROMPT.read_text(encoding="utf-8").strip()},
        {"role": "user", "content": transcript},
    ]
    text, problem, usage = "", "", Usage()
    try:
        async for event in model.stream(ModelRequest(messages, tools, "none")):
            if isinstance(event, Answer):
                text = event.message.content.strip()
                usage = event.message.usage or usage
            elif isinstance(event, RetryScheduled):
                emit(event)
    except ModelError as error:
        problem = str(error)
    if not text:
        problem = problem or "the model gave no summary"
        text = digest(history.entries[span.start : span.end])
    head = f"[Summary of {span.end - span.start} earlier messages of this conversation]\n"
    return Summary(span.start, span.end, head + text), usage, problem


def digest(entries: list[Entry]) -> str:
    """One line a message and call: what a summary is when no model can write one."""
    lines = []
    for who, said, result in _said(entries):
        line = (
            f"{who} {_first_line(said)} -> {_first_line(result)}" if result else f"{who}: {_first_line(said)}"
        )
        lines.append(f"- {line}")
    return "\n".join(lines)


def _transcript(history: History, span: Span, limit: int) -> str:
    parts = []
    if history.summary is not None:
        parts.append(history.summary.text)
    begin = history.summary.end if history.summary is not None else span.start
    for who, said, result in _said(history.entries[begin : span.end]):
        parts.append(
            f"CALL {who} {said}\nRESULT {_shorten(result, 2000)}" if result else f"{who.upper()}: {said}"
        )
    return _shorten("\n\n".join(parts), max(limit, 4000))


def _said(entries: list[Entry]) -> Iterator[tuple[str, str, str]]:
    """(`user` or `assistant`, text, ""), and for each call (tool, arguments, result), in order."""
    for entry in entries:
        if isinstance(entry, UserMessage):
            yield "user", entry.shown, ""
            continue
        if entry.assistant.content:
            yield "assistant", entry.assistant.content, ""
        for call, result in zip(entry.assistant.tool_calls, entry.results, strict=True):
            yield call.name, call.arguments, result.content or "(empty)"


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n[… {len(text) - limit} characters …]\n{text[-limit // 2 :]}"


def _first_line(text: str) -> str:
    line = json.dumps(text.strip(), ensure_ascii=False)[1:-1]
    return line if len(line) <= DIGEST_LINE else line[:DIGEST_LINE] + "…"


def _end_of_first_exchange(entries: list[Entry]) -> int:
    for index, entry in enumerate(entries):
        if not isinstance(entry, UserMessage):
            return index + 1
    return len(entries)
