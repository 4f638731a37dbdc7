"""`datasets.load_dataset` reads every table we write, JSONL and Parquet, to the same rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.consumers.conftest import Export

TABLES = ("sharegpt", "openai", "both", "trl", "llamafactory", "axolotl", "nemo")


@pytest.mark.parametrize("name", TABLES)
def test_lines_load_and_hold_every_session(name: str, export: Export) -> None:
    from datasets import load_dataset

    file = export(name)
    loaded = load_dataset("json", data_files=str(file), split="train")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    assert [_without_nulls(row) for row in loaded] == [_without_nulls(row) for row in rows]


@pytest.mark.parametrize("name", TABLES)
def test_parquet_loads_to_the_same_rows_as_lines(name: str, export: Export) -> None:
    from datasets import load_dataset

    table = load_dataset("parquet", data_files=str(export(name, ".parquet")), split="train")
    rows = [json.loads(line) for line in export(name).read_text(encoding="utf-8").split("\n") if line]
    assert len(table) == len(rows)
    for found, row in zip(table, rows, strict=True):
        assert _as_values(_without_nulls(found)) == _as_values(_without_nulls(row))


def _without_nulls(value: Any) -> Any:
    """Tables fill what a message lacks with null, which templates take as absent."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _as_values(value: Any) -> Any:
    """JSON text and what it says are one."""
    if isinstance(value, dict):
        return {key: _as_values(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_values(each) for each in value]
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return _as_values(json.loads(value))
        except ValueError:
            return value
    return value
