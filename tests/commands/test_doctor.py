"""`hermes doctor` as a whole, the home folder, settings and hooks; and that nothing is changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from commands.checks.examination import examine, look_around
from commands.checks.finding import Finding, Scene, ok
from commands.checks.home import check_files, check_folder, check_sessions
from commands.checks.machine import check_hermes
from commands.checks.own_settings import check_hooks, check_settings
from tests.commands.doctors_patient import Person, silent
from tests.server.scripted_server import scripted_server

ROOT = Path(__file__).parents[2]
KEY = "sk-doctor-0123456789abcdef"


@pytest.fixture
def person(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.chdir(tmp_path)
    return Person(home, tmp_path, monkeypatch)


def doctor(*arguments: str, code: int) -> tuple[str, float]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "doctor", *arguments], capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, time.monotonic() - began


@pytest.mark.long
def test_a_machine_in_good_order_has_no_problem_and_no_secret_is_shown(person: Person) -> None:
    person.set("OPENAI_API_KEY", KEY)
    with scripted_server(models=["scripted"], api_key=KEY) as server:
        person.has(f"model:\n  name: scripted\n  base_url: {server.url}\n")
        told = json.loads(doctor("--json", code=0)[0])
        shown, _ = doctor(code=0)
    assert told["counts"]["problem"] == 0
    assert {row["group"] for row in told["checks"]} >= {"Hermes", "Home", "Settings", "Model", "Tools", "Web"}
    model = {row["name"]: row for row in told["checks"] if row["group"] == "Model"}
    assert model["keys"]["text"] == "set: OPENAI_API_KEY"
    assert model["server"]["state"] == model["model"]["state"] == "ok"
    assert KEY not in json.dumps(told) + shown
    assert shown.splitlines()[-1] == (
        f"{len(told['checks'])} checks: {told['counts']['ok']} ok, {told['counts']['off']} off, "
        f"{told['counts']['warning']} warning{'s' * (told['counts']['warning'] != 1)}, 0 problems"
    )


@pytest.mark.long
def test_a_server_that_says_nothing_costs_seconds_and_nothing_is_changed(person: Person) -> None:
    person.set("OPENAI_API_KEY", KEY)
    person.has("model: {name: x}\nhooks:\n  - {event: before_tool, command: ./nowhere}\n")
    with silent() as url:
        person.set("OPENAI_BASE_URL", url)
        before = everything(person)
        shown, seconds = doctor(code=1)
        assert everything(person) == before
    assert "did not answer in time" in shown
    assert "there is no program ./nowhere" in shown
    assert seconds < 10  # four at most are spent on checks; the machine may be busy


def everything(person: Person) -> dict[str, tuple[int, float]]:
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime)
        for folder in (person.home.parent, person.cwd)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_check_that_fails_or_hangs_costs_its_own_lines_alone(person: Person) -> None:
    def check_broken(scene: Scene) -> Iterator[Finding]:
        yield ok("first", "well")
        raise ZeroDivisionError("by nought")

    def check_slow(scene: Scene) -> Iterator[Finding]:
        yield ok("early", "well")
        time.sleep(30)

    def check_sound(scene: Scene) -> Iterator[Finding]:
        yield ok("sound", "well")

    began = time.monotonic()
    checks = [("One", check_broken), ("Two", check_slow), ("One", check_sound)]
    reports = examine(checks, look_around(person.cwd, offline=True), 0.3)
    assert time.monotonic() - began < 2
    assert [(group, [each.name for each in findings]) for group, findings in reports] == [
        ("One", ["first", "broken", "sound"]), ("Two", ["early", "two"]),
    ]  # fmt: skip
    assert "ZeroDivisionError: by nought" in reports[0].findings[1].text
    assert reports[1].findings[1].state == "problem"


@pytest.mark.long
def test_on_a_terminal_of_80_columns_every_line_fits(person: Person) -> None:
    child = pexpect.spawn(
        sys.executable, [str(ROOT / "cli.py"), "doctor", "--offline"], dimensions=(60, 80), encoding="utf-8",
        timeout=30,
    )  # fmt: skip
    child.expect(pexpect.EOF)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", child.before or "").splitlines()
    child.close()
    assert child.exitstatus == 0
    assert any("no key and no server is set" in line for line in lines)
    whole = [line for line in lines if "/" not in line]  # a path is not broken
    assert max(map(len, whole)) <= 80


def test_a_new_home_is_in_order(person: Person) -> None:
    assert person.states(check_hermes) == {"ok"}
    assert person.finds(check_folder)["folder"].text.endswith("is made when it is first needed")
    assert person.states(check_files) == {"off"}
    assert person.finds(check_sessions)["sessions"].text == "none yet"


def test_what_others_may_read_or_change_is_told_with_the_fix(person: Person) -> None:
    config = person.has("")
    config.chmod(0o666)
    person.home.chmod(0o777)
    env = person.home / ".env"
    env.write_text(f"OPENAI_API_KEY={KEY}\n")
    env.chmod(0o644)
    found = person.finds(check_files)
    assert found["config.yaml"].fix == f"chmod 600 {config}"
    assert (found[".env"].state, found[".env"].fix) == ("problem", f"chmod 600 {env}")
    assert KEY not in str(found)
    assert person.finds(check_folder)["folder"].fix == f"chmod 700 {person.home}"
    for path, mode in ((config, 0o600), (env, 0o600), (person.home, 0o700)):
        path.chmod(mode)
    assert {
        each.state for each in [*person.finds(check_files).values(), *person.finds(check_folder).values()]
    } == {"ok"}


def test_damaged_files_are_named(person: Person) -> None:
    person.has("")
    (person.home / ".env").write_text("what is this\n")
    (person.home / ".env").chmod(0o600)
    (person.home / "trusted_folders.json").write_text("[")
    (person.home / "permissions.yaml").write_text("- [")
    found = person.finds(check_files)
    assert {name: finding.state for name, finding in found.items()} == {
        ".env": "problem", "trust": "problem", "permissions": "problem",
    }  # fmt: skip
    assert "expected NAME=VALUE" in found[".env"].text
    sessions = person.home / "logs" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "s1.jsonl").write_text("rubbish\n")
    (person.home / "logs" / "session_index.sqlite").write_text("no database")
    found = person.finds(check_sessions)
    assert found["sessions"].state == "warning"
    assert "s1.jsonl" in found["sessions"].text
    assert found["index"].state == "warning"


def test_a_home_that_cannot_be_made_is_a_problem(person: Person) -> None:
    person.set("HERMES_HOME", "/dev/null/hermes")
    found = person.finds(check_folder)["folder"]
    assert (found.state, found.fix) == ("problem", "set HERMES_HOME")


def test_a_home_that_is_a_file_is_a_problem(person: Person) -> None:
    person.home.write_text("")
    found = person.finds(check_folder)["folder"]
    assert (found.state, found.text) == ("problem", f"{person.home} is a file")


def test_every_problem_of_the_settings_is_told_with_file_and_line(person: Person) -> None:
    path = person.has("agent:\n  max_turns: many\nmodle:\n  name: x\n")
    scene = look_around(person.cwd, offline=True)
    texts = [each.text for each in check_settings(scene) if each.state == "problem"]
    assert len(texts) == 2
    assert texts[0].startswith(f"{path}:2: agent.max_turns must be a whole number")
    assert texts[1].startswith(f"{path}:3: unknown setting modle")


def test_names_that_mean_nothing_are_told_with_file_and_line(person: Person) -> None:
    path = person.has("agent:\n  personality: grump\ndistributions:\n  mine:\n    termnal: 50\n")
    found = person.finds(check_settings)
    assert found["personality"].text.startswith(f"{path}:2: no personality 'grump'")
    assert found["distributions"].text.startswith(
        f"{path}:4: distribution 'mine': there is no toolset 'termnal'"
    )


def test_layers_are_named_and_a_folder_that_is_not_trusted_is_a_warning(person: Person) -> None:
    path = person.has("gate: {mode: auto-edit}\n")
    person.set("HERMES_MODEL", "x")
    (person.cwd / ".hermes").mkdir()
    (person.cwd / ".hermes" / "config.yaml").write_text("gate: {mode: yolo}\n")
    found = person.finds(check_settings)
    assert found["settings"].text == f"from {path} and the environment (HERMES_MODEL)"
    assert found["folder's own"].fix.endswith("hermes config trust")
    assert found["gate"].text == "policy auto-edit"


def test_hooks_are_looked_at(person: Person) -> None:
    near, far = person.cwd / "check.sh", person.home / "hooks" / "guard.sh"
    person.has(
        "hooks:\n"
        f"  - {{event: before_tool, command: {far} --strict, required: true}}\n"
        "  - {event: before_tool, command: nowhere-to-be-found, required: true}\n"
        "  - {event: after_tool, command: ./check.sh}\n"
        "  - {event: after_tool, command: ./plain.sh}\n"
        "  - {event: before_tool, command: 'true', tools: [write_*, no_such_tool]}\n"
        "  - {event: session_start, command: 'true', tools: [terminal]}\n"
        "  - {event: session_end, command: 'test -e x && echo \"$HERMES_EVENT\"'}\n"
    )
    far.parent.mkdir()
    for path in (near, far, person.cwd / "plain.sh"):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    (person.cwd / "plain.sh").chmod(0o644)
    found = list(person.finds(check_hooks).values())
    assert [each.state for each in found] == [
        "ok", "problem", "warning", "problem", "warning", "warning", "ok",
    ]  # fmt: skip
    assert "required" in found[0].text
    assert "every call it is asked about is denied" in found[1].text
    assert "the agent may change it" in found[2].text
    assert found[3].fix == "chmod +x ./plain.sh"
    assert "no_such_tool" in found[4].text
