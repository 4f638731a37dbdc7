"""What hermes keeps is its owner's alone, whatever the umask, and is not lost between two processes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configuration.home import changing, read_secrets
from tests.faults.hermes_process import CLI, ROOT, Hermes
from tests.repl.terminal import Terminal
from tests.server.scripted_server import Call, Step, scripted_server

PROCESSES = 6


def open_to_others(*folders: Path) -> list[str]:
    """Files and folders in `folders`, themselves included, that anybody but their owner may touch."""
    found = []
    for top in folders:
        for each in [top, *top.rglob("*")]:
            mode = each.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & 0o077:
                found.append(f"{stat.S_IMODE(mode):04o} {each}")
    return found


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_a_session_leaves_nothing_open_to_others(home: Path, tmp_path: Path) -> None:
    command = "yes | head -c 300000; export A=1; sleep 0.01 &"
    steps = [
        Step(tool_calls=[Call("terminal", {"command": command})]),
        Step(tool_calls=[Call("terminal", {"command": "sleep 0.2; echo $A", "background": True})]),
        Step(text="Done."),
    ]
    with scripted_server(*steps, by="turn") as server:
        hermes = Hermes(home, tmp_path, server.url)
        (home / "tmp").chmod(0o700)
        assert hermes.ask("Go.", "--debug").code == 0
        assert hermes.run("config", "set", "gate.mode", "ask").code == 0
        assert hermes.run("config", "trust").code == 0
        assert hermes.run("config", "set-key", "A_KEY", stdin=b"s3cret\n").code == 0
        assert hermes.run("sessions", "list").code == 0
    assert hermes.session_paths() and list(hermes.logs.glob("debug-*"))
    assert [path for path in home.rglob("output-*") if path.stat().st_size >= 300_000]
    assert open_to_others(home / ".hermes", home / "tmp") == []


@pytest.mark.usefixtures("open_umask")
def test_a_batch_leaves_nothing_open_to_others(home: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "One."}\n{"prompt": "Two."}\n')
    steps = [Step(tool_calls=[Call("terminal", {"command": "yes | head -c 300000"})]), Step(text="Done.")]
    with scripted_server(*steps, by="turn") as server:
        hermes = Hermes(home, tmp_path, server.url)
        (home / "tmp").chmod(0o700)
        done = hermes.run(
            "batch", "--run", "r", "--output", str(tmp_path / "data"), "--policy", "yolo", "prompts.jsonl"
        )
        assert done.code == 0, done.told
    folders = [path for path in (home / ".hermes", home / "tmp", tmp_path / "data") if path.exists()]
    assert open_to_others(*folders) == []


@pytest.mark.usefixtures("open_umask")
def test_the_prompt_leaves_nothing_open_to_others(home: Path, tmp_path: Path) -> None:
    with scripted_server(Step(text="Hello there.")) as server:
        hermes = Hermes(home, tmp_path, server.url)
        (home / "tmp").chmod(0o700)
        terminal = Terminal(CLI[1:], cwd=tmp_path, environ=hermes.environ)
        try:
            terminal.wait_for("❯")
            terminal.enter("Hello")
            terminal.wait_for("Hello there.")
            terminal.enter("/quit")
            assert terminal.end() == 0
        finally:
            terminal.close()
    assert (home / ".hermes").exists()
    assert open_to_others(home / ".hermes", home / "tmp") == []


def start_all(home: Path, *programs: str) -> None:
    environ = {**os.environ, "HERMES_HOME": str(home / ".hermes")}
    started = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environ) for program in programs
    ]
    assert [each.wait() for each in started] == [0] * len(programs)


def test_what_many_processes_remember_at_once_is_all_remembered(home: Path) -> None:
    each = range(PROCESSES)
    trusting = (
        "import configuration.home as h, pathlib; [h.trust(pathlib.Path(f'/p{}/{{n}}')) for n in range(15)]"
    )
    storing = "import configuration.home as h; [h.store_secret(f'P{}_{{n}}_KEY', 'value') for n in range(15)]"
    start_all(home, *[trusting.format(n) for n in each], *[storing.format(n) for n in each])
    kept = json.loads((home / ".hermes/trusted_folders.json").read_text())
    assert kept["folders"] == sorted(f"/p{p}/{n}" for p in each for n in range(15))
    environ = {"HERMES_HOME": str(home / ".hermes")}
    assert set(read_secrets(environ)) == {f"P{p}_{n}_KEY" for p in each for n in range(15)}
    assert sorted(os.listdir(home / ".hermes")) == [".env", "trusted_folders.json"]


def test_settings_that_two_set_at_once_are_both_set(home: Path, tmp_path: Path) -> None:
    hermes = Hermes(home, tmp_path)
    keys = {"agent.max_turns": "17", "gate.mode": "deny", "model.temperature": "0.5"}
    started = [hermes.start("config", "set", key, value) for key, value in keys.items()]
    assert [each.communicate() and each.returncode for each in started] == [0, 0, 0]
    for key, value in keys.items():
        assert f"{key}: {value}" in hermes.run("config", "explain", key).text


def test_who_waits_goes_on_when_the_other_is_killed(home: Path) -> None:
    folder = home / ".hermes"
    program = (
        "import time, pathlib, configuration.home as h\n"
        f"with h.changing(pathlib.Path({str(folder)!r})): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.communicate()
    with changing(folder):
        assert folder.is_dir()
