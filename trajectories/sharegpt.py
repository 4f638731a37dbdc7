"""The ShareGPT row: a session as text turns, one JSON object a line. docs/data-formats.md has every field."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conversation.message import UserMessage
from conversation.round import Round
from trajectories.exported_entries import ExportedEntry, exported_entries
from trajectories.prepared import Prepared
from trajectories.row_facts import FACT_COLUMNS, row_facts
from trajectories.session_load import Session
from trajectories.turn_text import escape_json, gpt_text, tool_text

EMPTY_ANSWER = "<think>\n</think>\n"

SHAREGPT_COLUMNS: dict[str, Any] = {
    "conversations": [{"from": "text", "value": "text"}],
    "id": "text",
    "timestamp": "text",
    "model": "text",
    "completed": "bool",
    "tools": "text",
    "truncated": "bool",
    "unanswered": "text",
    "flags": [{"turn": "integer", "flag": "text"}],
    **FACT_COLUMNS,
}


@dataclass(slots=True)
class _Turn:
    role: str
    value: str
    flags: set[str] = field(default_factory=set)


def sharegpt_row(source: Session | Prepared) -> dict[str, Any] | None:
    """The trajectory row of a session; None where the model never answered, since a row ends on an answer.

    Everything after the last answer is left out of `conversations`; `truncated` and `unanswered` say so.
    """
    prepared = Prepared.of(source)
    session = prepared.session
    exported = exported_entries(prepared)
    turns: list[_Turn] = []
    for each in exported.entries:
        _add(turns, each)
    said = len(turns)
    unanswered = ""
    while turns and (turns[-1].role != "gpt" or "inserted" in turns[-1].flags):
        unanswered = turns[-1].value if turns[-1].role == "human" else unanswered
        turns.pop()
    if not turns:
        return None
    truncated = len(turns) < said
    tools = json.dumps(session.tools, ensure_ascii=False)
    system = system_text(session.history.system, tools if session.tools else "")
    first = [_Turn("system", system)] if system else []
    conversations = [*first, *turns]
    answers = (
        index
        for index, turn in enumerate(conversations)
        if turn.role == "gpt" and "inserted" not in turn.flags
    )
    facts = row_facts(prepared, exported, answers, "turn")
    return {
        "conversations": [{"from": turn.role, "value": turn.value} for turn in conversations],
        "id": session.path.stem,
        "timestamp": session.header.started or session.ended,
        "model": session.model,
        "completed": facts["outcome"] == "done" and not truncated,
        "tools": tools,
        "truncated": truncated,
        "unanswered": unanswered,
        "flags": [
            {"turn": index, "flag": flag}
            for index, turn in enumerate(conversations)
            for flag in sorted(turn.flags)
        ],
        **facts,
    }


def system_text(system: str, tools: str) -> str:
    """The function-calling preamble with `tools` (a JSON list, "" for none), then the session's own text."""
    if not tools:
        return system
    preamble = (Path(__file__).parent / "preamble.md").read_text(encoding="utf-8").strip()
    return "\n\n".join(text for text in (preamble.replace("{tools}", escape_json(tools), 1), system) if text)


def _add(turns: list[_Turn], each: ExportedEntry) -> None:
    last = turns[-1].role if turns else ""
    if isinstance(each.entry, Round):
        turns.append(_Turn("gpt", gpt_text(each.entry.assistant), each.flags))
        if each.entry.results:
            states = {result.status for result in each.entry.results if result.status != "ok"}
            turns.append(_Turn("tool", tool_text(each.entry.results), set(states)))
    elif last == "human":
        turns[-1].value += "\n\n" + human_text(each.entry)
        turns[-1].flags |= each.flags | {"merged"}
    else:
        if last == "tool":
            turns.append(_Turn("gpt", EMPTY_ANSWER, {"inserted"}))
        turns.append(_Turn("human", human_text(each.entry), set(each.flags)))


def human_text(message: UserMessage) -> str:
    """What the person said, word for word; a part that is no text appears as its type in brackets."""
    if isinstance(message.content, str):
        return message.content
    parts = message.content
    return "\n".join(
        str(part.get("text", "")) if part.get("type") == "text" else f"[{part.get('type', 'part')}]"
        for part in parts
    )
