"""LLaMA-Factory's own loader reads `hermes export --format llamafactory` by its dataset_info.json."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.consumers.conftest import Export
from tests.consumers.tiny import learned, new_tokenizer

pytest.importorskip("llamafactory", reason="LLaMA-Factory is not installed")


@pytest.fixture(autouse=True)
def without_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text path imports torchaudio, and refuses transformers newer than it knows."""
    audio = types.ModuleType("torchaudio")
    audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    monkeypatch.setitem(sys.modules, "torchaudio", audio)
    monkeypatch.setenv("DISABLE_VERSION_CHECK", "1")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_no_row_is_skipped_and_exactly_the_answers_are_learned(
    suffix: str, export: Export, tmp_path: Path
) -> None:
    from datasets import load_dataset

    file = export("llamafactory", suffix)
    kind = "parquet" if suffix == ".parquet" else "json"
    rows = load_dataset(kind, data_files=str(file), split="train")
    tokenizer = new_tokenizer()
    tokenized = _tokenized(file, tokenizer, tmp_path)
    assert len(tokenized) == len(rows), "no row was skipped"
    for row, tokens in zip(rows, tokenized, strict=True):
        answers = [turn for turn in row["conversations"] if turn["from"] in ("gpt", "function_call")]
        assert learned(tokenizer, tokens).count("<|im_end|>") == len(answers)


def test_parallel_calls_and_their_results_reach_the_template(export: Export, tmp_path: Path) -> None:
    tokenizer = new_tokenizer()
    (tokens,) = _tokenized(export("llamafactory", only=("parallel",)), tokenizer, tmp_path)
    text = tokenizer.decode(tokens["input_ids"])
    calls = [json.loads(piece.partition("</tool_call>")[0]) for piece in text.split("<tool_call>\n")[2:]]
    assert [(call["name"], call["arguments"]) for call in calls] == [
        ("terminal", {"command": "pwd"}),
        ("terminal", {"command": "ls -la", "timeout": 5}),
    ]
    assert text.count('<tool_response>\n{"output": "ok"}\n</tool_response>') == 2
    assert text.count('"name": "write_file"') == 1, "the tools are listed once"
    assert "<think>\nI need both.\n</think>" in learned(tokenizer, tokens)


def test_sharegpt_rows_load_by_the_entry_that_the_docs_describe(export: Export, tmp_path: Path) -> None:
    file = export("sharegpt")
    tags = {"observation_tag": "tool", "role_tag": "from", "content_tag": "value", "user_tag": "human"}
    entry = {
        "file_name": file.name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations"},
        "tags": {**tags, "assistant_tag": "gpt", "function_tag": "function_call", "system_tag": "system"},
    }
    file.with_name("dataset_info.json").write_text(json.dumps({file.stem: entry}))
    tokenizer = new_tokenizer()
    tokenized = _tokenized(file, tokenizer, tmp_path)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    assert len(tokenized) == len(rows), "no row was skipped"
    for row, tokens in zip(rows, tokenized, strict=True):
        answers = [turn["value"] for turn in row["conversations"] if turn["from"] == "gpt"]
        assert learned(tokenizer, tokens) == "".join(f"{answer}<|im_end|>\n" for answer in answers)


def _tokenized(file: Path, tokenizer: Any, tmp_path: Path) -> list[Any]:
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.loader import get_dataset
    from llamafactory.hparams.data_args import DataArguments
    from llamafactory.hparams.model_args import ModelArguments
    from transformers import Seq2SeqTrainingArguments

    data = DataArguments(
        dataset=file.stem,
        dataset_dir=str(file.parent),
        template="qwen",
        cutoff_len=8192,
        overwrite_cache=True,
    )
    training = Seq2SeqTrainingArguments(output_dir=str(tmp_path / "model"), do_train=True, use_cpu=True)
    template = get_template_and_fix_tokenizer(tokenizer, data)
    model = ModelArguments(model_name_or_path="none")
    found = get_dataset(template, model, data, training, stage="sft", tokenizer=tokenizer)
    return list(found["train_dataset"])
