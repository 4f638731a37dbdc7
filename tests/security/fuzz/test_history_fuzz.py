"""Histories and rows from outside, of any shape: mended or refused with a reason, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.history import History
from conversation.repair import HistoryReader
from tests.faults.request_checks import check_messages
from tests.security.fuzz.fuzzing import fuzz
from trajectories.validate import validate_line, validate_row

pytestmark = pytest.mark.long

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ids = st.sampled_from(["a", "b", "c", ""]) | anything
calls = st.fixed_dictionaries(
    {},
    optional={
        "id": ids,
        "type": st.just("function") | anything,
        "function": st.fixed_dictionaries(
            {},
            optional={
                "name": st.just("look") | anything,
                "arguments": st.just("{}") | st.text(max_size=9) | anything,
            },
        )
        | anything,
    },
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "nobody"]) | anything,
        "content": st.text(max_size=20)
        | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": anything}))
        | anything,
        "tool_calls": st.lists(calls | anything, max_size=3) | anything,
        "tool_call_id": ids,
        "name": anything,
        "reasoning_content": anything,
        "reasoning": anything,
    },
)


@fuzz(500)
@given(st.lists(messages | anything, max_size=8))
def test_a_history_from_outside_can_always_be_sent(handed_in: list[Any]) -> None:
    reader = HistoryReader()
    history = History("system")
    for entry in reader.read(handed_in):
        history.add(entry)
    sent = history.messages()
    json.dumps(sent)
    check_messages([each for each in sent if each.get("role") != "user" or each["content"]])


turns = st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["system", "human", "gpt", "tool"]) | anything,
        "value": st.sampled_from(
            [
                "hello", "<think>\n</think>\nyes",
                "<tool_call>\n{\"name\": \"a\", \"arguments\": {}}\n</tool_call>",
                "<tool_response>\n{}\n</tool_response>", "<tools>\n[]\n</tools>", "<tool_call>", "<think>",
            ]
        )
        | st.text(max_size=20)
        | anything,
    },
)  # fmt: skip
rows = st.fixed_dictionaries(
    {},
    optional={
        "conversations": st.lists(turns | anything, max_size=6) | anything,
        "messages": st.lists(messages | anything, max_size=6) | anything,
        "tools": st.sampled_from(["[]", '[{"type": "function", "function": {"name": "a"}}]', "["]) | anything,
        "flags": st.lists(anything, max_size=3) | anything,
        "id": anything,
        "timestamp": st.sampled_from(["2026-01-01T00:00:00Z", "99999-01-01", "-"]) | anything,
        "model": anything,
        "completed": anything,
        "usage": anything,
        "outcome": anything,
        "truncated": anything,
    },
)


@fuzz(500)
@given(rows | anything)
def test_a_row_of_any_shape_gets_its_list_of_faults(row: Any) -> None:
    problems = validate_row(row)
    assert all(isinstance(each, str) and each for each in problems)
    if isinstance(row, dict) and not ({"conversations", "messages"} & set(row)):
        assert problems


@fuzz(500)
@given(
    st.binary(max_size=60)
    | anything.map(lambda value: json.dumps(value).encode())
    | rows.map(lambda row: json.dumps(row).encode())
)
def test_a_line_of_any_bytes_gets_its_list_of_faults(line: bytes) -> None:
    assert all(isinstance(each, str) for each in validate_line(line))


def test_a_line_nested_without_end_is_not_json() -> None:
    for line in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000):
        assert validate_line(line)
