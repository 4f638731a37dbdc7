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

    Values that are not what their column says become JSON text; what a row lacks is null.

    Raises:
        MissingLibrary: `datasets` is not there.
    """
    try:
        datasets = import_module("datasets")
        pyarrow = import_module("pyarrow")
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise MissingLibrary("Parquet needs the library datasets: pip install 'hermes-agent[data]'") from None
    schema = datasets.Features(
        {name: _feature(datasets, column) for name, column in columns.items()}
    ).arrow_schema
    source = iter(rows)
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        while batch := list(islice(source, ROWS_AT_ONCE)):
            flat = [
                {name: conform(row.get(name), column) for name, column in columns.items()} for row in batch
            ]
            writer.write_table(pyarrow.Table.from_pylist(flat, schema=schema))
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
    if column == "object" or (column == "text" and not isinstance(value, str)):
        return json_of(value)
    return value


def _feature(datasets: Any, column: Any) -> Any:
    """The type in `datasets`. An `object` reads back as the object it was."""
    if isinstance(column, dict):
        return {name: _feature(datasets, each) for name, each in column.items()}
    if isinstance(column, list):
        return datasets.List(_feature(datasets, column[0]))
    if column == "object":
        return datasets.Json()
    kinds = {"text": "string", "integer": "int64", "number": "float64", "bool": "bool"}
    return datasets.Value(kinds[column])
