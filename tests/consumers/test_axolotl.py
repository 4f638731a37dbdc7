"""axolotl's own chat_template strategy reads `hermes export --format axolotl`, as the YAML beside it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.consumers.conftest import Export
from tests.consumers.tiny import learned, written

pytest.importorskip("axolotl", reason="axolotl is not installed")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_answers_worth_learning_are_learned_and_nothing_else(
    suffix: str, export: Export, tokenizer: Any
) -> None:
    file = export("axolotl", suffix)
    rows, tokenized = _tokenized(file, tokenizer)
    for row, tokens in zip(rows, tokenized, strict=True):
        assert learned(tokenizer, tokens) == "".join(
            written(message) for message in row["messages"] if message["train"]
        )


def test_roles_and_calls_are_those_of_the_session(export: Export, tokenizer: Any) -> None:
    _, tokenized = _tokenized(export("axolotl", only=("parallel",)), tokenizer)
    text = tokenizer.decode(tokenized[0]["input_ids"])
    turns = [turn.partition("\n")[0] for turn in text.split("<|im_start|>")[1:]]
    assert turns == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert '{"name": "terminal", "arguments": {"command": "ls -la", "timeout": 5}}' in text


def test_an_answer_that_was_broken_off_is_not_learned(export: Export, tokenizer: Any) -> None:
    rows, tokenized = _tokenized(export("axolotl", only=("interrupted",)), tokenizer)
    assert any(message["content"] == "Hel" for message in rows[0]["messages"])
    assert "Hel<|im_end|>" not in learned(tokenizer, tokenized[0])


def _tokenized(file: Path, tokenizer: Any) -> tuple[list[Any], list[Any]]:
    """The rows as `datasets` reads them, and what axolotl makes of each."""
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset

    (entry,) = yaml.safe_load(file.with_suffix(".axolotl.yaml").read_text())["datasets"]
    entry["path"] = str(file)
    settings = DictDefault(
        {"sequence_len": 8192, "train_on_inputs": False, "chat_template": "tokenizer_default"}
    )
    strategy = load(tokenizer, settings, dict(entry))
    rows = list(load_dataset(entry["ds_type"], data_files=entry["path"], split="train"))
    copies = json.loads(json.dumps(rows))
    return copies, [strategy.tokenize_prompt(row) for row in rows]
