"""A session file in any condition: what is good is loaded, the rest is named, nothing is an exception."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.faults.request_checks import check_messages
from tests.security.fuzz.damage import FOREIGN, LINES, RECORDS, WHOLE, WRONG, damaged_files
from tests.security.fuzz.fuzzing import fuzz
from trajectories.openai_messages import openai_row
from trajectories.preparing import prepare
from trajectories.session_list import list_sessions
from trajectories.session_load import Session, SessionError, load_session
from trajectories.sharegpt import sharegpt_row
from trajectories.validate import validate_row

pytestmark = pytest.mark.long
FOLDER = Path()


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One for all examples of all tests here: a fixture of each would not suit so many."""
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("sessions")


def load(data: bytes) -> Session | None:
    """None where the file holds no session; anything else than a SessionError fails the test."""
    path = FOLDER / "20260101_000000_000000_fuzzed.jsonl"
    path.write_bytes(data)
    try:
        return load_session(path)
    except SessionError:
        return None


def check(session: Session) -> None:
    """It can be sent, listed and exported."""
    session.history.system = session.history.system or "system"
    # An empty message of the person is none that hermes writes; a file may hold one.
    sent = session.history.messages()
    check_messages([each for each in sent if each["role"] != "user" or each["content"]])
    assert len(session.numbers) == len(session.times) == len(session.history.entries)
    list(list_sessions(FOLDER))
    openai_row(session)
    row = sharegpt_row(prepare(session))
    if row is not None:
        json.dumps(row)
        validate_row(row)
    _ = session.usage, session.outcome


def test_the_file_that_is_damaged_here_is_whole() -> None:
    session = load(WHOLE)
    assert session is not None and not session.problems
    assert len(session.records) == len(RECORDS) - 1


@fuzz(1500)
@given(damaged_files())
@example(b"")
@example(WHOLE + b"\0" * 4096)
@example(WHOLE[:-7])
def test_a_damaged_file_is_loaded_as_far_as_it_is_good(data: bytes) -> None:
    if session := load(data):
        check(session)


@fuzz(600)
@given(st.lists(st.binary(max_size=60) | st.sampled_from([*LINES, *WRONG, *FOREIGN]), max_size=12))
def test_any_bytes_are_a_session_or_none(pieces: list[bytes]) -> None:
    if session := load(b"".join(pieces)):
        check(session)


@fuzz(600)
@given(st.lists(st.tuples(st.integers(0, len(LINES)), st.sampled_from(FOREIGN)), max_size=8), st.booleans())
def test_foreign_lines_cost_no_record(inserted: list[tuple[int, bytes]], mark: bool) -> None:
    lines = list(LINES)
    for at, line in sorted(inserted, reverse=True):
        lines.insert(at, line)
    session = load((b"\xef\xbb\xbf" if mark else b"") + b"".join(lines))
    assert session is not None
    assert [type(each) for each in session.records] == [type(each) for each in RECORDS[1:]]
    assert session.history.messages() == whole().history.messages()
    check(session)


@fuzz(400)
@given(st.integers(0, len(WHOLE)))
def test_a_file_torn_anywhere_loses_the_line_it_was_torn_in_and_no_other(size: int) -> None:
    session = load(WHOLE[:size])
    complete = WHOLE[:size].count(b"\n") - 1
    if session is None:
        assert size < len(LINES[0])
        return
    # A line that lacks nothing but its end counts as well.
    assert len(session.records) in (complete, complete + 1)
    check(session)


@fuzz(400)
@given(st.lists(st.integers(0, len(LINES) - 1), max_size=10))
def test_lines_that_were_written_twice_count_once(again: list[int]) -> None:
    lines = [line for at, line in enumerate(LINES) for _ in range(1 + again.count(at))]
    session = load(b"".join(lines))
    assert session is not None
    assert session.history.messages() == whole().history.messages()


def whole() -> Session:
    session = load(WHOLE)
    assert session is not None
    session.history.system = session.history.system or "system"
    return session
