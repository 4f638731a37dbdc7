"""`hermes gate`, as a person or a script uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safety.commands.grants import Grant
from safety.permissions import Permissions

ROOT = Path(__file__).parents[2]


def hermes(*arguments: str, send: bytes = b"", code: int = 0, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "gate", *arguments],
        input=send, capture_output=True, check=False, env={**os.environ}, cwd=cwd,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout.decode() + (done.stderr.decode() if code else "")


def answers(lines: bytes, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in hermes("explain", "--json", *arguments, send=lines).splitlines()]


def test_a_person_is_told_what_would_happen_and_why(tmp_path: Path) -> None:
    told = hermes("explain", "--cwd", str(tmp_path), "--", "git status && rm -rf x")
    assert told.startswith("ask: ")
    assert (
        "it deletes files" in told
        and "part        rm -rf x" in told
        and "rule        unknown program" in told
    )
    assert "unattended  deny" in told and "held by     nothing" in told
    assert hermes("explain", "--mode", "yolo", "--", "rm -rf x").startswith("allow: the policy is yolo")
    assert hermes("explain", "--mode", "deny", "--", "rm", "-rf", "x").startswith("deny: ")


def test_what_would_hold_a_command_is_told_for_the_policy_that_is_tried(tmp_path: Path) -> None:
    told = hermes("explain", "--mode", "yolo", "--cwd", str(tmp_path), "--", "rm -rf x")
    assert "held by     nothing" in told and "unattended  allow, held by nothing" in told


def test_settings_with_which_no_command_runs_are_told_instead_of_a_decision(home: Path) -> None:
    config = home / ".hermes" / "config.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("terminal: {network: false, sandbox: 'off'}\n")
    told = hermes("explain", "--", "ls", code=1)
    assert "refuse to run any command" in told and "terminal.network" in told and "allow" not in told


def test_ssh_is_not_said_to_hold_anything(home: Path) -> None:
    config = home / ".hermes" / "config.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("terminal: {backend: ssh}\nssh: {host: other.example}\n")
    assert "held by     nothing: on the other machine" in hermes("explain", "--", "ls")


def test_what_is_invisible_in_a_command_is_shown() -> None:
    assert "<U+202E>" in hermes("explain", "--", "ls \u202e")


def test_many_commands_are_answered_one_a_line(tmp_path: Path) -> None:
    commands = ["ls", "rm x", "cat ~/.ssh/id_rsa", "ls\x00", "a\u2028b", "l" * 1_000_000, ""]
    lines = "".join(json.dumps(command) + "\n" for command in commands).encode()
    found = answers(lines, "--mode", "ask", "--cwd", str(tmp_path))
    assert [each["command"] for each in found] == commands
    assert [each["decision"] for each in found] == ["allow"] + ["ask"] * 6
    assert set(found[0]) == {"command", "decision", "effects", "part", "rule", "reason"}
    assert found[0]["effects"] == ["read"] and "secret" in found[2]["effects"]


def test_a_line_that_is_no_json_string_is_an_error_and_the_next_is_answered() -> None:
    lines = b'{"a": 1}\nnonsense\n\xff\xfe\n"\\ud800"\n12\n' + b"[" * 100_000 + b'\n"ls"\n'
    found = answers(lines)
    assert ["error" in each for each in found] == [True, True, True, False, True, True, False]
    assert found[-1]["decision"] == "allow"
    assert found[1]["error"] == "line 2 of the input is not a JSON string"
    assert answers(b'"ls"\n\n7\n')[1]["error"].startswith("line 3 ")


def test_several_words_are_judged_as_they_were_typed(tmp_path: Path) -> None:
    said = ["explain", "--json", "--cwd", str(tmp_path), "--"]
    found = json.loads(hermes(*said, "grep", "a; rm x", "a b.py"))
    assert (found["command"], found["decision"]) == ("grep 'a; rm x' 'a b.py'", "allow")
    assert json.loads(hermes(*said, "grep a; rm x"))["decision"] == "ask"


def test_an_option_of_the_command_is_not_taken_for_one_of_explain() -> None:
    told = hermes("explain", "git", "log", "--oneline", code=2)
    assert "Put -- before the command" in told and "--oneline" in told


def test_each_answer_comes_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), "gate", "explain", "--json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ},
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    with process:
        for command in ("ls", "rm x"):
            process.stdin.write(json.dumps(command).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["command"] == command
        process.stdin.close()


def test_the_folder_that_is_trusted_may_run_its_tests(tmp_path: Path) -> None:
    from settings import trust

    assert hermes("explain", "--cwd", str(tmp_path), "--", "pytest -q").startswith("ask: ")
    trust(tmp_path)
    assert hermes("explain", "--cwd", str(tmp_path), "--", "pytest -q").startswith("allow: ")


def test_what_was_allowed_for_good_is_listed_and_taken_back(home: Path) -> None:
    assert hermes("list") == "Nothing is allowed for good.\n"
    kept = Permissions(home / ".hermes" / "permissions.yaml")
    kept.add("/a", Grant("git commit", frozenset({"-m"}), True))
    kept.add("/b", Grant("pytest", None, True))
    assert "1  git commit … with -m  in /a" in hermes("list")
    assert json.loads(hermes("list", "--json"))["permissions"][1]["command"] == "pytest"
    hermes("forget", "1")
    assert [grant.name for _, grant in kept.all()] == ["pytest"]
    assert "there is no number 7" in hermes("forget", "7", code=1)
    kept.path.write_text("[")
    assert "forget --all" in hermes("list", code=1)
    hermes("forget", "--all")
    assert kept.all() == []


@pytest.mark.parametrize("wrong", [["explain"], ["forget"], ["forget", "1", "--all"]])
def test_wrong_usage_is_told(wrong: list[str]) -> None:
    hermes(*wrong, code=2)
