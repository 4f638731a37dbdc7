"""The whole program in a PTY: the real agent, the built-in model, real tools and files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sandboxes.confinement.confined import confinement_problem
from tests.repl.terminal import Terminal

Start = Callable[..., Terminal]
CLI = str(Path(__file__).parents[2] / "cli.py")
CTRL_C = "\x03"
LONG = str(1_000_000 + os.getpid())
"""Seconds to sleep that no other test on this machine sleeps."""


@pytest.fixture
def hermes(start: Start, home: Path) -> Callable[..., Terminal]:
    def begin(*arguments: str, **more: str) -> Terminal:
        environ = {"HERMES_LOGS": str(home / ".hermes" / "logs"), **more}
        return start(argv=[CLI, *arguments], environ=environ, columns=100, rows=40).ready()

    return begin


def session_of(terminal: Terminal) -> str:
    found = re.search(r"session\s+(\S+)", terminal.transcript())
    assert found
    return found[1]


def leave(terminal: Terminal) -> None:
    terminal.enter("/quit")
    assert terminal.end() == 0


def test_a_conversation_with_tools_is_saved_and_resumed(
    hermes: Callable[..., Terminal], tmp_path: Path
) -> None:
    (tmp_path / "llama.txt").write_text("hay\n")
    first = hermes()
    assert "commands  on this machine, as you: nothing confines them" in first.transcript()
    session = session_of(first)
    first.enter("list the files here")
    first.wait_for("llama.txt")
    first.ready()
    leave(first)
    assert f"hermes --resume {session}" in first.transcript()
    second = hermes("--resume", session[:20])
    assert session_of(second) == session
    second.enter("/history")
    second.wait_for("you: list the files here")


def test_the_banner_says_what_confines_commands_and_how_to_widen_it(hermes: Callable[..., Terminal]) -> None:
    if problem := confinement_problem():
        pytest.skip(problem)
    text = hermes(HERMES_TERMINAL_SANDBOX="required").transcript()
    assert re.search(r"commands  confined to this folder by (bubblewrap|landlock), without network", text)
    assert "to widen it: terminal.writable, terminal.network, terminal.sandbox" in text


def test_where_a_conversation_lies_that_could_not_be_saved_is_said_on_leaving(
    hermes: Callable[..., Terminal], tmp_path: Path
) -> None:
    (tmp_path / "no_folder").write_text("")
    terminal = hermes(HERMES_LOGS=str(tmp_path / "no_folder" / "logs"), TMPDIR=str(tmp_path))
    terminal.enter("list the files here")
    terminal.wait_for("not being saved")
    terminal.ready()
    leave(terminal)
    kept = next(tmp_path.glob("hermes-*.jsonl"))
    assert "list the files here" in kept.read_text()
    assert kept.name in terminal.transcript().replace("\n", "")


def test_instructions_of_a_folder_count_only_after_a_yes_and_it_is_asked_once(
    start: Start, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "CLAUDE.md").write_text("Call me captain.")
    (tmp_path / ".hermes").mkdir()
    (tmp_path / ".hermes" / "config.yaml").write_text("")
    environ = {"HERMES_LOGS": str(home / ".hermes" / "logs"), "HERMES_AGENT_INSTRUCTIONS_FILE": "CLAUDE.md"}

    def begin() -> Terminal:
        return start(argv=[CLI], environ=environ, columns=100, rows=40)

    def answered(word: str) -> Terminal:
        terminal = begin()
        terminal.wait_for("(CLAUDE.md)")
        terminal.enter(word)
        return terminal.ready()

    def system_text(terminal: Terminal) -> str:
        terminal.enter("/prompt")
        terminal.wait_for("Working folder")
        terminal.ready()
        leave(terminal)
        return terminal.transcript()

    assert "Call me captain." not in system_text(answered("no"))
    assert "Call me captain." not in system_text(begin().ready())
    (home / ".hermes" / "trusted_folders.json").unlink()
    assert "Call me captain." in system_text(answered("yes"))
    assert "Call me captain." in system_text(begin().ready())


def test_instructions_alone_are_named_and_nobody_is_asked(start: Start, home: Path, tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Call me captain.")
    environ = {"HERMES_LOGS": str(home / ".hermes" / "logs")}
    terminal = start(argv=[CLI], environ=environ, columns=100, rows=40).ready()
    terminal.wait_for("AGENTS.md is not read until you trust this folder: hermes config trust")
    leave(terminal)
    trust = [sys.executable, CLI, "config", "trust"]
    done = subprocess.run(trust, cwd=tmp_path, check=True, capture_output=True)
    assert b"is trusted" in done.stdout
    terminal = start(argv=[CLI], environ=environ, columns=100, rows=40).ready()
    terminal.enter("/prompt")
    terminal.wait_for("Call me captain.")
    leave(terminal)


def test_a_file_is_written_only_after_a_yes(hermes: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = hermes()
    terminal.enter('make a file poem.md with "roses are red"')
    terminal.wait_for("[y] once")
    assert not (tmp_path / "poem.md").exists()
    terminal.send("n")
    terminal.wait_for("⊘ write_file")
    terminal.ready()
    assert not (tmp_path / "poem.md").exists()
    terminal.enter("/retry")
    terminal.wait_for(lambda text: text.count("needs your word") == 2)
    terminal.wait_for(lambda text: "[y] once" in text.splitlines()[-3])
    terminal.send("y")
    terminal.wait_for("+roses are red")
    assert (tmp_path / "poem.md").read_text().strip() == "roses are red"


def test_ctrl_c_ends_a_running_command_with_its_children(hermes: Callable[..., Terminal]) -> None:
    terminal = hermes("--yolo")
    terminal.enter(f"run `sleep 345 & sleep {LONG}`")
    terminal.wait_for("running terminal")
    deadline = time.monotonic() + 5
    while not sleeping(LONG) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sleeping(LONG)
    terminal.send(CTRL_C)
    began = time.monotonic()
    terminal.wait_for("interrupted")
    assert time.monotonic() - began < 1
    terminal.ready()
    assert not sleeping(LONG)
    time.sleep(2)
    terminal.enter("list the files here")
    terminal.wait_for(lambda text: text.count("✓") == 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_during_a_command_ends_it_and_the_session_loads(
    hermes: Callable[..., Terminal], number: signal.Signals, code: int
) -> None:
    terminal = hermes("--yolo")
    session = session_of(terminal)
    terminal.enter(f"run `sleep {LONG}`")
    terminal.wait_for("running terminal")
    terminal.read(0.5)
    terminal.child.kill(number)
    assert terminal.end() == code
    assert not sleeping(LONG)
    again = hermes("--resume", session)
    again.enter("/history")
    again.wait_for(f"you: run `sleep {LONG}`")


def sleeping(seconds: str) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] == ["sleep", seconds] and process.status() != psutil.STATUS_ZOMBIE
    ]


ANSWERS = [
    ("/tools", "terminal "),
    ("/toolsets", "● file             through default."),
    ("/toolsets", "○ moa"),
    ("/toolsets file", "On now: file (read_file"),
    ("/toolsets nonsense", "nonsense"),
    ("/model", "offline"),
    ("/personality", "shakespeare"),
    ("/personality pirate", "hermes config set agent.personality pirate"),
    ("/personality nobody", "nobody"),
    ("/usage", "requests  0"),
    ("/save", "nothing is saved yet"),
    ("/sessions", "No session"),
    ("/config display.kawaii", "true"),
    ("/config display.kawaii false", "display.kawaii"),
    ("/config display.kawai false", "display.kawaii"),
    ("/resume 1999", "1999"),
    ("/undo", "nothing to take back"),
    ("/compact", "too short"),
]


def test_each_command_reaches_the_agent(hermes: Callable[..., Terminal]) -> None:
    terminal = hermes()
    for line, shown in ANSWERS:
        terminal.enter(line)
        terminal.wait_for(lambda text, line=line, shown=shown: shown in text.rpartition(f"❯ {line}\n")[2])  # type: ignore[misc]
    assert "Error:" not in terminal.transcript()


def test_a_personality_changes_the_system_text_and_no_file(
    hermes: Callable[..., Terminal], home: Path
) -> None:
    terminal = hermes()
    terminal.enter("/personality noir")
    terminal.wait_for("speaks as noir")
    terminal.enter("/prompt")
    terminal.wait_for("every bug a suspect")
    assert not (home / ".hermes" / "config.yaml").exists()


def test_undo_and_new_are_in_the_session_file(hermes: Callable[..., Terminal], home: Path) -> None:
    terminal = hermes()
    session = session_of(terminal)
    terminal.enter("what can you do?")
    terminal.wait_for(lambda text: "$0.00" in text.splitlines()[-1])
    terminal.ready()
    terminal.enter("/undo")
    terminal.wait_for("Taken back: what can you do?")
    terminal.enter("/new")
    terminal.wait_for("A new session")
    leave(terminal)
    lines = (home / ".hermes" / "logs" / "sessions" / f"{session}.jsonl").read_text().splitlines()
    assert any("undone" in line for line in lines)
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_failing_start_needs_no_traceback(start: Start, home: Path) -> None:
    (home / ".hermes").mkdir(exist_ok=True)
    (home / ".hermes" / "config.yaml").write_text("display:\n  colour: true\n")
    terminal = start(argv=[CLI])
    assert terminal.end() == 2
    assert "config.yaml" in terminal.screen()
    assert "Traceback" not in terminal.transcript()


def test_the_reason_of_a_hook_that_refuses_is_shown_to_the_person(
    hermes: Callable[..., Terminal], home: Path
) -> None:
    (home / ".hermes").mkdir(exist_ok=True)
    hook = '{event: before_tool, command: "echo pushing is done by people >&2; exit 2", tools: [terminal]}'
    (home / ".hermes" / "config.yaml").write_text(f"hooks:\n  - {hook}\n")
    terminal = hermes("--yolo")
    terminal.enter("run `git push origin main`")
    terminal.wait_for("⊘ terminal")
    text = terminal.ready().transcript()
    after = text[text.index("⊘ terminal") :].splitlines()
    assert "says no: pushing is done by people" in " ".join(" ".join(after[1:3]).split())
