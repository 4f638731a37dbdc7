"""Rows of every format are told by their keys and checked against their layout."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from corpus.reading import Row, read_rows
from corpus.row_layout import LAYOUTS, layout_of, layout_problems
from tests.corpus.every_format import lines_of_formats, write_rows, write_session


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("rows")
    found = {"prompt": {"prompt": "list the files", "topic": 1}}
    for name, lines in lines_of_formats(write_session(folder / "sessions")).items():
        (row,) = read_rows(write_rows(folder / name, *lines))
        assert isinstance(row, Row)
        found[name] = row.value
    found["sharegpt and openai"] = found.pop("both")
    return found


@pytest.mark.parametrize("name", [*LAYOUTS, "sharegpt and openai"])
def test_what_hermes_exports_keeps_to_its_layout(rows: dict[str, dict[str, Any]], name: str) -> None:
    row = rows[name]
    assert layout_of(row) == name.split(" ")[0]
    assert layout_problems(row, layout_of(row)) == []


def _drop(*path: Any) -> Callable[[Any], None]:
    def change(row: Any) -> None:
        for step in path[:-1]:
            row = row[step]
        del row[path[-1]]

    return change


def _put(value: Any, *path: Any) -> Callable[[Any], None]:
    def change(row: Any) -> None:
        for step in path[:-1]:
            row = row[step]
        row[path[-1]] = value

    return change


CHANGES: list[tuple[str, Callable[[Any], None], str]] = [
    ("sharegpt", _drop("conversations", -1), "the last turn is from human"),
    ("sharegpt and openai", _put("x", "messages", 1, "role"), "has the role 'x'"),
    ("openai", _put("[]", "messages", 2, "tool_calls", 0, "function", "arguments"), "are no object"),
    ("trl", _put("{}", "messages", 2, "tool_calls", 0, "function", "arguments"), "no object"),
    ("trl", _put("", "facts"), "facts is not the JSON text of an object"),
    ("axolotl", _drop("messages", 1, "train"), "train is not true or false"),
    ("axolotl", _drop("messages", 4), "have no results"),
    ("nemo", _put("[", "tools"), "tools is not the JSON text of a list"),
    ("nemo", _put("x", "messages"), "messages is not a list"),
    ("llamafactory", _drop("conversations", 0), "turn 0 is from 'function_call', not human or tool"),
    ("llamafactory", _drop("conversations", -1), "the last turn is no answer"),
    ("llamafactory", _put("no json", "conversations", 1, "value"), "no JSON of calls"),
    ("llamafactory", _put(None, "system"), "system is not a string"),
    ("atif", _put(1, "steps", 0, "reward"), "unknown field `reward`"),
    ("atif", _put(1, "reward"), "unknown field `reward`"),
    ("atif", _drop("steps", 1), "step_id is 3"),
    ("atif", _drop("agent", "version"), "missing required field `version`"),
    ("atif", _put("c9", "steps", 2, "observation", "results", 0, "source_call_id"), "no call of this step"),
    ("atif", _put("robot", "steps", 2, "source"), "robot"),
    ("atif", _put("hm", "steps", 1, "reasoning_content"), "belongs to steps of the agent"),
    ("atif", _put("2.0", "schema_version"), "is not ATIF-v1"),
    ("atif", _put([], "steps"), "length >= 1"),
    ("hf", _put("x", "messages", 1, "role"), "has the role 'x'"),
    ("prompt", _put(" ", "prompt"), "prompt is not a text"),
]


@pytest.mark.parametrize(("name", "change", "expected"), CHANGES)
def test_what_is_wrong_with_a_row_is_said(
    rows: dict[str, dict[str, Any]], name: str, change: Callable[[Any], None], expected: str
) -> None:
    row = copy.deepcopy(rows[name])
    layout = layout_of(row)
    change(row)
    problems = layout_problems(row, layout)
    assert any(expected in problem for problem in problems), problems


def test_a_row_of_no_format_is_said_to_be_none() -> None:
    assert layout_of({"a": 1}) == "unknown"
    assert layout_problems({"a": 1}, "unknown")


HOSTILE: list[Any] = [None, 1, "x", [], {}, [None], [[]], [{}], {"a": None}, [{"from": []}], [{"role": {}}]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_row_makes_the_check_fail(rows: dict[str, dict[str, Any]], layout: str) -> None:
    for key in rows[layout]:
        for value in HOSTILE:
            row = {**rows[layout], key: value}
            assert layout_of(row)
            layout_problems(row, layout)
    steps = ("tool_calls", "function", "content", "role", "observation", "source", "from", "value")
    for key in ("messages", "conversations", "steps"):
        for inner in steps:
            for value in HOSTILE:
                row = {key: [{"role": "assistant", "from": "gpt", "source": "agent", inner: value}]}
                layout_of(row)
                layout_problems(row, layout)
