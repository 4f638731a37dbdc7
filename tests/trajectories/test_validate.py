from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from trajectories.openai_messages import openai_row
from trajectories.sharegpt import sharegpt_row
from trajectories.validate import validate_line, validate_row


@pytest.fixture
def row(talk: Any) -> dict[str, Any]:
    """system, human, gpt with two calls, tool, gpt."""
    talk.person("hi").call("c1", "c2", text="so").result("c1").result("c2").answer("bye").end()
    made = sharegpt_row(talk.load())
    assert made is not None
    return {**made, "messages": openai_row(talk.load())["messages"]}


def with_turn(row: dict[str, Any], index: int, old: str, new: str) -> dict[str, Any]:
    changed = copy.deepcopy(row)
    turn = changed["conversations"][index]
    assert old in turn["value"]
    turn["value"] = turn["value"].replace(old, new, 1)
    return changed


def problems(row: dict[str, Any]) -> str:
    return "\n".join(validate_row(row))


def test_a_good_row_has_no_problems(row: dict[str, Any]) -> None:
    assert validate_row(row) == []
    assert validate_row(row, "sharegpt") == []
    assert validate_row(row, "openai") == []
    assert validate_line(json.dumps(row).encode()) == []


@pytest.mark.parametrize(
    ("index", "old", "new", "problem"),
    [
        (2, "<think>\n</think>\n", "", "turn 2 (gpt): does not begin with a <think> block"),
        (2, "<think>\n</think>", "<think></think>", "does not begin with a <think> block"),
        (2, "so\n", "so <think>\n", "markup inside the text"),
        (2, "so\n", "so", "does not begin on a line of its own"),
        (2, '"ls"', "'ls'", "a block is not JSON"),
        (2, '"ls"', "NaN", "NaN is not JSON"),
        (2, '{"command": "ls"}', '"ls"', "arguments in a block is not a JSON object"),
        (2, '"name": "terminal", ', "", "a block is not an object of name, arguments"),
        (2, '"terminal"', '"rocket"', "turn 2 calls 'rocket', which is not among the tools"),
        (2, "</tool_call>\n", "</tool_call>\n\n", "expected a block"),
        (3, '"name": "terminal"', '"name": "other"', "turn 3: the results do not answer the calls"),
        (3, '"c2"', '"c1"', "turn 3: a tool_call_id was used before"),
        (3, "</tool_response>\n", "</tool_response> and ", "text after a block"),
        (4, "bye", "bye\n<tool_call>\n{}", "expected a block"),
        (0, "Run a command", "Run any command", "differs from the row's tools"),
        (0, "<tools>", "", "the system turn has no <tools> block"),
    ],
)
def test_a_fault_in_a_turn_is_named(
    index: int, old: str, new: str, problem: str, row: dict[str, Any]
) -> None:
    assert problem in problems(with_turn(row, index, old, new))


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("id", "", "id is empty"),
        ("id", 5, "id is not a string"),
        ("completed", "yes", "completed is not a bool"),
        ("timestamp", "yesterday", "timestamp is not an ISO 8601 text"),
        ("model", None, "model is not a string"),
        ("git", {"commit": "abc"}, "git is not an object of commit and dirty"),
        ("redactions", [{"kind": "api-key"}], "redactions is not a list of objects of kind and count"),
        ("redactions", None, "redactions is not a list"),
        ("answers", [], "answers is not the JSON text of a list of objects"),
        ("answers", "[5]", "answers is not the JSON text of a list of objects"),
        ("compactions", "{", "compactions is not the JSON text of a list of objects"),
        ("tools", [], "tools is not JSON text"),
        ("tools", "{", "tools is not JSON text"),
        ("tools", "{}", "tools is not a list"),
        ("tools", "[{}]", "tool 0 has no function.name"),
        ("conversations", [], "conversations is not a list"),
        ("conversations", [5], "turn 0 is not an object of from and value"),
        ("conversations", [{"from": "gpt", "value": None}], "not both strings"),
        ("conversations", [{"from": "user", "value": ""}], "turn 0 is from 'user'"),
        ("messages", [{"role": "user", "content": None}], "message 0: content is not text"),
        ("messages", [5], "message 0 is not an object"),
        ("messages", [{"role": "tool", "content": "", "tool_call_id": "x"}], "answers no call"),
        ("messages", [{"role": "assistant", "content": ""}], "without text and calls"),
    ],
)
def test_a_fault_in_a_field_is_named(key: str, value: Any, problem: str, row: dict[str, Any]) -> None:
    assert problem in problems({**row, key: value})


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ([0, 1, 2, 3], "the last turn is from tool, not gpt"),
        ([0, 1, 1, 2, 3, 4], "turn 2: human after human"),
        ([0, 1, 4, 4], "turn 3: gpt after gpt"),
        ([0, 1, 2, 3, 3, 4], "turn 4: tool after tool"),
        ([0, 1, 2, 3, 1, 4], "turn 4: human after tool"),
        ([0, 4], "turn 1: gpt after system"),
        ([4], "turn 0: gpt as the first turn"),
        ([0, 0, 1, 4], "turn 1: system after system"),
        ([1, 4], "no system turn that tells of them"),
        ([0, 1, 2, 1, 4], "turn 2: its calls have no results"),
    ],
)
def test_a_wrong_order_of_turns_is_named(order: list[int], problem: str, row: dict[str, Any]) -> None:
    assert problem in problems({**row, "conversations": [row["conversations"][index] for index in order]})


