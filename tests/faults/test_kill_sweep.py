"""kill -9 at any moment: what was recorded is whole, nothing is run twice, nothing is left running."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.hermes_process import Hermes, descendants_of_tasks, said, some, wait_for
from tests.server.script import Call
from tests.server.scripted_server import ScriptedServer, Step
from trajectories.session_load import load_session

Serve = Callable[..., ScriptedServer]


def busy_steps() -> list[Any]:
    """Answers with calls of many kinds, some of which last, then an end."""
    steps = []
    for number in range(12):
        calls = [
            Call(
                "terminal", {"command": f"echo {number} >> journal; sleep 0.0{number % 5}; echo {'y' * 2000}"}
            ),
            Call("todo", {}),
            Call("terminal", {"command": f"sleep {30 if number == 9 else 0}"}),
        ]
        steps.append(Step(text=f"Step {number}. " * 20, tool_calls=calls, chunk=40, gap=0.001))
    return [*steps, Step(text="Done.")]


def kill_after(hermes: Hermes, server: ScriptedServer, seconds: float) -> None:
    """Start, kill after so long from the first request on, and see what is left."""
    count = len(server.requests)
    process = hermes.start("-q", "Work.", "--yolo")
    wait_for(lambda: len(server.requests) > count)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not descendants_of_tasks(hermes.home), 2.0)


def check_left(hermes: Hermes, server: ScriptedServer) -> None:
    path = hermes.session_paths()[-1]
    lines = path.read_bytes().split(b"\n")
    for line in lines[:-1]:
        assert isinstance(json.loads(line), dict)
    session = load_session(path)
    assert all("not written to its end" in each for each in session.problems)
    assert "Work." in said(session)
    sent = server.requests[-1].body["messages"]
    kept = session.history.messages()
    assert kept[: len(sent)] == sent, "what a model has seen is on the disk"
    journal = hermes.folder / "journal"
    ran = len(journal.read_text().splitlines()) if journal.exists() else 0
    begun = sum(
        "journal" in call.arguments
        for round_ in session.history.rounds
        for call in round_.assistant.tool_calls
    )
    assert begun in (ran, ran + 1), "no call runs that is not on record"


def sweep(hermes: Hermes, serve: Serve, moments: list[float]) -> None:
    for seconds in moments:
        server = serve(*busy_steps())
        hermes.url = server.url
        (hermes.folder / "journal").unlink(missing_ok=True)
        kill_after(hermes, server, seconds)
        check_left(hermes, server)
        after = serve(Step(text="Going on."))
        hermes.url = after.url
        told = hermes.ask("Go on.", "--continue")
        assert (told.code, told.text) == (0, "Going on.\n"), told.told
        assert after.last["messages"][-1]["content"] == "Go on."
        journal = hermes.folder / "journal"
        ran = journal.read_text().splitlines() if journal.exists() else []
        assert len(ran) == len(set(ran)), "a call was run again"


def test_killed_at_a_few_moments(hermes: Hermes, serve: Serve) -> None:
    sweep(hermes, serve, [0.1, 0.6])


@pytest.mark.thorough
@pytest.mark.timeout(400)
def test_killed_at_thirty_moments(hermes: Hermes, serve: Serve) -> None:
    seed = int(os.environ.get("SWEEP_SEED", "7"))
    chance = random.Random(seed)
    sweep(hermes, serve, [chance.uniform(0, 1.6) for _ in range(30)])


@pytest.mark.parametrize("later", some([0.0, 0.03, 0.3], [0.0]))
@pytest.mark.parametrize(
    "command", ["sleep 77", "setsid sleep 77 & sleep 77", "trap '' TERM HUP; sleep 77; sleep 77"]
)
def test_a_killed_hermes_leaves_no_command_running(
    command: str, later: float, hermes: Hermes, serve: Serve
) -> None:
    hermes.url = serve(Step(tool_calls=[Call("terminal", {"command": f"touch started; {command}"})])).url
    process = hermes.start("-q", "Sleep.", "--yolo")
    wait_for(hermes.folder.joinpath("started").exists)
    time.sleep(later)
    process.kill()
    process.communicate()
    wait_for(lambda: not descendants_of_tasks(hermes.home), 1.5)


def test_a_killed_hermes_leaves_no_background_command_running(hermes: Hermes, serve: Serve) -> None:
    start = Call("terminal", {"command": "touch started; sleep 77", "background": True})
    server = serve(Step(tool_calls=[start]), Step(text="Late.", delay=30))
    hermes.url = server.url
    process = hermes.start("-q", "Sleep.", "--yolo")
    wait_for(lambda: len(server.requests) == 2)
    process.kill()
    process.communicate()
    wait_for(lambda: not descendants_of_tasks(hermes.home), 1.5)
