"""TRL's own trainer reads `hermes export --format trl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.consumers.conftest import Export
from tests.consumers.tiny import learned, new_model, written


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_the_trainer_learns_the_answers_and_nothing_else(
    suffix: str, export: Export, tokenizer: Any, tmp_path: Path
) -> None:
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    file = export("trl", suffix)
    data = load_dataset(
        suffix.removeprefix(".").replace("jsonl", "json"), data_files=str(file), split="train"
    )
    rows = [row["messages"] for row in data]
    trainer = SFTTrainer(
        model=new_model(tokenizer),
        processing_class=tokenizer,
        train_dataset=data,
        args=SFTConfig(
            output_dir=str(tmp_path / "model"),
            assistant_only_loss=True,
            max_steps=2,
            per_device_train_batch_size=2,
            max_length=4096,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
        ),
    )
    trained = trainer.train()
    assert trained.global_step == 2
    assert 0 < trained.training_loss < 20
    assert len(trainer.train_dataset) == len(rows), "no row was dropped"
    for messages, tokens in zip(rows, trainer.train_dataset, strict=True):
        assert learned(tokenizer, tokens) == "".join(map(written, messages))


def test_a_call_shows_the_arguments_the_model_gave_and_no_others(export: Export, tokenizer: Any) -> None:
    from datasets import load_dataset

    for suffix, kind in ((".jsonl", "json"), (".parquet", "parquet")):
        data = load_dataset(
            kind, data_files=str(export("trl", suffix, only=("parallel", "ragged"))), split="train"
        )
        calls = [
            call for row in data for message in row["messages"] for call in message.get("tool_calls") or []
        ]
        assert [call["function"]["arguments"] for call in calls] == [
            {"command": "pwd"},
            {"command": "ls -la", "timeout": 5},
            {"query": "x", "limit": 12345678901234567890},
            {"query": "x", "limit": "3", "filters": {"a": [1, "b", None]}},
            {"query": "x", "limit": [1.5, True], "filters": {}},
        ]
