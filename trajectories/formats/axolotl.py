"""Rows for axolotl's `type: chat_template` (https://docs.axolotl.ai/docs/dataset-formats/conversation.html)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trajectories.formats.training_messages import TRAINING_COLUMNS, training_parts
from trajectories.openai_messages import OPENAI_COLUMNS
from trajectories.prepared import Prepared

_MESSAGE = {name: kind for name, kind in OPENAI_COLUMNS["messages"][0].items() if name != "usage"}
COLUMNS: dict[str, Any] = {
    "messages": [{**_MESSAGE, "thinking": "text", "train": "bool"}],
    **TRAINING_COLUMNS,
}


def rows(prepared: Prepared) -> list[dict[str, Any]]:
    """`arguments` and `tools` are JSON text, which axolotl parses. `train` on each message says what is to be
    learned: answers, but not those that could not be run, were broken off or cut off."""
    parts = training_parts(prepared)
    if parts is None:
        return []
    made, facts = parts
    messages = [{**message, "train": learn} for message, learn in zip(made.messages, made.learn, strict=True)]
    return [{"messages": messages, **facts}]


def side_files(out: Path, target: str) -> dict[Path, str]:
    """The `datasets` entry of an axolotl configuration, beside `out`."""
    kind = "parquet" if out.suffix == ".parquet" else "json"
    thinking = ["    field_thinking: thinking", "    template_thinking_key: thinking"]
    lines = [
        "# The datasets entry of an axolotl configuration.",
        "datasets:",
        f"  - path: {json.dumps(str(out), ensure_ascii=False)}",
        f"    ds_type: {kind}",
        "    type: chat_template",
        "    field_messages: messages",
        "    field_tools: tools",
        *(thinking if target == "gpt_oss" else []),
        "    message_field_training: train",
        "    roles_to_train: [assistant]",
        "    train_on_eos: turn",
        "",
    ]
    return {out.with_suffix(".axolotl.yaml"): "\n".join(lines)}
