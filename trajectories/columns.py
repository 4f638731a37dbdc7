"""The columns of a table of rows, as Parquet wants them declared: the same types in each row.

A column is declared as `text`, `integer`, `number`, `bool`, `object` (anything; kept as JSON text), as a dict
of columns, or as a list of one of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from itertools import islice
from typing import IO, Any

from trajectories.row_facts import json_of

ROWS_AT_ONCE = 500
"""Rows held in memory and written together."""


class MissingLibrary(Exception):
    """A library that only this needs is not installed; the text says how to get it."""


def write_parquet(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any], file: IO[bytes]) -> int:
    """Write `rows` with exactly `columns`, a bounded number at a time. Returns how many there were.

    Values that are not what their column says become JSON text; what a row lacks is null, and so is a whole
    number beyond 64 bits (servers count what they like).

    Raises:
        MissingLibrary: `datasets` is not there.
    """
    try:
        datasets = import_module("datasets")
        pyarrow = import_module("pyarrow")
        parquet = import_module("pyarrow.parquet")
        table = import_module("datasets.table")
    except ImportError:
        raise MissingLibrary("Parquet needs the library datasets: pip install 'hermes-agent[data]'") from None
    stored = datasets.Features(_features(datasets, columns, "text")).arrow_schema
    read = datasets.Features(_features(datasets, columns, "object")).arrow_schema
    source = iter(rows)
    count = 0
    with parquet.ParquetWriter(file, read) as writer:
        while batch := list(islice(source, ROWS_AT_ONCE)):
            flat = [{name: conform(row.get(name), each) for name, each in columns.items()} for row in batch]
            writer.write_table(table.table_cast(pyarrow.Table.from_pylist(flat, schema=stored), read))
            count += len(batch)
    return count


def conform(value: Any, column: Any) -> Any:
    """`value` as its column holds it."""
    if value is None:
        return None
    if isinstance(column, dict):
        return {name: conform(value.get(name), each) for name, each in column.items()}
    if isinstance(column, list):
        return [conform(each, column[0]) for each in value]
    if column == "integer" and not -(2**63) <= value < 2**63:
        return None
    if column == "object" or (column == "text" and not isinstance(value, str)):
        return json_of(value)
    return value


def _features(datasets: Any, columns: Mapping[str, Any], object_as: str) -> dict[str, Any]:
    """The types in `datasets`. An `object` is JSON text in the file; `datasets` reads it back as it was."""
    return {name: _feature(datasets, each, object_as) for name, each in columns.items()}


def _feature(datasets: Any, column: Any, object_as: str) -> Any:
    if isinstance(column, dict):
        return _features(datasets, column, object_as)
    if isinstance(column, list):
        return datasets.List(_feature(datasets, column[0], object_as))
    if column == "object":
        column = object_as
    if column == "object":
        return datasets.Json()
    kinds = {"text": "string", "integer": "int64", "number": "float64", "bool": "bool"}
    return datasets.Value(kinds[column])
