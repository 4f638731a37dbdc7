"""Rows for LLaMA-Factory's `formatting: sharegpt`, and their entry in its `dataset_info.json`.

Calls are turns of their own kind (`function_call`), tools a column: so its own templates write both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conversation.message import ToolResult, UserMessage
from conversation.round import Round
from trajectories.exported_entries import exported_entries
from trajectories.formats.training_messages import (
    TRAINING_COLUMNS,
    trained_entries,
    training_facts,
)
from trajectories.prepared import Prepared
from trajectories.turn_text import escape_json, escape_text, is_json

COLUMNS: dict[str, Any] = {
    "conversations": [{"from": "text", "value": "text"}],
    "system": "text",
    **TRAINING_COLUMNS,
}

BETWEEN_RESULTS = "\n</tool_response>\n<tool_response>\n"
"""What LLaMA-Factory itself puts between the results of one answer."""


class SideFileError(ValueError):
    """A side file of an earlier time cannot be kept; the text says which and why."""


def rows(prepared: Prepared) -> list[dict[str, Any]]:
    """Turns strictly in turn: from human or tool, then from gpt or function_call.

    Where the person spoke right after results, an empty gpt turn stands between.
    """
    exported = exported_entries(prepared)
    turns: list[dict[str, str]] = []
    answers: list[int] = []
    for each in trained_entries(exported):
        if isinstance(each.entry, UserMessage):
            if turns and turns[-1]["from"] == "tool":
                turns.append({"from": "gpt", "value": ""})
            turns.append({"from": "human", "value": each.entry.text})
            continue
        answers.append(len(turns))
        turns.append(_answer(each.entry))
        if each.entry.results and "unfinished" not in each.flags:
            turns.append({"from": "tool", "value": BETWEEN_RESULTS.join(map(_result, each.entry.results))})
    if not turns:
        return []
    facts = training_facts(prepared, exported, answers, "turn")
    if not prepared.session.tools:
        facts["tools"] = ""  # "[]" would still begin its tool prompt with some templates
    return [{"conversations": turns, "system": prepared.session.history.system, **facts}]


def _answer(round_: Round) -> dict[str, str]:
    """Reasoning in `<think>`. Calls are JSON text, of one or of a list; where anything goes before them they
    stand in `<tool_call>`, without which LLaMA-Factory takes all for JSON."""
    answer = round_.assistant
    think = f"<think>\n{escape_text(answer.reasoning.strip())}\n</think>\n\n" if answer.reasoning else ""
    text = escape_text(answer.content)
    if not answer.tool_calls:
        return {"from": "gpt", "value": think + text}
    listed = [
        f'{{"name": {json.dumps(call.name)}, "arguments": {escape_json(call.arguments)}}}'
        for call in answer.tool_calls
    ]
    calls = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    before = think + (text and f"{text}\n")
    return {"from": "function_call", "value": f"{before}<tool_call>{calls}</tool_call>" if before else calls}


def _result(result: ToolResult) -> str:
    """Its template writes the tags around results, so none may stand in them."""
    return escape_json(result.content) if is_json(result.content) else escape_text(result.content)


def side_files(out: Path, target: str) -> dict[Path, str]:
    """`dataset_info.json` beside `out`, with an entry for it; what else stands there stays.

    Raises:
        SideFileError: there is such a file and it cannot be read.
    """
    path = out.with_name("dataset_info.json")
    known: Any = {}
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise SideFileError(f"{path} cannot be read, so no entry is added to it: {error}") from None
        if not isinstance(known, dict):
            raise SideFileError(f"{path} is no JSON object, so no entry is added to it")
    entry = {
        "file_name": out.name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
        "tags": {
            "role_tag": "from",
            "content_tag": "value",
            "user_tag": "human",
            "assistant_tag": "gpt",
            "observation_tag": "tool",
            "function_tag": "function_call",
            "system_tag": "system",
        },
    }
    return {path: json.dumps({**known, out.stem: entry}, indent=2, ensure_ascii=False) + "\n"}
