"""NeMo Automodel's own datasets read `hermes export --format nemo`.

They hand `arguments` to the chat template as JSON text whatever the row holds, so a template must take text.
Its chat dataset refuses what Parquet puts where a message has no calls (null), so give it the lines.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.consumers.conftest import Export
from tests.consumers.tiny import learned, written

pytest.importorskip("nemo_automodel", reason="NeMo Automodel is not installed")


def test_the_agent_dataset_learns_the_answers_and_nothing_else(export: Export, tokenizer: Any) -> None:
    from nemo_automodel.components.datasets.llm.agent_chat import make_agent_chat_dataset

    file = export("nemo")
    _check(make_agent_chat_dataset(tokenizer, path=str(file)), file, tokenizer)


def test_the_chat_dataset_learns_the_answers_and_nothing_else(export: Export, tokenizer: Any) -> None:
    from nemo_automodel.components.datasets.llm.chat_dataset import ChatDataset

    file = export("nemo")
    _check(ChatDataset(str(file), tokenizer), file, tokenizer)


def _check(dataset: Any, lines: Path, tokenizer: Any) -> None:
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").split("\n") if line]
    assert len(dataset) == len(rows)
    for index, row in enumerate(rows):
        assert _shifted_back(tokenizer, dataset[index]) == "".join(map(written, row["messages"]))


def _shifted_back(tokenizer: Any, row: Any) -> str:
    """What is learned: NeMo's labels are those of the next token."""
    return learned(tokenizer, {"input_ids": row["input_ids"][1:], "labels": row["labels"][:-1]})