@pytest.mark.parametrize(
    ("drop", "problem"),
    [(3, "out of order"), (4, "1 calls before it have no results"), (2, "answers no call")],
)
def test_an_unpaired_openai_message_is_named(drop: int, problem: str, row: dict[str, Any]) -> None:
    messages = [message for index, message in enumerate(row["messages"]) if index != drop]
    assert problem in problems({**row, "messages": messages})


def test_a_row_of_the_other_format_is_refused_when_one_is_asked_for(row: dict[str, Any]) -> None:
    del row["conversations"]
    assert validate_row(row) == []
    assert validate_row(row, "sharegpt") == ["conversations is not a list of turns"]
    del row["messages"]
    assert validate_row(row) == ["the row has neither conversations nor messages"]


@pytest.mark.parametrize("line", [b"", b"{", b"\xff", b"[" * 100_000, b"5", b'"x"', b"{}", b'{"a": NaN}'])
def test_a_line_that_is_no_row_is_one_problem(line: bytes) -> None:
    assert len(validate_line(line)) == 1


def test_no_row_however_odd_stops_the_check(row: dict[str, Any]) -> None:
    dice = random.Random(2)
    odd: list[Any] = [
        None,
        5,
        "",
        "x",
        [],
        {},
        [[]],
        {"turn": []},
        [{"turn": [], "flag": "flawed"}],
        True,
        "\ud800",
    ]

    def spoil(value: Any) -> Any:
        if dice.random() < 0.05:
            return dice.choice(odd)
        if isinstance(value, dict):
            return {key: spoil(each) for key, each in value.items()}
        return [spoil(each) for each in value] if isinstance(value, list) else value

    found = [validate_row(spoil(row)) for _ in range(2000)]
    assert sum(bool(each) for each in found) > 1000


def test_arguments_may_be_the_object_itself_and_a_row_may_end_on_a_call(row: dict[str, Any]) -> None:
    messages = copy.deepcopy(row["messages"][:3])
    call = messages[2]["tool_calls"][0]["function"]
    call["arguments"] = json.loads(call["arguments"])
    assert validate_row({**row, "messages": messages}) == []
    call["arguments"] = ["ls"]
    assert "are no object" in problems({**row, "messages": messages})


def test_rows_of_the_first_version_are_good(row: dict[str, Any]) -> None:
    later = ("cwd", "sandbox", "git", "answers", "compactions", "target", "redactions")
    assert validate_row({key: value for key, value in row.items() if key not in later}) == []
