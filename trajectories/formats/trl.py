"""Rows for TRL's SFTTrainer (https://huggingface.co/docs/trl/dataset_formats): `messages` and `tools`."""

from __future__ import annotations

from typing import Any

from trajectories.formats.training_messages import TRAINING_COLUMNS, training_parts
from trajectories.prepared import Prepared
from trajectories.turn_text import arguments_value

COLUMNS: dict[str, Any] = {
    "messages": [
        {
            "role": "text",
            "content": "text",
            "reasoning_content": "text",
            "thinking": "text",
            "tool_calls": ["object"],
            "tool_call_id": "text",
            "name": "text",
        }
    ],
    **TRAINING_COLUMNS,
}


def rows(prepared: Prepared) -> list[dict[str, Any]]:
    """`arguments` are objects, since the trainer hands them to the template as they are; `tools`
    is JSON text, which it parses."""
    parts = training_parts(prepared)
    if parts is None:
        return []
    made, facts = parts
    for message in made.messages:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = arguments_value(call["function"]["arguments"])
    return [{"messages": made.messages, **facts}]
