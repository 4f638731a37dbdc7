"""What is allowed unasked, tried on everyday commands and on hostile ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.security.commands.workplace import corpus, decided, gate_for, make_project

HOSTILE = corpus("hostile.txt")
BENIGN = corpus("benign.txt")


@pytest.fixture
def project(home: Path) -> Path:
    return make_project(home / "project")


def test_the_corpora_are_large() -> None:
    assert len(set(HOSTILE)) >= 1_400
    assert len(set(BENIGN)) >= 400


@pytest.mark.parametrize("trusted", [True, False])
def test_no_hostile_command_runs_unasked(project: Path, home: Path, trusted: bool) -> None:
    gate = gate_for(project, home, trusted=trusted)
    allowed = [command for command in HOSTILE if decided(gate, command).verdict == "allow"]
    assert allowed == []


def test_no_hostile_command_runs_where_edits_are_allowed_but_those_that_only_edit_here(
    project: Path, home: Path
) -> None:
    gate = gate_for(project, home, trusted=True, mode="auto-edit")
    allowed = {command for command in HOSTILE if decided(gate, command).verdict == "allow"}
    assert allowed
    for command in allowed:
        found = decided(gate, command)
        assert found.rule not in ("unknown program", "not understood") and "secret" not in found.effects


@pytest.mark.parametrize("trusted", [True, False])
def test_where_the_policy_is_deny_no_hostile_command_is_even_asked_about(
    project: Path, home: Path, trusted: bool
) -> None:
    gate = gate_for(project, home, trusted=trusted, mode="deny")
    assert {decided(gate, command).verdict for command in HOSTILE} == {"deny"}


def test_at_most_one_in_ten_everyday_commands_is_asked_about_in_a_trusted_folder(
    project: Path, home: Path
) -> None:
    gate = gate_for(project, home, trusted=True)
    asked = [command for command in BENIGN if decided(gate, command).verdict != "allow"]
    assert len(asked) <= len(BENIGN) * 0.02, asked


def test_where_nobody_trusts_the_folder_its_own_code_is_what_is_asked_about(
    project: Path, home: Path
) -> None:
    gate = gate_for(project, home, trusted=False)
    asked = [each for command in BENIGN if (each := decided(gate, command)).verdict != "allow"]
    others = [each for each in asked if "own code" not in each.reason]
    assert len(others) <= len(BENIGN) * 0.03, others
    assert len(asked) <= len(BENIGN) * 0.3


def test_a_thousand_commands_are_judged_in_a_second(project: Path, home: Path) -> None:
    gate = gate_for(project, home, trusted=False)
    commands = [*HOSTILE, *BENIGN]
    decided(gate, "ls")
    started = time.process_time()
    for command in commands:
        decided(gate, command)
    assert (time.process_time() - started) / len(commands) < 0.001


@pytest.mark.parametrize(
    "command",
    [
        "; ".join(["ls"] * 10_000),
        "|".join(["cat"] * 10_000),
        "ls " + "a" * 1_000_000,
        "ls " + "'" * 999_999,
        "ls " + "$(" * 400_000,
        "echo " + '"' + "\\" * 999_998,
        "ls " + "*" * 32_000,
        "ls " + "?*" * 16_000 + "x",
        "cat " + "[" * 32_000,
        "ls " + "{" * 32_000,
        "ls " + "~" * 32_000,
        "ls " + "/" * 32_000,
        "ls " + "../" * 10_000,
        "\n" * 1_000_000 + "ls",
        "#" * 1_000_000,
        "sed -n '" + "1p;" * 10_000 + "' x",
        "sed -n '" + "1p" + " " * 32_000 + "x'",
        "awk '" + "{" * 32_000 + "' x",
        "printf '" + "%" * 32_000 + "'",
        "git log " + "-" * 32_000,
        "ls " + "-a " * 10_000,
        "cat .env." + "a." * 10_000,
        "make " + "a-" * 16_000,
        "ls " + "a " * 16_000,
        "echo " + "x;echo " * 4_000,
    ],
    ids=lambda command: command[:12],
)
def test_long_lines_are_judged_at_once(project: Path, home: Path, command: str) -> None:
    gate = gate_for(project, home, trusted=True)
    decided(gate, "ls")
    started = time.process_time()
    found = decided(gate, command)
    seconds = time.process_time() - started
    assert seconds < 0.4, f"{seconds:.3f} s"
    if len(command) > 40_000:
        assert found.verdict == "ask"
