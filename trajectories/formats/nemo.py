"""Rows for NeMo Automodel's `agent_chat` dataset, OpenAI schema; `arguments` and `tools` are JSON text."""

from __future__ import annotations

from typing import Any

from trajectories.formats.training_messages import TRAINING_COLUMNS, training_parts
from trajectories.prepared import Prepared

COLUMNS: dict[str, Any] = {"messages": ["object"], **TRAINING_COLUMNS}
"""Messages as objects: one of its datasets refuses an answer that has the key `tool_calls` and no calls."""


def rows(prepared: Prepared) -> list[dict[str, Any]]:
    """It reads reasoning from `reasoning_content` whatever the model."""
    parts = training_parts(prepared)
    if parts is None:
        return []
    made, facts = parts
    for message in made.messages:
        if "thinking" in message:
            message["reasoning_content"] = message.pop("thinking")
    return [{"messages": made.messages, **facts}]
