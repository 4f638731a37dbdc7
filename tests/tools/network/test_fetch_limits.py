"""No server can make a fetch take more time or memory than it may."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from tests.tools.network.test_fetch import failure_of, fetched_from
from tests.tools.network.web_server import Connection
from tools.network.fetch import Limits

ROOT = Path(__file__).parents[3]
BEGIN, STALL, END = Limits(first_byte=0.4), Limits(stall=0.3), Limits(timeout=1.0)
"""Each ends one way of being slow, long before the others."""


def test_an_endless_page_is_read_up_to_the_limit() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await connection.send(b"x" * 65_536)

    fetched, _ = fetched_from(page, limits=Limits(max_bytes=100_000))
    assert len(fetched.body) == 100_000
    assert fetched.cut == "it is larger than 100,000 bytes"
    with pytest.raises(Exception, match="it is larger than 100,000 bytes") as error:
        fetched_from(page, limits=Limits(max_bytes=100_000), whole=True)
    assert getattr(error.value, "kind", "") == "too_large"


def test_a_page_of_just_the_size_that_is_allowed_is_whole() -> None:
    async def page(connection: Connection) -> None:
        await connection.answer(b"x" * 100_000)

    fetched, _ = fetched_from(page, limits=Limits(max_bytes=100_000))
    assert (len(fetched.body), fetched.cut) == (100_000, "")


def test_what_is_packed_without_content_and_without_end_is_given_up() -> None:
    async def page(connection: Connection) -> None:
        pack = zlib.compressobj(wbits=31)
        begun = pack.compress(b"a") + pack.flush(zlib.Z_FULL_FLUSH)
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + begun)
        while True:
            await connection.send(b"\x00\x00\x00\xff\xff" * 10_000)  # stored blocks of length 0

    fetched, _ = fetched_from(page, limits=Limits(max_bytes=200_000))
    assert (fetched.body, fetched.cut) == (b"a", "it is larger than 200,000 bytes")


async def no_answer(connection: Connection) -> None:
    await asyncio.sleep(30)


async def head_by_letters(connection: Connection) -> None:
    for letter in "HTTP/1.1 200 OK\r\n" + "X-Slow: very\r\n" * 1_000:
        await connection.send(letter.encode())
        await asyncio.sleep(0.02)


async def first_heads_for_ever(connection: Connection) -> None:
    while True:
        await connection.send(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n")
        await asyncio.sleep(0)


@pytest.mark.parametrize("page", [no_answer, head_by_letters, first_heads_for_ever])
def test_an_answer_that_does_not_begin_in_time_is_given_up(page: type[Connection]) -> None:
    started = time.monotonic()
    error = failure_of(page, limits=BEGIN)  # type: ignore[arg-type]
    assert error.kind == "timeout"
    assert "gave no answer within 0.4 s" in str(error)
    assert time.monotonic() - started < 8


def test_a_body_that_comes_by_letters_is_given_up() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await connection.send(b"x")
            await asyncio.sleep(0.02)

    started = time.monotonic()
    fetched, _ = fetched_from(page, limits=STALL)
    assert time.monotonic() - started < 8
    assert 0 < len(fetched.body) < 100
    assert fetched.cut == "the server sent next to nothing for 0.3 s"


def test_a_body_that_never_comes_is_an_error() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await asyncio.sleep(30)

    error = failure_of(page, limits=STALL)
    assert error.kind == "timeout"
    assert "sent next to nothing for 0.3 s" in str(error)


def test_a_body_that_is_slow_but_steady_ends_with_the_time_there_is() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await connection.send(b"x" * 2_000)
            await asyncio.sleep(0.02)

    started = time.monotonic()
    fetched, _ = fetched_from(page, limits=END)
    assert 0.9 < time.monotonic() - started < 8
    assert len(fetched.body) > 2_000
    assert fetched.cut == "it took longer than 1 s"


def test_slow_redirects_share_the_time_of_one_fetch() -> None:
    async def page(connection: Connection) -> None:
        await asyncio.sleep(0.3)
        await connection.redirect(f"/{len(connection.target) * 'x'}")

    started = time.monotonic()
    assert failure_of(page, limits=END).kind == "timeout"
    assert time.monotonic() - started < 8


BOMBS = """
import asyncio, json, resource, sys, zlib
from tests.tools.network.test_fetch import fetched_from
from tools.network.fetch import Limits

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

pack = zlib.compressobj(9, wbits=31)
begun = pack.compress(bytes(1_000)) + pack.flush(zlib.Z_FULL_FLUSH)
megabyte = pack.compress(bytes(1_000_000)) + pack.flush(zlib.Z_FULL_FLUSH)
zeros = begun + megabyte * 1_000  # the checksum at its end is never come to
small = zlib.compress(bytes(1_000_000), wbits=31)

async def bomb(connection):
    await connection.answer(zeros, content_encoding="gzip")

async def members(connection):
    await connection.send(b"HTTP/1.1 200 OK\\r\\nContent-Encoding: gzip\\r\\n\\r\\n")
    while True:
        await connection.send(small)

async def endless(connection):
    await connection.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5000000000\\r\\n\\r\\n")
    while True:
        await connection.send(bytes(1_000_000))

async def head(connection):
    await connection.send(b"HTTP/1.1 200 OK\\r\\nX: ")
    while True:
        await connection.send(b"y" * 65_536)

async def plain(connection):
    await connection.answer(b"x" * 5_000_000)

limits = Limits(max_bytes=5_000_000)
fetched_from(plain, limits=limits)
before, grown = peak(), {}
for page in (bomb, members, endless, head):
    try:
        fetched, _ = fetched_from(page, limits=limits)
        assert len(fetched.body) == 5_000_000 and fetched.truncated
    except Exception as error:
        assert page is head, error
    grown[page.__name__] = peak() - before
print(json.dumps(grown))
"""


def test_a_bomb_takes_no_more_memory_than_a_page_may() -> None:
    """A gigabyte of zeros packed into one megabyte, packed pieces without end, 5 GB, a head without end."""
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", BOMBS], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    grown = json.loads(done.stdout)
    assert max(grown.values()) < 20_000_000, grown
