"""A run that is killed, interrupted or robbed of a worker: no prompt is lost, doubled or paid for twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

from tests.batches.batch_process import Batch, workers
from tests.faults.hermes_process import wait_for
from tests.server.scripted_server import Call, ScriptedServer, Step, scripted_server, tool_turns

PROMPTS = 24
SLOW = [*tool_turns(1, arguments={"command": "sleep 0.2; echo done"})]
MORE = ["--policy", "yolo", "--concurrency", "6", "--workers", "2"]


def prompts(batch: Batch) -> None:
    """Identical ones among them: each is work of its own."""
    batch.prompts([f"go {number % 4}" for number in range(PROMPTS)])


def slow_server() -> Any:
    steps = [Step(text=step.text, tool_calls=step.tool_calls, delay=0.1) for step in SLOW]
    return scripted_server(*steps, by="turn")


def check_resumed(batch: Batch, server: ScriptedServer, recorded: list[int]) -> None:
    """Every prompt has its one row, and what was recorded before was not asked again."""
    before = len(server.requests)
    done = batch.run("", "--resume")
    assert done.code == 0, done.told
    assert [row["prompt_index"] for row in batch.rows()] == list(range(PROMPTS))
    assert len(server.requests) - before == 2 * (PROMPTS - len(recorded))
    assert batch.indexes()[: len(recorded)] == recorded
    assert batch.statistics()["recorded"] == PROMPTS
    assert batch.left_behind() == []


def test_a_killed_run_leaves_nothing_behind_and_goes_on_where_it_stopped(batch: Batch) -> None:
    prompts(batch)
    with slow_server() as server:
        process = batch.start(server.url, *MORE)
        wait_for(lambda: len(batch.indexes()) >= 7)
        process.kill()
        process.communicate()
        wait_for(lambda: batch.left_behind() == [])
        check_resumed(batch, server, batch.indexes())


@pytest.mark.thorough
def test_a_run_killed_with_all_its_workers_goes_on_where_it_stopped(batch: Batch) -> None:
    prompts(batch)
    with slow_server() as server:
        process = batch.start(server.url, *MORE)
        wait_for(lambda: len(batch.indexes()) >= 7)
        for pid in (process.pid, *workers(batch.hermes)):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
        wait_for(lambda: not any("sleep" in each for each in batch.left_behind()))
        # what a machine that died in the middle of a write leaves
        with batch.trajectories.open("ab") as file:
            file.write(b'{"prompt_index": 23, "conversations": [{"from": "system", "val')
        (batch.folder / "sessions" / "20260101_000000_000000_aaaaaa.jsonl").write_text('{"type": "session"')
        check_resumed(batch, server, batch.indexes())


@pytest.mark.thorough
def test_a_lost_worker_is_replaced_and_its_prompts_are_neither_lost_nor_doubled(batch: Batch) -> None:
    prompts(batch)
    with slow_server() as server:
        process = batch.start(server.url, *MORE)
        wait_for(lambda: len(batch.indexes()) >= 4)
        os.kill(workers(batch.hermes)[0], signal.SIGKILL)
        done = batch.end(process)
    assert done.code == 0, done.told
    assert "a worker process was lost (signal 9)" in done.told
    assert [row["prompt_index"] for row in batch.rows()] == list(range(PROMPTS))
    assert batch.left_behind() == []


@pytest.mark.thorough
def test_a_prompt_that_loses_every_worker_fails_alone(batch: Batch) -> None:
    batch.prompts(["good", "deadly", "good too"])

    def step(body: dict[str, Any]) -> Step:
        if body["messages"][-1]["role"] == "tool":
            return Step(text="Done.")
        deadly = any(each["content"] == "deadly" for each in body["messages"])
        command = "kill -9 $PPID" if deadly else "echo fine"
        return Step(tool_calls=[Call("terminal", {"command": command})])

    with scripted_server(step) as server:
        done = batch.run(server.url, "--policy", "yolo", "--concurrency", "1", "--workers", "1")
    assert done.code == 1
    assert [row["prompt_index"] for row in batch.rows()] == [0, 2]
    (failed,) = batch.lines("failed.jsonl")
    assert (failed["prompt_index"], failed["kind"]) == (1, "worker")
    assert batch.left_behind() == []


def test_an_interrupt_lets_what_runs_come_to_its_end(batch: Batch) -> None:
    prompts(batch)
    with slow_server() as server:
        process = batch.start(server.url, *MORE)
        wait_for(lambda: len(batch.indexes()) >= 3)
        os.kill(process.pid, signal.SIGINT)
        done = batch.end(process)
        assert done.code == 130
        assert "Ctrl-C again breaks them off" in done.told
        recorded = batch.indexes()
        assert len(recorded) < PROMPTS
        assert len(server.requests) == 2 * len(recorded)
        assert batch.left_behind() == []
        assert batch.statistics()["left"] == PROMPTS - len(recorded)
        check_resumed(batch, server, recorded)


@pytest.mark.thorough
def test_under_nohup_a_run_outlives_its_terminal(batch: Batch) -> None:
    prompts(batch)
    with slow_server() as server:
        process = batch.start(server.url, *MORE, before=["nohup"])
        wait_for(lambda: len(batch.indexes()) >= 3)
        os.kill(process.pid, signal.SIGHUP)
        done = batch.end(process)
    assert done.code == 0, done.told
    assert len(batch.rows()) == PROMPTS


@pytest.mark.thorough
def test_a_run_goes_on_when_nobody_reads_what_it_says_any_more(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(20)])
    with scripted_server(Step(text="Done.", delay=1.2)) as server:  # longer than until the first line
        process = batch.start(server.url, "--concurrency", "2", "--workers", "1", stdout=subprocess.DEVNULL)
        wait_for(lambda: len(batch.indexes()) >= 2)
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(40) == 0
    assert len(batch.rows()) == 20
    assert batch.left_behind() == []


@pytest.mark.thorough
def test_a_second_interrupt_breaks_everything_off(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(8)])
    with scripted_server(*tool_turns(1, arguments={"command": "sleep 60"}), by="turn") as server:
        process = batch.start(server.url, *MORE)
        wait_for(lambda: len([each for each in batch.left_behind() if "sleep 60" in each]) >= 4)
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        done = batch.end(process)
        assert done.code == 130
        assert time.monotonic() - began < 10
        assert batch.left_behind() == []
        assert batch.lines("trajectories.jsonl") == []
        assert batch.statistics()["recorded"] == 0


@pytest.mark.thorough
def test_what_a_task_leaves_running_ends_with_it(batch: Batch) -> None:
    batch.prompts(["go", "go on"])
    command = {"command": "sleep 300 & setsid sleep 301 < /dev/null &> /dev/null & mktemp -d"}
    more = Step(tool_calls=[Call("terminal", {"command": "sleep 302", "background": True})])
    with scripted_server(tool_turns(1, arguments=command)[0], more, Step(text="Done."), by="turn") as server:
        done = batch.run(server.url, *MORE)
    assert done.code == 0, done.told
    assert len(batch.rows()) == 2
    assert batch.left_behind() == []
    assert [path for path in (batch.hermes.home / "tmp").rglob("*") if path.name.startswith("tmp.")] == []


@pytest.mark.thorough
def test_a_full_disk_ends_the_run_and_what_is_recorded_stays_whole(batch: Batch) -> None:
    prompts(batch)
    with slow_server() as server:
        limit = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh"]  # blocks of 512 bytes: some rows fit
        done = batch.run(server.url, *MORE, before=limit)
        assert done.code == 1
        assert "cannot write data/r/trajectories.jsonl: File too large" in done.told
        assert "--resume" in done.told
        recorded = batch.indexes()
        assert 0 < len(recorded) < PROMPTS
        assert batch.trajectories.read_bytes().endswith(b"\n")
        assert batch.left_behind() == []
        check_resumed(batch, server, recorded)


def test_a_place_where_nothing_can_be_written_is_named(batch: Batch) -> None:
    prompts(batch)
    (batch.hermes.folder / "data").write_text("a file where the folder should be")
    with scripted_server() as server:
        done = batch.run(server.url)
        assert not server.requests
    assert done.code == 1
    assert "data/r" in done.told


def test_a_damaged_row_between_others_is_named_and_nothing_is_changed(batch: Batch) -> None:
    batch.prompts(["one", "two", "three"])
    assert batch.run("", "--model", "offline").code == 0
    lines = batch.trajectories.read_bytes().splitlines(keepends=True)
    damaged = lines[0] + b"{broken\n" + lines[2]
    batch.trajectories.write_bytes(damaged)
    done = batch.run("", "--resume")
    assert done.code == 1
    assert "trajectories.jsonl:2 is damaged" in done.told
    assert batch.trajectories.read_bytes() == damaged


def has_rows(batch: Batch, least: int) -> bool:
    return len(batch.indexes()) >= least


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_killed_again_and_again_every_prompt_ends_with_one_row(batch: Batch) -> None:
    total = 60
    batch.prompts([f"go {number % 7}" for number in range(total)])
    with slow_server() as server:
        goal = 0
        while goal < total - 12:
            goal = len(batch.indexes()) + 9
            more = ["--resume"] if batch.folder.exists() else []
            process = batch.start(server.url, *MORE, *more)
            wait_for(partial(has_rows, batch, goal), 60)
            for pid in (process.pid, *(workers(batch.hermes) if goal % 2 else [])):
                os.kill(pid, signal.SIGKILL)
            process.communicate()
        done = batch.run(server.url, "--resume", timeout=120)
        assert done.code == 0, done.told
    assert Counter(batch.indexes()) == Counter(range(total))
    assert len(batch.rows()) == total
    wait_for(lambda: batch.left_behind() == [])
