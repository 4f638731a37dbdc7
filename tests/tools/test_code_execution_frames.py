"""Calls are found in the output of a script wherever it is cut, and nothing else is taken for one."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

import tools.code_execution
from tools.code_execution.frames import LONGEST, TOO_LARGE, Frames

TOKEN = "0123456789abcdef0123456789abcdef"


class Sieve:
    def __init__(self, most: int = 1000) -> None:
        self.calls: list[tuple[int, bytes]] = []
        self.frames = Frames(TOKEN, lambda number, payload: self.calls.append((number, payload)), most)

    def feed(self, data: bytes, cuts: list[int]) -> bytes:
        ends = [*sorted(cuts), len(data)]
        starts = [0, *ends]
        return b"".join(self.frames.sift(data[a:b]) for a, b in zip(starts, ends, strict=False))


def frame(number: int, payload: bytes, sign: bytes = b".", token: str = TOKEN) -> bytes:
    return b"\x1e%s %d %s%s\x1e" % (token.encode(), number, sign, payload)


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_gives_the_same(seed: int) -> None:
    chance = random.Random(seed)
    output, calls, data = b"", [], b""
    for number in range(1, 30):
        text = bytes(chance.choices(b"ab\n \x1e0123" + TOKEN.encode(), k=chance.randrange(60)))
        payload = b'{"n": %d}' % number
        pieces = [payload[:3], payload[3:5], payload[5:]] if number % 3 == 0 else [payload]
        signs = [b"+"] * (len(pieces) - 1) + [b"."]
        output += text
        data += text + b"".join(frame(number, *each) for each in zip(pieces, signs, strict=True))
        calls.append((number, payload))
    sieve = Sieve()
    kept = sieve.feed(data + b"end", [chance.randrange(len(data)) for _ in range(chance.randrange(200))])
    assert (kept, sieve.calls) == (output + b"end", calls)


@pytest.mark.parametrize(
    "text",
    [
        frame(1, b"{}", token="f" * 32),
        b"\x1e" + TOKEN.encode(),
        b"\x1e" + TOKEN.encode() + b" one .{}\x1e",
        b"\x1e" + TOKEN.encode() + b" 1 ?{}\x1e",
        b"\x1e" + TOKEN.encode() + b" 1234567890 .{}\x1e",
        b"\x1e" + TOKEN.encode() + b" 1 ." + b"x" * LONGEST,
        b"\x1e\x1e\x1e",
    ],
)
def test_what_is_no_frame_is_output(text: bytes) -> None:
    sieve = Sieve()
    assert sieve.feed(text + b" and on " + frame(2, b"{}") + b"end", []) == text + b" and on end"
    assert sieve.calls == [(2, b"{}")]


def test_what_is_too_large_is_not_kept() -> None:
    sieve = Sieve(most=1000)
    for _n in range(1000):
        assert sieve.frames.sift(frame(7, b"x" * 900, b"+")) == b""
    assert sieve.frames.waiting <= 1000
    sieve.frames.sift(frame(7, b"x"))
    assert sieve.calls == [(7, TOO_LARGE)]


def test_what_runs_inside_is_plain_python_of_3_7_and_its_standard_library() -> None:
    text = Path(tools.code_execution.__path__[0], "inside.py").read_text()
    tree = ast.parse(text, feature_version=(3, 7))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = {each.name for node in imported for each in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {"json", "linecache", "os", "select", "sys", "threading", "traceback", "types"}
    assert names == {"__future__", "collections.abc", *own}


def test_calls_that_never_end_take_no_more_room_than_one_that_is_too_large() -> None:
    sieve = Sieve(most=1000)
    for number in range(1, 3000):
        sieve.frames.sift(frame(number, b"x" * 900, b"+"))
    assert sieve.frames.waiting <= 4000
    for number in range(1, 3000):
        sieve.frames.sift(frame(number, b"", b"."))
    assert len(sieve.calls) == 2999
    assert {payload for _, payload in sieve.calls} == {b"x" * 900, TOO_LARGE, b""}
