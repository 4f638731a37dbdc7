"""Programs that a tool talks with, and sessions beside each other in one place."""

from __future__ import annotations

import threading
import time

import pytest

from sandboxes.sandbox import Sandbox
from tests.sandboxes.conformance.conftest import Bench


class Sieve:
    """Takes the lines that begin with `>` out of what a program writes."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.heard = threading.Event()

    def sift(self, piece: bytes) -> bytes:
        lines = piece.splitlines(keepends=True)
        self.taken += b"".join(line for line in lines if line.startswith(b">"))
        self.heard.set()
        return b"".join(line for line in lines if not line.startswith(b">"))


def test_what_is_sifted_out_is_no_output_and_the_program_is_on_no_list(bench: Bench) -> None:
    sieve = Sieve()
    process = bench.spawn("echo '>ready'; read -r word; echo $word", sift=sieve.sift)
    assert sieve.heard.wait(10)
    assert bench.sandbox.processes() == []
    bench.wait(process.write(b"hello\n"))
    assert bench.wait(process.wait(30)) == 0
    assert (bytes(sieve.taken), bench.wait(process.result()).text) == (b">ready\n", "hello\n")
    assert bench.spawn("true").id == "bg_1"


def test_nothing_of_a_long_stream_is_lost_to_who_sifts_it(bench: Bench) -> None:
    sieve = Sieve()
    pieces: list[bytes] = []

    def sift(piece: bytes) -> bytes:
        pieces.append(piece)
        return sieve.sift(piece)

    process = bench.spawn("seq 300000", sift=sift)
    assert bench.wait(process.wait(60)) == 0
    assert b"".join(pieces).split() == [b"%d" % number for number in range(1, 300_001)]
    result = bench.wait(process.result())
    assert result.spill_path is not None
    assert bench.read(result.spill_path).split()[-1] == b"300000"


def test_what_is_killed_without_grace_is_gone_at_once(bench: Bench) -> None:
    process = bench.spawn("trap '' TERM; echo up; sleep 4733", sift=lambda piece: piece)
    time.sleep(0.5)
    began = time.monotonic()
    bench.wait(process.kill(0.1))
    assert process.exit_code is not None
    assert time.monotonic() - began < 5
    assert bench.text("grep -lz [4]733 /proc/[0-9]*/cmdline 2> /dev/null") == ""


@pytest.fixture
def other(bench: Bench) -> Sandbox:
    return bench.sandbox.beside("other")


def test_a_session_beside_another_has_its_files_and_a_state_of_its_own(bench: Bench, other: Sandbox) -> None:
    folder = bench.place.folder
    bench.run("mkdir sub; cd sub; A=1; echo text > file")
    assert (
        bench.wait(other.exec("echo [$A] $PWD; cat sub/file", timeout=30)).output.text
        == f"[] {folder}\ntext\n"
    )
    bench.wait(other.exec("A=2; cd /", timeout=30))
    assert bench.text("echo $A $PWD") == f"1 {folder}/sub\n"
    assert (bench.sandbox.cwd, other.cwd) == (f"{folder}/sub", "/")
    bench.wait(other.close())


@pytest.mark.thorough
def test_many_commands_beside_it_do_not_cost_a_session_its_state(bench: Bench, other: Sandbox) -> None:
    bench.run("A=kept")
    for _ in range(40):
        bench.wait(other.exec("A=other", timeout=30))
    assert bench.text("echo $A") == "kept\n"
    bench.wait(other.close())


def test_its_end_ends_what_it_started_and_no_more(bench: Bench, other: Sandbox) -> None:
    mine = bench.spawn("sleep 4741")
    bench.wait(other.spawn("sleep 4742"))
    time.sleep(0.5)
    bench.wait(other.close())
    assert mine.exit_code is None
    assert bench.text("grep -lz [4]742 /proc/[0-9]*/cmdline 2> /dev/null") == ""
    assert bench.text("echo there") == "there\n"
