"""Reading files of rows: whatever is in them, every good row counts and every other line is named."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from corpus.reading import Problem, Row, read_rows, stored_size
from tests.corpus.every_format import lines_of_formats, write_rows, write_session

ROOT = Path(__file__).parents[2]

BAD = {
    "blank": (b"  \t ", "blank"),
    "nul alone": (b"\0\0\0", "nul"),
    "nul inside": (b'{"a": "\0"}', "nul"),
    "not utf-8": (b'{"a": "\xff\xfe"}', "not_utf8"),
    "cut off": (b'{"a": "b', "cut_off"),
    "cut off in a list": (b'{"a": [1, 2', "cut_off"),
    "not json": (b"{'a': 1}", "not_json"),
    "two values": (b'{"a": 1} {"b": 2}', "not_json"),
    "a list": (b"[1, 2]", "not_object"),
    "a string": (b'"text"', "not_object"),
    "null": (b"null", "not_object"),
    "NaN": (b'{"a": NaN}', "not_json"),
    "a huge number": (b'{"a": 1e999}', "not_json"),
    "half a pair": (b'{"a": "\\ud83d"}', "not_json"),
    "deep": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not_json"),
    "a terminal sequence": (b"\x1b[2J\x1b]0;owned\x07", "not_json"),
}


@pytest.mark.parametrize(("line", "kind"), BAD.values(), ids=BAD)
def test_a_bad_line_is_named_and_its_neighbours_are_read(tmp_path: Path, line: bytes, kind: str) -> None:
    path = write_rows(tmp_path / "rows.jsonl", {"n": 1}, line, {"n": 3})
    first, problem, third = read_rows(path)
    assert isinstance(first, Row)
    assert isinstance(third, Row)
    assert isinstance(problem, Problem)
    assert (first.number, first.value, third.number, third.value) == (1, {"n": 1}, 3, {"n": 3})
    assert (problem.number, problem.kind) == (2, kind)
    assert problem.reason


def test_places_lead_back_to_the_rows(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", '\ufeff{"a": "ü"}', "", '  {"b": 2}\r', {"c": 3})
    data = path.read_bytes()
    for item in read_rows(path):
        if isinstance(item, Row):
            line = data[item.offset :].split(b"\n")[0]
            assert item.raw in line
            assert json.loads(item.raw) == item.value


def test_a_last_line_without_its_end_is_a_row_if_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": 2}')
    assert [item.value for item in read_rows(path) if isinstance(item, Row)] == [{"a": 1}, {"b": 2}]
    path.write_bytes(b'{"a": 1}\n{"b": ')
    *_, last = read_rows(path)
    assert isinstance(last, Problem)
    assert "not written to its end" in last.reason


def test_a_good_row_behind_the_zeros_of_a_crash_is_read(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", b"\0" * 4096 + b'{"a": 1}')
    assert [item.value for item in read_rows(path) if isinstance(item, Row)] == [{"a": 1}]


def test_a_line_beyond_the_limit_is_left_out_and_counted(tmp_path: Path) -> None:
    long = json.dumps({"a": "x" * 5000})
    path = write_rows(tmp_path / "rows.jsonl", {"n": 1}, long, {"n": 3})
    first, problem, third = read_rows(path, limit=1000)
    assert isinstance(problem, Problem)
    assert problem.kind == "too_long"
    assert isinstance(third, Row)
    assert path.read_bytes()[third.offset :] == b'{"n": 3}\n'
    assert [type(item) for item in read_rows(path, limit=len(long))] == [Row, Row, Row]
    assert [type(item) for item in read_rows(path, limit=len(long) - 1)] == [Row, Problem, Row]
    assert isinstance(first, Row)


def test_a_compressed_file_reads_the_same_whatever_its_name(tmp_path: Path) -> None:
    plain = write_rows(tmp_path / "rows.jsonl", {"a": 1}, "bad", {"b": 2})
    packed = tmp_path / "rows"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read_rows(packed)) == list(read_rows(plain))


@pytest.mark.parametrize(
    ("beginning", "what"),
    [(b"PAR1", "Parquet"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"PK\x03\x04", "zip"), (b"BZh9", "bzip2")],
)
def test_what_is_no_text_is_named_once_with_what_to_do(tmp_path: Path, beginning: bytes, what: str) -> None:
    path = tmp_path / "rows"
    path.write_bytes(beginning + b"\0\xff\n" * 100)
    (problem,) = read_rows(path)
    assert isinstance(problem, Problem)
    assert what in problem.reason


def test_a_damaged_compressed_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    source = random.Random(1)
    lines = [json.dumps({"n": n, "x": source.random()}) for n in range(5000)]
    data = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "rows.gz"
    for broken in (data[: len(data) // 2], data[:20000] + b"damage" + data[20006:]):
        path.write_bytes(broken)
        *rows, last = read_rows(path)
        assert isinstance(last, Problem)
        assert last.kind == "damaged"
        assert len([row for row in rows if isinstance(row, Row)]) > 100


def test_any_bytes_at_all_are_read_to_their_end(tmp_path: Path) -> None:
    """Every line is told exactly once, in order."""
    source = random.Random(5)
    path = tmp_path / "rows.jsonl"
    pieces = [
        b'{"a": 1}',
        b"\n",
        b"\n\n",
        b"\0",
        b"\xff",
        b"{",
        b"}",
        b'"',
        b"\\",
        b"\r",
        b"[" * 9,
        b"\x1f\x8b",
    ]
    for _ in range(300):
        data = b"".join(source.choice(pieces) for _ in range(source.randrange(60)))
        if data.startswith(b"\x1f\x8b"):
            continue
        path.write_bytes(data)
        numbers = [item.number for item in read_rows(path, limit=source.choice([5, 20, 1000]))]
        assert numbers == list(range(1, data.count(b"\n") + (not data.endswith(b"\n") and bool(data)) + 1))


def test_a_session_file_reads_as_its_training_row(tmp_path: Path) -> None:
    path = write_session(tmp_path / "sessions")
    (row,) = read_rows(path)
    assert isinstance(row, Row)
    assert row.value == lines_of_formats(path)["sharegpt"][0]
    assert json.loads(row.raw) == row.value


def test_the_lines_of_a_session_file_can_be_read_as_they_are(tmp_path: Path) -> None:
    path = write_session(tmp_path / "sessions")
    items = list(read_rows(path, sessions=False))
    assert [item.raw for item in items if isinstance(item, Row)] == path.read_bytes().splitlines()


def test_what_is_wrong_with_a_session_file_is_named(tmp_path: Path) -> None:
    path = write_session(tmp_path / "sessions")
    path.write_bytes(path.read_bytes() + b'{"type": "user", "con')
    problem, row = read_rows(path)
    assert isinstance(problem, Problem)
    assert "not written to its end" in problem.reason
    assert isinstance(row, Row)


def test_a_session_without_an_answer_reads_as_its_messages(tmp_path: Path) -> None:
    header = {"type": "session", "schema": 1, "id": "x"}
    path = write_rows(tmp_path / "s.jsonl", header, {"type": "user", "content": "hello"})
    (row,) = read_rows(path)
    assert isinstance(row, Row)
    assert row.value["messages"] == [{"role": "user", "content": "hello"}]


def test_a_compressed_session_file_says_how_to_give_it(tmp_path: Path) -> None:
    path = write_session(tmp_path / "sessions")
    packed = tmp_path / "s.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (problem,) = read_rows(packed)
    assert isinstance(problem, Problem)
    assert "not compressed" in problem.reason


def test_the_traces_of_the_hub_read_as_one_row_each(tmp_path: Path) -> None:
    lines = lines_of_formats(write_session(tmp_path / "sessions"))["hf"]
    path = write_rows(tmp_path / "two.jsonl", *lines, *lines)
    rows = [item for item in read_rows(path) if isinstance(item, Row)]
    assert [row.number for row in rows] == [1, len(lines) + 1]
    assert [message["role"] for message in rows[0].value["messages"]] == [
        "system", "user", "assistant", "tool", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert rows[0].value["messages"][2]["tool_calls"][0]["function"]["name"] == "terminal"
    assert rows[0].value["messages"][3]["tool_call_id"] == "c1"


def test_rows_behind_a_trace_are_rows(tmp_path: Path) -> None:
    lines = lines_of_formats(write_session(tmp_path / "sessions"))
    path = write_rows(tmp_path / "both.jsonl", *lines["hf"], *lines["sharegpt"], {"id": "x"})
    rows = [item for item in read_rows(path) if isinstance(item, Row)]
    assert [next(iter(row.value)) for row in rows] == ["messages", "conversations", "id"]
    assert len(rows[0].value["messages"]) == 8


def test_a_trace_beyond_the_limit_is_left_out(tmp_path: Path) -> None:
    message = {"type": "message", "message": {"role": "user", "content": "x" * 100}}
    path = write_rows(tmp_path / "t.jsonl", {"type": "session", "harness": "h", "id": "1"}, *[message] * 50)
    (problem,) = read_rows(path, limit=2000)
    assert isinstance(problem, Problem)
    assert problem.kind == "too_long"


def test_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes((json.dumps({"x": "y" * 10_000}) + "\n").encode() * 500)
    steps: list[int] = []
    assert len(list(read_rows(path, advance=steps.append))) == 500
    size = stored_size(path)
    assert size is not None
    assert size - 2 * (1 << 20) < sum(steps) <= size
    assert len(steps) >= 4


def test_a_pipe_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b'{"a": 1}\n{"b": 2}\n',))
    writer.start()
    rows: list[Any] = [item.value for item in read_rows(path) if isinstance(item, Row)]
    writer.join()
    assert rows == [{"a": 1}, {"b": 2}]
    assert stored_size(path) is None


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_rows(tmp_path / "none"))


@pytest.mark.long
def test_an_endless_line_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"n": 1}\n{"a": "')
        for _ in range(300):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"n": 3}\n')
    code = (
        "import sys\n"
        "from corpus.reading import read_rows\n"
        "print([type(item).__name__ for item in read_rows(sys.argv[1])])\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kinds, peak = done.stdout.splitlines()
    assert kinds == "['Row', 'Problem', 'Row']"
    assert int(peak) < 250_000, peak
