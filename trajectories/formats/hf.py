"""A session as the Hugging Face Hub's trace viewer reads it: a header line, then a line for each message.

The layout is the Session Trace Simple Format (https://huggingface.co/docs/hub/session-traces-format).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from conversation.message import UserMessage
from trajectories.exported_entries import exported_entries
from trajectories.formats.all_entries import FullEntry, all_entries
from trajectories.prepared import Prepared
from trajectories.row_facts import row_facts
from trajectories.sharegpt import human_text

HARNESS = "hermes-agent"

_NOT_IN_HEADER = ("schema", "title", "answers", "compactions")
"""`schema` is what tells our own session files from such a trace."""


def rows(prepared: Prepared) -> list[dict[str, Any]]:
    """The lines of one file. The header also has the facts of a row, which the viewer ignores."""
    entries = list(all_entries(prepared))
    if not entries:
        return []
    session = prepared.session
    facts = row_facts(prepared, exported_entries(prepared))
    facts = {name: value for name, value in facts.items() if name not in _NOT_IN_HEADER}
    header = {
        "type": "session",
        "harness": HARNESS,
        "id": session.path.stem,
        "name": session.title or _opening(entries),
        "started": session.header.started,
        "model": session.model,
        "tools": session.tools,
        **facts,
    }
    system = session.history.system
    messages = [{"role": "system", "content": system}] if system else []
    return [
        header,
        *({"type": "message", "message": each} for each in messages),
        *({"type": "message", "message": each} for entry in entries for each in _messages(entry)),
    ]


def _messages(each: FullEntry) -> list[dict[str, Any]]:
    time = _millis(each.ts)
    if isinstance(each.entry, UserMessage):
        message = {"role": "user", "content": human_text(each.entry), **time}
        return [{**message, "flags": sorted(each.flags)} if each.flags else message]
    answer = each.entry.assistant
    message = {"role": "assistant", "content": answer.content}
    if answer.reasoning:
        message["reasoningContent"] = answer.reasoning
    if answer.tool_calls:
        message["toolCalls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
    if answer.model:
        message["model"] = answer.model
    if each.flags:
        message["flags"] = sorted(each.flags)
    results = [
        {"role": "tool", "content": result.content, "toolCallId": result.call_id, "status": result.status}
        for result in each.entry.results
    ]
    return [{**message, **time}, *results]


def _millis(ts: str) -> dict[str, int]:
    """Milliseconds since the epoch; nothing where the file has no readable time."""
    try:
        return {"timestamp": int(datetime.fromisoformat(ts).timestamp() * 1000)}
    except ValueError:
        return {}


def _opening(entries: list[FullEntry]) -> str:
    from trajectories.session_list import first_words

    said = next((each.entry for each in entries if isinstance(each.entry, UserMessage)), None)
    return first_words(said.text) if said else ""
