"""A session in the Session Trace Simple Format, read as one row: a header line, then a line for each message.

The Hugging Face Hub reads such files (https://huggingface.co/docs/hub/session-traces-format), and
`hermes export --format hf` writes them. Here they become OpenAI messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from corpus.reading import Problem, Row

_NAMES = {
    "reasoningContent": "reasoning_content",
    "toolCalls": "tool_calls",
    "toolCallId": "tool_call_id",
}


def is_trace_header(row: Mapping[str, Any]) -> bool:
    return row.get("type") == "session" and "harness" in row


def joined_traces(items: Iterator[Row | Problem], limit: int) -> Iterator[Row | Problem]:
    """The same items, each header with its messages as one row; with more than `limit` bytes a problem.

    A trace may have lines of other types, which say nothing here; a row without a type ends it.
    """
    header: Row | None = None
    messages: list[dict[str, Any]] = []
    size = 0
    for item in items:
        ends = isinstance(item, Row) and (is_trace_header(item.value) or "type" not in item.value)
        if ends and header is not None:
            yield _whole(header, messages, size, limit)
            header = None
        if isinstance(item, Row) and is_trace_header(item.value):
            header, messages, size = item, [], 0
        if isinstance(item, Row) and header is not None:
            size += len(item.raw)
            message = item.value.get("message")
            if isinstance(message, dict) and size <= limit:
                messages.append(_plain(message))
        else:
            yield item
    if header is not None:
        yield _whole(header, messages, size, limit)


def _whole(header: Row, messages: list[dict[str, Any]], size: int, limit: int) -> Row | Problem:
    if size > limit:
        reason = f"a session of {size / 1e6:,.1f} MB; those over {limit / 1e6:,.0f} MB are left out"
        return Problem(header.number, header.offset, "too_long", reason)
    facts = {key: value for key, value in header.value.items() if key != "type"}
    value = {"messages": messages, **facts}
    return Row(header.number, header.offset, value, msgspec.json.encode(value))


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(key, key): value for key, value in message.items()}
