"""Arguments against the schema of a stranger."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tools.mcp.argument_check import checked_arguments
from tools.tool import ArgumentError

pytest.importorskip("jsonschema", reason="jsonschema is not installed")

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "times": {"type": "integer", "minimum": 1},
        "on": {"type": "boolean"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "where": {"type": "object"},
        "loose": {},
    },
    "required": ["text"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "enum": ["a", "b"]}},
}


def check(**arguments: Any) -> dict[str, Any]:
    return checked_arguments("mcp_x_y", SCHEMA, arguments)


def test_good_arguments_pass_as_they_are() -> None:
    given = {"text": "5", "times": 2, "on": False, "tags": ["a"], "where": {"k": 1}, "loose": [None]}
    assert check(**given) == given


def test_numbers_lists_and_objects_written_as_text_are_read() -> None:
    found = check(text="5", times="2", on="true", tags='["b"]', where='{"k": 1}')
    assert found == {"text": "5", "times": 2, "on": True, "tags": ["b"], "where": {"k": 1}}


def test_null_for_what_is_not_required_is_left_out() -> None:
    assert check(text="a", times=None) == {"text": "a"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "required parameter 'text' is missing"),
        ({"text": "a", "extra": 1}, "no parameter 'extra'; there are: text, times"),
        ({"text": 5}, "'text': 5 is not of type 'string'"),
        ({"text": "a", "times": "many"}, "'times': 'many' is not of type 'integer'"),
        ({"text": "a", "times": 0}, "'times': 0 is less than the minimum"),
        ({"text": "a", "tags": ["a", "c"]}, "'tags.1': 'c' is not one of"),
        ({"text": None}, "'text': None is not of type 'string'"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_sent(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        check(**arguments)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "value", ["\ud800", float("nan"), float("inf")], ids=["half a character", "nan", "inf"]
)
def test_what_is_no_json_is_not_sent(value: Any) -> None:
    with pytest.raises(ArgumentError, match="no JSON"):
        check(text="a", loose=value)


def test_a_long_wrong_value_is_not_told_whole() -> None:
    with pytest.raises(ArgumentError) as caught:
        check(text="a", where="x" * 100_000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"$ref": "#/$defs/x"}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/d0"}},
            "$defs": {
                f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}, {"$ref": f"#/$defs/d{at + 1}"}]}
                for at in range(40)
            },
        },
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"type": "object", "properties": {"a": {"enum": 5, "required": 3, "minimum": "x"}}},
        {"type": "object", "required": [["a"]], "properties": {"a": {"multipleOf": 0}}},
    ],
    ids=["pattern", "circle", "doubling", "no type", "nonsense", "zero"],
)
def test_a_schema_that_is_a_trap_is_checked_in_no_time(schema: dict[str, Any]) -> None:
    began = time.monotonic()
    value: Any = 5 if "required" in schema else "a" * 40 + "!"
    assert checked_arguments("mcp_x_y", schema, {"a": value}) == {"a": value}
    assert time.monotonic() - began < 2
