"""What a session file keeps of a conversation with secrets in it: everything else, to the byte."""

from __future__ import annotations

import json
import random
import string
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation.message import AnswerTokens, AssistantMessage, ToolCall, ToolResult, UserMessage
from safety.redact import Redactor
from trajectories.preparing import prepare
from trajectories.redacted_record import RecordCleaner
from trajectories.session_file import SessionWriter
from trajectories.session_load import load_session
from trajectories.session_record import ChangeRecord, Header, SupersededRecord, as_record, encode_line

SECRET = 'Zk9"Lw3 Tt58\\rVb01/x'
MARK = "[redacted:known-secret]"
TOKENS = AnswerTokens([1, 2, 3], [4, 5], [-0.5, -0.25])


def written(*items: Any, header: Header | None = None, folder: Path) -> list[dict[str, Any]]:
    writer = SessionWriter.create(folder, header or Header(id=""))
    writer.redactor = lambda: Redactor([SECRET])
    for item in items:
        writer.append(item)
    writer.close()
    return [json.loads(line) for line in writer.path.read_bytes().splitlines()]


def test_every_part_of_every_record_is_clean_and_says_what_was_taken_out(tmp_path: Path) -> None:
    call = ToolCall("c1", "terminal", json.dumps({"command": f"echo {SECRET}", "n": 1}))
    lines = written(
        UserMessage([{"type": "text", "text": SECRET}]),
        AssistantMessage(SECRET, (call,), reasoning=SECRET, reasoning_details=[{"text": SECRET}]),
        ToolResult("c1", "terminal", json.dumps({"output": SECRET})),
        SupersededRecord(text=SECRET, reason=SECRET),
        ChangeRecord(
            what="system", system=SECRET, tools=[{"function": {"name": "x", "description": SECRET}}]
        ),
        header=Header(id="", system=f"Say {SECRET}.", cwd=f"/home/{SECRET}"),
        folder=tmp_path,
    )
    text = json.dumps(lines)
    assert json.dumps(json.dumps(SECRET)[1:-1])[1:-1] not in text and json.dumps(SECRET)[1:-1] not in text
    assert [line["redacted"]["known-secret"] for line in lines] == [2, 1, 4, 1, 2, 2]
    assert lines[0]["system"] == f"Say {MARK}."
    assert json.loads(lines[2]["tool_calls"][0]["arguments"]) == {"command": f"echo {MARK}", "n": 1}
    assert json.loads(lines[3]["content"]) == {"output": MARK}


def test_an_answer_that_was_changed_keeps_no_token_ids_and_later_ones_only_their_own(tmp_path: Path) -> None:
    _, before, changed, after = written(
        AssistantMessage("Hello.", tokens=TOKENS),
        AssistantMessage(SECRET, tokens=TOKENS),
        AssistantMessage("Later.", tokens=TOKENS),
        folder=tmp_path,
    )
    assert before["tokens"] == msgspec.to_builtins(TOKENS) and "tokens_withheld" not in before
    assert "tokens" not in changed and changed["tokens_withheld"]
    assert after["tokens"] == {"answer": [4, 5], "logprobs": [-0.5, -0.25]} and after["tokens_withheld"]


def test_arguments_stay_as_they_were_written_around_a_secret(tmp_path: Path) -> None:
    odd = '{ "a" : 1.50,"b":"' + json.dumps(SECRET)[1:-1] + '" ,\n "c": [ ] }'
    lines = written(AssistantMessage("", (ToolCall("1", "f", odd),)), folder=tmp_path)
    assert lines[1]["tool_calls"][0]["arguments"] == odd.replace(json.dumps(SECRET)[1:-1], MARK)


def test_a_secret_spelled_with_escapes_is_found(tmp_path: Path) -> None:
    escaped = '{"a": "' + "".join(f"\\u{ord(char):04x}" for char in SECRET) + '"}'
    lines = written(AssistantMessage("", (ToolCall("1", "f", escaped),)), folder=tmp_path)
    assert json.loads(lines[1]["tool_calls"][0]["arguments"]) == {"a": MARK}


def test_what_was_taken_out_is_counted_in_rows_and_rolled_back_with_its_entry(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path, Header(id=""))
    writer.redactor = lambda: Redactor([SECRET])
    writer.append(UserMessage("hi"))
    writer.append(AssistantMessage(f"it is {SECRET}"))
    writer.append(UserMessage("thanks"))
    writer.append(AssistantMessage("Bye."))
    writer.end_turn("done")
    writer.close()
    session = load_session(writer.path)
    assert session.redactions == [{}, {"known-secret": 1}, {}, {}]
    prepared = prepare(session, redactor=Redactor([SECRET]))
    assert prepared.redactions == {"known-secret": 1}
    assert prepared.marks == [set(), {"redacted"}, set(), set()]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.just(SECRET)
    | st.just(f"x {SECRET}\n"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def hidden(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(SECRET, MARK)
    if isinstance(value, list):
        return [hidden(each) for each in value]
    if isinstance(value, dict):
        return {hidden(key): hidden(each) for key, each in value.items()}
    return value


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), json_values, max_size=4), st.sampled_from([None, 2]), st.booleans()
)
def test_json_stays_json_and_only_the_secret_changes(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    record = as_record(AssistantMessage("", (ToolCall("1", "f", text),)), "")
    cleaner = RecordCleaner(Redactor([SECRET]))
    clean = cleaner.clean(record)
    assert isinstance(clean, type(record))
    arguments = clean.tool_calls[0].arguments  # type: ignore[union-attr]
    assert json.loads(arguments) == hidden(value)
    assert RecordCleaner(Redactor([SECRET])).clean(clean).tool_calls == clean.tool_calls  # type: ignore[union-attr]
    if hidden(value) == value:
        assert clean is record


@pytest.mark.parametrize(
    "text", ["plain", '{"a": "\\u0041"}', '{"a"', "[1, 2", "\ud83d", '["' + "x" * 50_000 + '"]']
)
def test_without_a_secret_the_record_is_the_same_object(text: str) -> None:
    record = as_record(ToolResult("1", "f", text), "2026")
    assert RecordCleaner(Redactor([SECRET])).clean(record) is record


def test_a_record_costs_less_than_encoding_and_writing_it_may_take() -> None:
    source = random.Random(1)
    known = ["".join(source.choices(string.ascii_letters + string.digits, k=40)) for _ in range(5)]
    cleaner = RecordCleaner(Redactor(known))
    output = json.dumps({"output": "src/module.py:12: def handler(request):\n" * 60, "exit_code": 0})
    record = as_record(ToolResult("c", "terminal", output), "2026")
    began = time.process_time()
    for _ in range(200):
        encode_line(cleaner.clean(record))
    assert (time.process_time() - began) / 200 < 0.001
