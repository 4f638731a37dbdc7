"""What was said in a row, read out of every format and of what other programs write."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from corpus.reading import Row, read_rows
from corpus.row_content import Call, Result, Turn, as_text, is_failure, row_kind, row_turns
from corpus.row_facts import RowFacts
from tests.corpus.every_format import lines_of_formats, write_rows, write_session

NAMES = ["both", "sharegpt", "openai", "trl", "llamafactory", "axolotl", "nemo", "atif", "hf"]


@pytest.mark.parametrize("name", NAMES)
def test_a_conversation_reads_the_same_in_every_format(tmp_path: Path, name: str) -> None:
    lines = lines_of_formats(write_session(tmp_path / "sessions"))[name]
    (row,) = read_rows(write_rows(tmp_path / "rows.jsonl", *lines))
    assert isinstance(row, Row)
    turns = row_turns(row.value)
    joined: list[tuple[str, str, str, list[Any], list[Any]]] = []
    for turn in turns:
        results = [(result.name, result.content.replace(" ", ""), result.failed) for result in turn.results]
        if joined and joined[-1][0] == "tool" == turn.role:
            joined[-1][4].extend(results)  # OpenAI has a message for each result
            continue
        calls = [(call.name, call.arguments.replace(" ", "")) for call in turn.calls]
        joined.append((turn.role, turn.text, turn.reasoning, calls, results))
    assert joined[0][0] == "system"
    assert joined[0][1].endswith("Be kind.")
    call = ("terminal", '{"command":"ls"}')
    assert joined[1:] == [
        ("human", "list the files", "", [], []),
        ("gpt", "I look.", "They want <b>files</b>.", [call, call], []),
        ("tool", "", "", [], [
            ("terminal", '{"output":"a.txt"}', False),
            ("terminal", '{"error":"notfound"}', True),
        ]),
        ("gpt", "There is a.txt.", "", [], []),
        ("human", "thanks", "", [], []),
        ("gpt", "Welcome.", "", [], []),
    ]  # fmt: skip


def test_the_dialects_of_other_programs_are_read() -> None:
    row = {
        "conversations": [
            {"from": "user", "value": "q"},
            {"from": "function_call", "value": '[{"name": "f", "arguments": {"a": 1}}]'},
            {"from": "observation", "value": '{"success": false}'},
            {"from": "function_call", "value": '{"name": "g", "parameters": {}}'},
            {"from": "observation", "value": "fine"},
            {"from": "assistant", "value": "done"},
        ]
    }
    assert row_turns(row) == [
        Turn("human", 0, "q"),
        Turn("gpt", 1, calls=(Call("f", '{"a":1}'),)),
        Turn("tool", 2, results=(Result('{"success": false}', "f", failed=True),)),
        Turn("gpt", 3, calls=(Call("g", "{}"),)),
        Turn("tool", 4, results=(Result("fine", "g"),)),
        Turn("gpt", 5, "done"),
    ]


def test_prompt_and_completion_are_messages() -> None:
    assert row_turns({"prompt": "q", "completion": "a"}) == [Turn("human", 0, "q"), Turn("gpt", 1, "a")]
    row = {
        "prompt": [{"role": "user", "content": "q"}],
        "completion": [{"role": "assistant", "content": "a"}],
    }
    assert row_turns(row) == [Turn("human", 0, "q"), Turn("gpt", 1, "a")]
    assert row_kind({"prompt": "q"}) == "prompt"
    assert row_kind({"other": 1}) == "unknown"


def test_results_find_their_calls_by_id_before_place() -> None:
    calls = [{"id": "1", "function": {"name": "f"}}, {"id": "2", "function": {"name": "g"}}]
    row = {
        "messages": [
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "2", "content": "b"},
            {"role": "tool", "tool_call_id": "1", "content": "a"},
        ]
    }
    assert [turn.results[0].name for turn in row_turns(row)[1:]] == ["g", "f"]


def test_an_open_block_stays_text() -> None:
    row = {"conversations": [{"from": "gpt", "value": "<think>half <tool_call>{}"}]}
    assert row_turns(row) == [Turn("gpt", 0, "<think>half <tool_call>{}")]


@pytest.mark.parametrize(
    ("content", "failed"),
    [
        ('{"error": "x"}', True),
        ('{"error": null, "exit_code": 1}', False),
        ('{"error": ""}', False),
        ('{"success": false}', True),
        ({"error": {"code": 1}}, True),
        ("error", False),
        ('{"error": ', False),
        ([], False),
        (None, False),
    ],
)
def test_a_result_failed_if_it_says_so(content: Any, failed: bool) -> None:
    assert is_failure(content) is failed


def test_content_of_parts_becomes_text() -> None:
    assert as_text([{"type": "text", "text": "a"}, {"type": "image_url"}]) == "a\n[image_url]"
    assert as_text({"a": [1, None]}) == '{"a":[1,null]}'
    assert as_text(None) == ""


@pytest.mark.parametrize("text", ["<tool_call>" * 90_000, "<think></think>" * 60_000, "<think>" * 150_000])
def test_a_hostile_megabyte_is_read_in_no_time(text: str) -> None:
    started = time.process_time()
    row_turns({"conversations": [{"from": "gpt", "value": text}, {"from": "tool", "value": text}]})
    assert time.process_time() - started < 2


def test_tools_are_counted_from_the_turns_where_the_row_does_not_say() -> None:
    row = {
        "messages": [
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}] * 2},
            {"role": "tool", "tool_call_id": "1", "content": '{"error": "x"}'},
        ]
    }
    (use,) = RowFacts(row).tools.items()
    assert (use[0], use[1].calls, use[1].failed) == ("f", 2, 1)
