"""Processes that go on while the conversation does."""

from __future__ import annotations

import time

import pytest

from sandboxes.sandbox import BackgroundProcess, SandboxError
from tests.sandboxes.conformance.conftest import Bench


def output_with(process: BackgroundProcess, word: str, seconds: float = 15) -> str:
    """What it wrote, once `word` is in it."""
    text, until = "", time.monotonic() + seconds
    while word not in text:
        assert time.monotonic() < until, text
        time.sleep(0.05)
        text += process.new_output().text
    return text


def test_a_process_runs_while_other_commands_do(bench: Bench) -> None:
    process = bench.spawn("echo up; sleep 60")
    assert output_with(process, "up") == "up\n"
    assert process.exit_code is None
    assert bench.text("echo meanwhile") == "meanwhile\n"
    assert bench.sandbox.processes() == [process]


def test_a_process_begins_with_the_state_of_the_session_and_changes_nothing(bench: Bench) -> None:
    bench.run("cd /usr; A=1")
    process = bench.spawn("echo $A $PWD; cd /; A=2")
    assert bench.wait(process.wait(30)) == 0
    assert output_with(process, "\n") == "1 /usr\n"
    assert bench.text("echo $A $PWD") == "1 /usr\n"


def test_its_end_and_exit_code_are_known(bench: Bench) -> None:
    process = bench.spawn("sleep 0.3; exit 5")
    assert bench.wait(process.wait(30)) == 5
    assert process.exit_code == 5


def test_waiting_ends_after_the_time_given(bench: Bench) -> None:
    process = bench.spawn("sleep 60")
    began = time.monotonic()
    assert bench.wait(process.wait(0.3)) is None
    assert time.monotonic() - began < 5


def test_it_can_be_written_to(bench: Bench) -> None:
    process = bench.spawn("while read -r line; do echo got:$line; done; echo end")
    bench.wait(process.write("one ü\n".encode()))
    assert "got:one ü\n" in output_with(process, "ü")
    bench.wait(process.write(b"two\n", end=True))
    assert output_with(process, "end").endswith("got:two\nend\n")
    assert bench.wait(process.wait(30)) == 0


def test_writing_to_what_takes_no_input_is_an_error(bench: Bench) -> None:
    process = bench.spawn("true")
    bench.wait(process.wait(30))
    with pytest.raises(SandboxError):
        for _ in range(200):
            bench.wait(process.write(b"x" * 10_000))


def test_ending_it_ends_its_tree(bench: Bench) -> None:
    process = bench.spawn("setsid sleep 4721 & sleep 4721")
    time.sleep(0.5)
    bench.wait(process.kill())
    assert process.exit_code is not None
    assert bench.text("grep -lz [4]721 /proc/[0-9]*/cmdline 2> /dev/null") == ""


def test_only_new_output_is_given_and_the_log_has_all(bench: Bench) -> None:
    process = bench.spawn("echo one; read x; echo two")
    assert output_with(process, "one") == "one\n"
    bench.wait(process.write(b"\n"))
    assert output_with(process, "two") == "two\n"
    bench.wait(process.wait(30))
    assert process.log(1000).text == "one\ntwo\n"


def test_a_process_can_be_ended_by_a_later_command(bench: Bench) -> None:
    bench.run("sleep 4722 > /dev/null & echo $! > pid")
    assert bench.run("kill $(cat pid)").exit_code == 0
    (process,) = bench.sandbox.processes()
    bench.wait(process.wait(10))
    assert process.exit_code is not None


def test_a_flood_of_output_does_not_stop_it_or_fill_memory(bench: Bench) -> None:
    process = bench.spawn("head -c 30000000 /dev/zero; echo; echo finished")
    assert bench.wait(process.wait(60)) == 0
    assert process.log(100).text.endswith("finished\n")
