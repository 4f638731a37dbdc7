"""Tables of rows: every row has the same columns with the same types, in JSON lines and in Parquet."""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conversation.message import AnswerTokens, Usage
from safety.redact import Redactor
from trajectories.columns import MissingLibrary, conform, write_parquet
from trajectories.formats.registry import FORMATS
from trajectories.preparing import prepare
from trajectories.session_record import ChangeRecord, CompactionRecord, TitleRecord
from trajectories.targets import TARGETS

TABLES = [each for each in FORMATS.values() if each.columns is not None]
KINDS = {"text": str, "integer": int, "number": int | float, "bool": bool}


def misfits(value: Any, column: Any, where: str) -> Iterator[str]:
    """Where `value` is not what its column says. Keys of messages may be absent, and unknown costs null."""
    if isinstance(column, dict):
        if not isinstance(value, dict):
            yield f"{where} is not an object"
            return
        yield from (f"{where}.{name} is not declared" for name in value if name not in column)
        for name, each in value.items():
            yield from misfits(each, column.get(name), f"{where}.{name}")
    elif isinstance(column, list):
        for each in value:
            yield from misfits(each, column[0], f"{where}[]")
    elif column in KINDS and not (value is None and where.endswith(".cost")):
        if where.endswith(("].content", ".tools")) and isinstance(value, list):
            return  # content parts and the tools of an OpenAI row; JSON text in Parquet
        if not isinstance(value, KINDS[column]):
            yield f"{where} is {type(value).__name__}, not {column}"


def random_talk(new_talk: Any, dice: random.Random) -> Any:
    talk = new_talk().person(dice.choice(["hi", [{"type": "text", "text": "see"}, {"type": "image_url"}]]))
    for n in range(dice.randrange(4)):
        ids = [f"c{n}_{k}" for k in range(dice.choice([1, 2]))]
        arguments = dice.choice(['{"a": 1}', '{"a": "x"}', '{"a": [1, {"b": null}]}', "{}"])
        usage = dice.choice([None, Usage(1, 2), Usage(1, 2, cost=0.5)])
        tokens = dice.choice([None, AnswerTokens([1], [2], [-0.5])])
        talk.call(*ids, arguments=arguments, usage=usage, tokens=tokens, reasoning=dice.choice(["", "hm"]))
        for each in ids:
            talk.result(each, dice.choice(["", "x", '{"a": 1}']), dice.choice(["ok", "error", "denied"]))
    if dice.random() < 0.3:
        talk.record(CompactionRecord(start=0, end=1, text="short", before=9, after=1))
    if dice.random() < 0.3:
        talk.record(ChangeRecord(what="model", value="other")).record(TitleRecord(title="t"))
    return talk.answer("bye", usage=Usage(1, 2)).end(dice.choice(["done", "limit"]))


def rows_of(new_talk: Any, name: str, count: int) -> list[dict[str, Any]]:
    dice = random.Random(5)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        target = dice.choice([None, *TARGETS])
        prepared = prepare(random_talk(new_talk, dice).load(), target=target, redactor=Redactor())
        rows += FORMATS[name].rows(prepared)
    assert len(rows) == count
    return rows


@pytest.mark.parametrize("name", [each.name for each in TABLES])
def test_every_row_has_the_same_columns_with_the_same_types(name: str, new_talk: Any) -> None:
    columns = FORMATS[name].columns
    assert columns is not None
    for row in rows_of(new_talk, name, 40):
        assert set(row) == set(columns)
        assert list(misfits(row, columns, "row")) == []


@pytest.mark.parametrize("name", [each.name for each in TABLES])
def test_in_parquet_every_row_reads_back_with_arguments_and_tools_as_text(
    name: str, new_talk: Any, tmp_path: Path
) -> None:
    pytest.importorskip("datasets")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = FORMATS[name].columns
    assert columns is not None
    rows = rows_of(new_talk, name, 12)
    path = tmp_path / "rows.parquet"
    with path.open("wb") as file:
        assert write_parquet(iter(rows), columns, file) == 12
    stored = parquet.read_table(path).to_pylist()
    assert [set(row) for row in stored] == [set(columns)] * 12
    assert [row["id"] for row in stored] == [row["id"] for row in rows]
    assert all(isinstance(json.loads(row["tools"] or "[]"), list) for row in stored)
    messages = [
        json.loads(message) if isinstance(message, str) else message
        for row in stored
        for message in row.get("messages", [])
    ]
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    for call in calls:
        whole = json.loads(call) if isinstance(call, str) else call
        arguments = whole["function"]["arguments"]
        assert isinstance(arguments if isinstance(call, str) else json.loads(arguments), dict)
    assert bool(calls) is (name not in ("sharegpt", "llamafactory"))


@pytest.mark.parametrize("name", ["trl", "nemo"])
def test_objects_are_objects_again_once_datasets_has_read_them(
    name: str, new_talk: Any, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    rows = rows_of(new_talk, name, 12)
    columns = FORMATS[name].columns
    assert columns is not None
    path = tmp_path / "rows.parquet"
    with path.open("wb") as file:
        write_parquet(iter(rows), columns, file)
    read = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    for row, back in zip(rows, read, strict=True):
        messages = [{k: v for k, v in m.items() if v is not None} for m in back["messages"]]
        assert messages == row["messages"]


def test_a_table_without_rows_still_has_its_columns(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    assert write_parquet([], {"id": "text", "n": ["integer"]}, file) == 0
    assert parquet.read_schema(io.BytesIO(file.getvalue())).names == ["id", "n"]


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingLibrary, match=r"pip install 'hermes-agent\[data\]'"):
        write_parquet([{"id": "x"}], {"id": "text"}, io.BytesIO())


@pytest.mark.parametrize(
    ("value", "column", "kept"),
    [
        (None, "text", None),
        ([{"type": "text"}], "text", '[{"type":"text"}]'),
        ({"a": 1}, "object", '{"a":1}'),
        ({"a": {"b": 1}, "c": 2}, {"a": "text"}, {"a": '{"b":1}'}),
        ([], [{"a": "text"}], []),
    ],
)
def test_what_is_not_what_its_column_says_becomes_json_text(value: Any, column: Any, kept: Any) -> None:
    assert conform(value, column) == kept


def test_a_whole_number_that_no_table_holds_is_null() -> None:
    largest = 2**63 - 1
    assert conform({"a": [largest, largest + 1, -largest - 2]}, {"a": ["integer"]}) == {
        "a": [largest, None, None]
    }
