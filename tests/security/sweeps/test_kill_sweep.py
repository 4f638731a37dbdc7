"""kill -9 of a session while its tools run, in every way a process can hide: within a second nothing is left.

With tests/faults/test_kill_sweep.py these are the 200 kills. SWEEP_SEED chooses other moments.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.hermes_process import CLI, Hermes, descendants_of_tasks, said, wait_for
from tests.faults.request_checks import check_messages
from tests.repl.terminal import Terminal
from tests.server.script import Call
from tests.server.scripted_server import ScriptedServer, Step, scripted_server
from trajectories.session_load import load_session

pytestmark = pytest.mark.timeout(180)
SEED = int(os.environ.get("SWEEP_SEED", "11"))
GONE_WITHIN = 1.0
KINDS = {
    "foreground": "sleep 777",
    "own session": "setsid sleep 777 & sleep 777",
    "double fork": "(setsid sh -c 'sleep 777 & sleep 777' &); sleep 777",
    "ignores TERM": "trap '' TERM HUP INT; sleep 777; sleep 777",
    "its children ignore TERM": "setsid bash -c \"trap '' TERM HUP; sleep 777; sleep 777\" & sleep 777",
    "writes without end": "yes & yes > /dev/null & cat /dev/zero | tr '\\0' x",
    "many children": "for i in 1 2 3 4 5 6 7 8 9; do (sleep 77$i; sleep 777) & done; wait",
    "stopped": "sleep 777 & kill -STOP $!; sleep 777",
    "empty environment": "env -i sleep 777 & sleep 777",
    "empty environment, own session": "env -i setsid sleep 777 & sleep 777",
}

FIRST = (("foreground", False), ("double fork", True), ("ignores TERM", False), ("stopped", True))
THOROUGH = pytest.mark.thorough


@pytest.fixture
def hermes(home: Path, tmp_path: Path) -> Hermes:
    folder = tmp_path / "work"
    folder.mkdir()
    return Hermes(home, folder)


def running_in(folder: Path) -> dict[int, str]:
    """All living processes whose working folder is `folder`: also those that lost every other sign."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state = entry.joinpath("stat").read_bytes().rpartition(b")")[2].split()[0]
            if Path(os.readlink(entry / "cwd")) == folder and state not in (b"Z", b"X"):
                found[int(entry.name)] = entry.joinpath("cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
    return found


def count_left(hermes: Hermes) -> dict[int, str]:
    return {**descendants_of_tasks(hermes.home), **running_in(hermes.folder)}


def check_saved(hermes: Hermes, server: ScriptedServer) -> None:
    """What the model has seen is there; what is missing is at most the line that was being written."""
    session = load_session(hermes.session_paths()[-1])
    assert all("not written to its end" in each for each in session.problems), session.problems
    assert "Work." in said(session)
    messages = session.history.messages()
    check_messages(messages)
    sent = server.requests[-1].body["messages"]
    assert messages[: len(sent)] == sent


def begun(server: ScriptedServer, hermes: Hermes, count: int) -> Callable[[], bool]:
    return lambda: len(server.requests) >= count and (hermes.folder / "started").exists()


@pytest.mark.parametrize(
    ("kind", "background"),
    [
        pytest.param(kind, background, marks=pytest.mark.long if (kind, background) in FIRST else THOROUGH)
        for kind in KINDS
        for background in (False, True)
    ],
)
def test_nothing_a_command_started_outlives_a_killed_hermes(
    kind: str, background: bool, hermes: Hermes
) -> None:
    chance = random.Random(f"{SEED} {kind} {background}")
    call = Call("terminal", {"command": f"touch started; {KINDS[kind]}", "background": background})
    for _ in range(5):
        (hermes.folder / "started").unlink(missing_ok=True)
        with scripted_server(Step(tool_calls=[call]), Step(text="Late.", delay=60)) as server:
            hermes.url = server.url
            process = hermes.start("-q", "Work.", "--yolo")
            wait_for(begun(server, hermes, 2 if background else 1))
            time.sleep(chance.choice([0, 0.01, chance.uniform(0, 0.4)]))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            wait_for(lambda: not count_left(hermes), GONE_WITHIN)
            check_saved(hermes, server)
    with scripted_server(Step(text="Going on.")) as server:
        hermes.url = server.url
        told = hermes.ask("Go on.", "--continue")
        assert (told.code, told.text) == (0, "Going on.\n"), told.told
        check_messages(server.last["messages"])


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=THOROUGH if part else pytest.mark.long) for part in range(3)]
)
def test_killed_between_the_decision_and_the_start_nothing_unrecorded_runs(part: int, hermes: Hermes) -> None:
    """The moments around the answer that holds the call, some milliseconds apart."""
    chance = random.Random(f"{SEED} {part}")
    for number in range(12):
        name = f"ran-{part}-{number}"
        call = Call("terminal", {"command": f"touch {name}; sleep 777"})
        with scripted_server(Step(tool_calls=[call])) as server:
            hermes.url = server.url
            process = hermes.start("-q", "Work.", "--yolo")
            wait_for(lambda: len(server.requests) == 1)
            time.sleep(chance.uniform(0, 0.12))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            wait_for(lambda: not count_left(hermes), GONE_WITHIN)
            check_saved(hermes, server)
        session = load_session(hermes.session_paths()[-1])
        recorded = any(
            name in call.arguments for each in session.history.rounds for call in each.assistant.tool_calls
        )
        assert recorded or not (hermes.folder / name).exists(), "it ran, and is not on record"


@pytest.fixture
def open_prompt(hermes: Hermes) -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def begin(server: ScriptedServer, *arguments: str) -> Terminal:
        hermes.url = server.url
        terminals.append(Terminal([*CLI[1:], *arguments], cwd=hermes.folder, environ=hermes.environ))
        return terminals[-1].ready()

    yield begin
    for terminal in terminals:
        terminal.close()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["foreground", "double fork", "ignores TERM"])
def test_a_killed_prompt_leaves_nothing_either(
    kind: str, hermes: Hermes, open_prompt: Callable[..., Terminal]
) -> None:
    chance = random.Random(f"{SEED} {kind}")
    call = Call("terminal", {"command": f"touch started; {KINDS[kind]}"})
    for _ in range(8):
        (hermes.folder / "started").unlink(missing_ok=True)
        with scripted_server(Step(tool_calls=[call])) as server:
            terminal = open_prompt(server, "--yolo")
            terminal.enter("Work.")
            wait_for(lambda: not terminal.read(0.02) or (hermes.folder / "started").exists())  # noqa: B023
            time.sleep(chance.uniform(0, 0.2))
            terminal.child.kill(signal.SIGKILL)
            terminal.child.wait()
            wait_for(lambda: not count_left(hermes), GONE_WITHIN)
            check_saved(hermes, server)


@pytest.mark.long
def test_killed_while_a_question_is_open_nothing_has_run(
    hermes: Hermes, open_prompt: Callable[..., Terminal]
) -> None:
    for number in range(4):
        call = Call("terminal", {"command": f"touch ran-{number}"})
        with scripted_server(Step(tool_calls=[call])) as server:
            terminal = open_prompt(server)
            terminal.enter("Work.")
            terminal.wait_for("[n] no")
            if number % 2:
                terminal.send("y")
            terminal.child.kill(signal.SIGKILL)
            terminal.child.wait()
            wait_for(lambda: not count_left(hermes), GONE_WITHIN)
            check_saved(hermes, server)
        assert number % 2 or not (hermes.folder / f"ran-{number}").exists()
