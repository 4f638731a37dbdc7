"""What a server says of its tools, before anybody sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safety.terminal_text import neutralize
from tools.mcp.definition import (
    LONGEST_DESCRIPTION,
    MOST_TOOLS,
    UnusableToolError,
    read_definition,
    read_definitions,
)
from tools.mcp.schema_bounds import MOST_BYTES, UnusableSchemaError, bounded_schema
from tools.mcp.tool_names import model_names


def said(name: str = "echo", description: str = "", **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"name": name, "description": description, "inputSchema": schema}


def test_a_description_loses_what_hides_text_and_is_cut() -> None:
    hidden = "Adds.\u202e\U000e0041\U000e0042\x1b[2J\u200b" + "x" * 5_000
    found = read_definition(said(description=hidden)).description
    assert found.startswith("Adds.xxx")
    assert neutralize(found) == found
    assert len(found) <= LONGEST_DESCRIPTION


@pytest.mark.parametrize("name", ["", "a\nb", "red\x1b[31m", "a\u202eb", "x" * 129, "tab\there"])
def test_a_tool_whose_name_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(UnusableToolError, match="name"):
        read_definition(said(name))


def test_what_was_cut_off_still_counts_as_a_change() -> None:
    one, other = (read_definition(said(description="x" * 2_000 + end)) for end in "ab")
    assert one.description == other.description
    assert one.digest != other.digest


def test_what_a_server_claims_of_itself_is_kept_apart() -> None:
    told = {**said(), "annotations": {"readOnlyHint": True, "destructiveHint": False, "title": "x"}}
    found = read_definition(told)
    assert found.claims == ["read-only", "not destructive"]
    assert found.digest == read_definition(said()).digest


def test_of_ten_thousand_tools_a_hundred_are_used_and_the_rest_is_said() -> None:
    usable, refused = read_definitions(said(f"t{number}") for number in range(10_000))
    assert len(usable) == MOST_TOOLS
    assert refused == [("9900 more", "a server may have 100; choose with mcp.NAME.tools")]


def test_the_tools_a_person_chose_are_found_among_many_and_missing_ones_named() -> None:
    usable, refused = read_definitions([said(f"t{number}") for number in range(500)], ["t400", "t_gone"])
    assert [each.name for each in usable] == ["t400"]
    assert refused == [("t_gone", "the server has no such tool")]


def test_of_two_tools_with_one_name_the_first_counts() -> None:
    usable, refused = read_definitions([said("a", "one"), said("a", "two")])
    assert [each.description for each in usable] == ["one"]
    assert refused[0][0] == "a"


def test_a_small_schema_stays_as_it_is_but_for_what_costs_and_tells_nothing() -> None:
    kept = {
        "type": "object",
        "properties": {
            "mode": {"type": "string", "enum": ["a", "b"], "description": "Which."},
            "title": {"type": "array", "items": {"$ref": "#/$defs/t"}},
        },
        "required": ["mode"],
        "additionalProperties": False,
        "$defs": {"t": {"type": "integer", "minimum": 1}},
    }
    given = {**kept, "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Args"}
    assert bounded_schema(given) == kept


@pytest.mark.parametrize("schema", [None, "text", [], {"type": "array"}, {"type": ["object", "null"]}])
def test_parameters_that_are_no_object_are_refused(schema: Any) -> None:
    with pytest.raises(UnusableSchemaError, match="parameters"):
        bounded_schema(schema)


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/s", "file:///etc/passwd", "#/$defs/none", "#"])
def test_references_out_of_the_schema_are_dropped(reference: str) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}}
    assert bounded_schema(schema)["properties"] == {"a": {}}


def test_a_parameter_whose_name_moves_text_makes_the_tool_unusable() -> None:
    with pytest.raises(UnusableSchemaError, match="name"):
        bounded_schema({"type": "object", "properties": {"a\u202eb": {"type": "string"}}})


def test_values_that_hide_text_are_dropped_from_a_schema() -> None:
    given = {"type": "string", "enum": ["a", "b\x1b[2J"], "default": "\u202e", "pattern": "^a$"}
    found = bounded_schema({"type": "object", "properties": {"a": given}})
    assert found["properties"]["a"] == {"type": "string", "pattern": "^a$"}


def test_a_long_schema_loses_notes_first_and_then_depth() -> None:
    notes = {f"p{number}": {"type": "string", "description": "d" * 299} for number in range(20)}
    found = bounded_schema({"type": "object", "properties": notes})
    assert all(len(each["description"]) <= 100 for each in found["properties"].values())
    deep = {"type": "object", "properties": {f"q{number}": {"type": "string"} for number in range(300)}}
    found = bounded_schema({"type": "object", "properties": {"one": deep, "two": {"type": "integer"}}})
    assert found["properties"] == {"one": {"type": "object"}, "two": {"type": "integer"}}


def test_a_vast_schema_makes_the_tool_unusable() -> None:
    vast = {f"p{number}": {"type": "string"} for number in range(2_000)}
    with pytest.raises(UnusableSchemaError, match="bytes"):
        bounded_schema({"type": "object", "properties": vast})


def test_a_bottomless_schema_is_cut() -> None:
    node: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        node = {"type": "object", "properties": {"a": node}}
    assert len(json.dumps(bounded_schema(node))) < MOST_BYTES


def test_names_are_sendable_and_the_same_each_time() -> None:
    servers = {"b": ["plain", "wörld", "x" * 90], "a_b": ["c"], "a": ["b_c"]}
    names = model_names(servers)
    assert names["b", "plain"] == "mcp_b_plain"
    assert names["a", "b_c"] == "mcp_a_b_c"
    assert names["a_b", "c"].startswith("mcp_a_b_c_")
    assert all(len(name) <= 64 and name.isascii() for name in names.values())
    assert len(set(names.values())) == len(names) == 5
    assert model_names(dict(reversed(servers.items()))) == names
