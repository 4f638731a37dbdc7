"""What a command starts ends with it, or is known to go on."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.sandboxes.conformance.conftest import Bench

STUBBORN = "trap '' TERM; while :; do sleep 1; done"


def living(bench: Bench, word: str) -> str:
    """The ids of processes whose command line holds `word`, as seen from inside."""
    bracketed = f"[{word[0]}]{word[1:]}"
    return bench.text(
        f"for each in /proc/[0-9]*; do tr '\\0' ' ' < $each/cmdline 2> /dev/null | grep -q '{bracketed}' "
        "&& { read -r _ _ state _ < $each/stat; [ $state = Z ] || echo ${each#/proc/}; }; done 2> /dev/null"
    )


def test_a_timeout_ends_the_whole_tree(bench: Bench) -> None:
    began = time.monotonic()
    result = bench.run("sleep 4711 & (sleep 4711; true) & setsid sleep 4711 & sleep 4711", timeout=1)
    assert (result.timed_out, result.exit_code) == (True, 124)
    assert time.monotonic() - began < 8
    assert living(bench, "sleep 4711") == ""


def test_a_timeout_ends_what_ignores_it(bench: Bench) -> None:
    result = bench.run(f'bash -c "{STUBBORN} # 4712"; {STUBBORN}', timeout=1)
    assert result.timed_out
    assert living(bench, "# 4712") == ""


def test_output_up_to_the_timeout_is_kept(bench: Bench) -> None:
    assert bench.text("echo early; sleep 60", timeout=1.5) == "early\n"


def test_an_interrupt_ends_the_whole_tree(bench: Bench) -> None:
    bench.run("true")

    async def interrupted() -> float:
        task = asyncio.ensure_future(bench.sandbox.exec("sleep 4713 & sleep 4713", timeout=60))
        await asyncio.sleep(0.7)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert bench.wait(interrupted()) < 4
    assert living(bench, "sleep 4713") == ""


def test_a_child_that_keeps_the_output_does_not_hold_the_command(bench: Bench) -> None:
    began = time.monotonic()
    result = bench.run("sleep 30 & echo done")
    assert time.monotonic() - began < 8
    assert result.output.text == "done\n"
    assert "still runs, as process bg_1" in result.note


def test_what_is_left_running_is_seen_and_can_be_ended(bench: Bench) -> None:
    bench.run("(for n in $(seq 600); do echo tick; sleep 0.1; done) &")
    (process,) = bench.sandbox.processes()
    assert process.exit_code is None
    time.sleep(0.5)
    assert "tick" in process.new_output().text
    bench.wait(process.kill())
    assert process.exit_code is not None


def test_a_daemon_that_left_its_session_is_ended_on_closing(bench: Bench) -> None:
    other = bench.place.make(10_000)
    bench.wait(other.exec("setsid bash -c 'sleep 4714 & sleep 4714' < /dev/null &> /dev/null &", timeout=30))
    bench.wait(other.close())
    assert living(bench, "sleep 4714") == ""


def test_a_closed_sandbox_runs_nothing(bench: Bench) -> None:
    from sandboxes.sandbox import SandboxError

    other = bench.place.make(10_000)
    bench.wait(other.exec("true", timeout=30))
    bench.wait(other.close())
    bench.wait(other.close())
    with pytest.raises(SandboxError, match="closed"):
        bench.wait(other.exec("true", timeout=30))


def test_closing_what_was_never_used_costs_nothing(bench: Bench) -> None:
    other = bench.place.make(10_000)
    began = time.monotonic()
    bench.wait(other.close())
    assert time.monotonic() - began < 0.5
