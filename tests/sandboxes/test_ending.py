"""Commands end when they should, with everything they started, and never hang."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sandboxes import process_tree
from sandboxes.local import LocalSandbox
from sandboxes.process_tree import MARKER, find_tree
from sandboxes.sandbox import ExecResult, SandboxError

Do = Callable[..., ExecResult]
PYTHON = shlex.quote(sys.executable)
IGNORES_TERM = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
DOUBLE_FORK = (
    f"{PYTHON} -c 'import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
    "os.closerange(0, 3); time.sleep(300)'"
)


def test_a_command_that_reads_its_input_gets_the_end_of_it(do: Do) -> None:
    assert do('read x; echo "$? [$x]"; cat; echo end').output.text == "1 []\nend\n"


def test_input_that_is_given_arrives_whole(do: Do) -> None:
    assert do("read x; echo $x; wc -c", stdin=b"one\n" + b"x" * 1_000_000).output.text.split() == [
        "one",
        "1000000",
    ]


def test_there_is_no_terminal_to_ask_on(do: Do) -> None:
    assert do("echo x > /dev/tty").exit_code != 0


def test_a_child_that_keeps_the_pipe_does_not_hold_the_command(do: Do) -> None:
    started = time.monotonic()
    result = do("sleep 300 & echo hi")
    assert time.monotonic() - started < 1
    assert result.output.text == "hi\n"
    assert "still runs, as process bg_1" in result.note


def test_a_child_that_left_the_pipe_is_mentioned_too(do: Do) -> None:
    assert "still runs" in do("sleep 300 > /dev/null 2>&1 & echo hi").note


def test_children_that_end_with_the_command_are_not_mentioned(do: Do) -> None:
    result = do("echo one & echo two > >(cat); wait; seq 3 | cat")
    assert result.note == ""
    assert sorted(result.output.text.split()) == ["1", "2", "3", "one", "two"]


def test_what_a_child_left_behind_writes_later_can_be_read(do: Do, sandbox: LocalSandbox) -> None:
    do("(sleep 0.3; echo later) & echo now")
    left = sandbox.processes()[0]
    assert left.exit_code is None
    asyncio.run(left.wait(5))
    assert left.exit_code == 0
    assert left.log(100).text == "now\nlater\n"


@pytest.mark.parametrize(
    "command",
    [
        "sleep 300",
        "bash -c 'sleep 300; :'",
        "setsid sleep 300 & sleep 300",
        "nohup setsid sleep 300 > /dev/null 2>&1 & env -i sleep 300",
        f"{DOUBLE_FORK}; sleep 300",
        IGNORES_TERM,
        "trap '' TERM; (setsid bash -c \"trap '' TERM; sleep 300; :\") & sleep 300; sleep 300",
        "kill -STOP $$",
        "yes",
        "yes > /dev/null",
    ],
)
def test_a_timeout_ends_the_whole_tree_and_keeps_the_output(
    do: Do, sandbox: LocalSandbox, command: str
) -> None:
    result = do(f"echo before\n{command}", timeout=0.4)
    assert (result.exit_code, result.timed_out) == (124, True)
    assert result.output.text.startswith("before\n")
    assert not find_tree(sandbox.identity)
    assert do("echo fine").output.text == "fine\n"


@pytest.mark.parametrize("command", ["sleep 300", IGNORES_TERM, "setsid sleep 300 & sleep 300", "yes"])
def test_an_interrupt_ends_the_whole_tree_within_half_a_second(sandbox: LocalSandbox, command: str) -> None:
    async def interrupt() -> float:
        task = asyncio.create_task(sandbox.exec(command, timeout=60))
        await asyncio.sleep(0.3)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    assert asyncio.run(interrupt()) < 0.5
    assert not find_tree(sandbox.identity)


def test_a_second_interrupt_kills_at_once(sandbox: LocalSandbox) -> None:
    async def interrupt_twice() -> float:
        task = asyncio.create_task(sandbox.exec(IGNORES_TERM, timeout=60))
        await asyncio.sleep(0.3)
        started = time.monotonic()
        task.cancel()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    assert asyncio.run(interrupt_twice()) < 0.2
    assert not find_tree(sandbox.identity)


def test_a_command_may_write_for_ever_into_a_pipe_nobody_reads_to_the_end(do: Do) -> None:
    result = do("yes | head -c 4; echo ${PIPESTATUS[*]}")
    assert result.output.text == "y\ny\n141 0\n"


def test_exit_codes_follow_the_shell(do: Do) -> None:
    assert [do(command).exit_code for command in ("true", "exit 300", "nosuchprogram", "kill -INT $$")] == [
        0, 44, 127, 128 + signal.SIGINT,
    ]  # fmt: skip


def test_closing_ends_everything_and_may_be_repeated(sandbox: LocalSandbox) -> None:
    async def work() -> None:
        await sandbox.exec(
            f"{DOUBLE_FORK}; setsid sleep 300 > /dev/null & sleep 300 & env -i sleep 300 &", timeout=9
        )
        await sandbox.spawn(IGNORES_TERM)
        await sandbox.spawn("sleep 300")

    asyncio.run(work())
    groups = {group for each in sandbox._processes.values() for group in each.running.groups()}
    assert len(find_tree(sandbox.identity, groups)) >= 6
    asyncio.run(sandbox.close())
    assert not find_tree(sandbox.identity, groups)
    asyncio.run(sandbox.close())


def test_both_ways_of_reading_the_process_table_agree(do: Do, sandbox: LocalSandbox) -> None:
    do("sleep 300 & setsid sleep 300 &")
    if not sys.platform.startswith("linux"):
        pytest.skip("needs /proc")
    fast = {each.pid for each in process_tree._from_proc(sandbox.identity) if each.marked}
    portable = {each.pid for each in process_tree._from_psutil(sandbox.identity) if each.marked}
    assert fast == portable and len(fast) == 2


def test_without_pidfds_it_works_the_same(
    do: Do, sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(sys, "platform", "other")
    assert do("echo hi; exit 4").exit_code == 4
    assert do("sleep 300", timeout=0.3).timed_out
    assert do("sleep 300 & echo on").output.text == "on\n"
    asyncio.run(sandbox.close())


def test_the_session_can_be_used_from_many_event_loops_at_once(sandbox: LocalSandbox) -> None:
    async def many() -> list[ExecResult]:
        return await asyncio.gather(*(sandbox.exec(f"sleep 0.1; echo {n}", timeout=9) for n in range(20)))

    assert [each.output.text for each in asyncio.run(many())] == [f"{n}\n" for n in range(20)]


def test_no_descriptors_or_threads_are_lost(do: Do) -> None:
    do("sleep 0.2; seq 100000")
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(10):
        do("echo hi; seq 100000")
        do("sleep 9", timeout=0.05)
    assert process.num_fds() <= before
    assert process.num_threads() < 20


KILLED = """
import asyncio, sys
from sandboxes.local import LocalSandbox

async def main() -> None:
    sandbox = LocalSandbox("t", "/")
    print(sandbox.identity, flush=True)
    await sandbox.spawn("sleep 300")
    await sandbox.exec("setsid sleep 300 & trap '' TERM; env -i sleep 300; sleep 300", timeout=60)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_runs_ends_even_if_hermes_is_killed(number: int, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as hermes:
        assert hermes.stdout is not None
        identity = hermes.stdout.readline().strip()
        time.sleep(0.6)
        assert len(find_tree(identity)) >= 5
        hermes.send_signal(number)
        hermes.wait()
    until = time.monotonic() + 5
    while find_tree(identity) and time.monotonic() < until:
        time.sleep(0.05)
    assert not find_tree(identity)
    assert MARKER == "HERMES_TASK"


def test_a_command_nothing_can_watch_over_is_not_left_running(
    sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, pytest.raises(SandboxError, match="can't start new thread"):
        patch.setattr(threading.Thread, "start", refuse)
        asyncio.run(sandbox.exec("sleep 300", timeout=5))
    deadline = time.monotonic() + 5
    while find_tree(sandbox.identity) and time.monotonic() < deadline:
        time.sleep(0.05)  # what was killed takes a moment to be gone
    assert not find_tree(sandbox.identity)
