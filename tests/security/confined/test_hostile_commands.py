"""Commands that try to get out of a confined sandbox, run for real, as root and as another account."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sandboxes.confinement.bubblewrap_host import bubblewrap_problem
from sandboxes.confinement.landlock_host import landlock_problem, landlock_version
from tests.security.confined.stage import SECRET, Stage, make_stage

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
USER = 54321
CASES = [(kind, who) for kind in ("bubblewrap", "landlock") for who in ("root", "user")]


def commands(section: str = "") -> list[str]:
    """All, or those of the sections whose heading has this word."""
    found, wanted = [], True
    for line in (HERE / "hostile.txt").read_text().splitlines():
        if line.startswith("## "):
            wanted = section in line
        elif wanted and line and not line.startswith("#"):
            found.append(line)
    return found


IN_THE_WORKSPACE = commands("(bubblewrap)")


def python_of(who: str) -> list[str]:
    """A command line that runs Python as this account, with what the house needs."""
    if who == "root":
        return [sys.executable] if os.getuid() == 0 else pytest.skip("needs root")
    if os.getuid() != 0:
        return [sys.executable]
    drop = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(name, path="/usr/local/bin:/usr/bin")):
        if python and shutil.which("setpriv"):
            ended = subprocess.run(
                [*drop, "sh", "-c", 'exec "$1" -c "import msgspec"', "sh", python],
                env=_path(),
                capture_output=True,
                check=False,
            )
            if ended.returncode == 0:
                return [*drop, python]
    return pytest.skip(f"no {name} that another account than root could run")


def _path() -> dict[str, str]:
    return {"PYTHONPATH": f"{ROOT}:{Path(msgspec.__file__).parents[1]}", "PYTHONDONTWRITEBYTECODE": "1"}


def needs(kind: str) -> None:
    problem = bubblewrap_problem() if kind == "bubblewrap" else landlock_problem()
    if problem:
        pytest.skip(problem)
    if kind == "landlock" and landlock_version() < 6:
        pytest.skip("Landlock of this kernel does not keep signals in")


@pytest.fixture
def stage(who: str) -> Iterator[Stage]:
    user = USER if who == "user" and os.getuid() == 0 else os.getuid()
    made = make_stage(user)
    yield made
    made.close()


def perform(stage: Stage, kind: str, who: str, wanted: list[str]) -> list[dict[str, Any]]:
    for name, value in stage.names.items():
        wanted = [command.replace(f"@{name}@", value) for command in wanted]
    orders = {
        "kind": kind, "cwd": str(stage.work), "hidden": [str(stage.agent), str(stage.agent / "logs")],
        "guard": stage.victim.pid, "commands": wanted,
    }  # fmt: skip
    ended = subprocess.run(
        [*python_of(who), str(HERE / "session.py")], input=json.dumps(orders), cwd=stage.work,
        env={**stage.environ, **_path()}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(answers) == len(wanted) + 1
    return answers[:-1]


def told(wanted: list[str], answers: list[dict[str, Any]]) -> list[str]:
    return [
        f"{command}: {answer['output']}"
        for command, answer in zip(wanted, answers, strict=True)
        if SECRET in answer["output"].replace(f"grep -r {SECRET}", "")
    ]


def test_there_are_enough_of_them() -> None:
    assert len(set(commands())) >= 150


@pytest.mark.long
@pytest.mark.parametrize(("kind", "who"), CASES)
def test_no_hostile_command_has_an_effect(kind: str, who: str, stage: Stage) -> None:
    needs(kind)
    wanted = [each for each in commands() if kind == "bubblewrap" or each not in IN_THE_WORKSPACE]
    answers = perform(stage, kind, who, wanted)
    deadline = time.monotonic() + 2
    while stage.left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stage.effects(fixed=kind == "bubblewrap") == []
    assert told(wanted, answers) == []
    assert not [answer for answer in answers if stage.mark in answer["note"]]


@pytest.mark.parametrize("who", ["user"])
def test_the_same_commands_unconfined_are_noticed(who: str, stage: Stage) -> None:
    """The measure of the test above measures something."""
    wanted = [
        "echo @MARK@ > @OUT@/file", "cat @AGENT@/.env", "echo x > /dev/tcp/127.0.0.1/@TCP@",
        "echo x > /dev/udp/127.0.0.1/@UDP@", "cat /proc/@VICTIM@/environ", "echo x > /tmp/escape-@MARK@",
        """python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("@SOCK@")'""",
        """python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("\\0@ABSTRACT@")'""",
        "echo x > .git/hooks/pre-commit", "kill -9 @VICTIM@",
    ]  # fmt: skip
    answers = perform(stage, "none", who, wanted)
    stage.victim.wait(5)
    noticed = "\n".join(stage.effects(fixed=True))
    for part in (
        "outside/file:",
        "pre-commit",
        "was ended",
        "was made",
        "tcp",
        "udp",
        "the socket",
        "abstract",
    ):
        assert part in noticed
    assert len(told(wanted, answers)) == 2
    Path(f"/tmp/escape-{stage.mark}").unlink()
