"""Rows of many shapes that keep to the layout, and a tokenizer to weigh them with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from conversation.message import AssistantMessage, ToolCall, ToolResult
from trajectories.sharegpt import system_text
from trajectories.turn_text import gpt_text, tool_text

TOOLS = [{"type": "function", "function": {"name": "terminal", "parameters": {"type": "object"}}}]
WORDS = ["alpha", "beta", "gamma", "file.py", "123", "über", "<think>", "</tool_call>", "<|im_end|>", "{x}"]


def word_tokenizer(folder: Path) -> Path:
    """A tokenizer.json in `folder` for which every word and every run of marks is one token."""
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


def long_row(seed: int, turns: int, *, words: int = 60, **fields: Any) -> dict[str, Any]:
    """A valid ShareGPT row of at least `turns` turns: rounds of up to two calls, people who come back."""
    draw = random.Random(seed)

    def said(most: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(0, most)))

    conversation = [{"from": "system", "value": system_text("You work.", json.dumps(TOOLS))}]
    flags: list[dict[str, Any]] = []
    last = "system" if draw.random() < 0.9 else ""
    if not last:
        conversation = []
    while len(conversation) < turns or last != "gpt":
        if last in ("", "system", "gpt"):
            conversation.append({"from": "human", "value": f"question {len(conversation)} " + said(words)})
            last = "human"
            continue
        count = draw.choice((0, 1, 1, 1, 2)) if len(conversation) < turns else 0
        calls = tuple(
            ToolCall(f"call_{len(conversation)}_{number}", "terminal", json.dumps({"command": said(9)}))
            for number in range(count if conversation[0]["from"] == "system" else 0)
        )
        answer = AssistantMessage(said(words), calls, reasoning=said(words // 2))
        conversation.append({"from": "gpt", "value": gpt_text(answer)})
        last = "gpt"
        if calls:
            if draw.random() < 0.3:
                flags.append({"turn": len(conversation), "flag": "error"})
            results = tuple(ToolResult(call.id, call.name, said(4 * words)) for call in calls)
            conversation.append({"from": "tool", "value": tool_text(results)})
            last = "tool"
    return {
        "conversations": conversation,
        "id": f"row-{seed}",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "model": "some-model",
        "completed": True,
        "tools": json.dumps(TOOLS) if conversation[0]["from"] == "system" else "[]",
        "flags": flags,
        "answers": json.dumps(
            [
                {"turn": place, "at": f"moment {place}"}
                for place, turn in enumerate(conversation)
                if turn["from"] == "gpt"
            ]
        ),
        "compactions": json.dumps([{"answer": number, "before": 9, "after": 3} for number in (0, 2, 9)]),
        **fields,
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Spacing and escapes differ from row to row, as in files that others wrote."""
    lines = [json.dumps(row, ensure_ascii=number % 2 == 0) for number, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
