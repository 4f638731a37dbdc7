"""From settings to a sandbox: what is set is obeyed, or is an error."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from safety.confinement import UNCONFINED, Confinement
from safety.gate import EffectRequest, Gate
from sandboxes.backend import confinement, make_sandbox, place_name, place_told
from sandboxes.confinement.confined import confinement_problem
from sandboxes.sandbox import SandboxError
from settings import Settings


def settings_with(mode: str = "", **terminal: object) -> Settings:
    return msgspec.convert(
        {"terminal": terminal, "gate": {"mode": mode}, "ssh": {"host": "machine"}}, Settings
    )


def test_a_folder_that_is_set_and_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"terminal\.cwd: the folder .*/none does not exist"):
        make_sandbox(settings_with(cwd=str(tmp_path / "none")), "task", str(tmp_path), os.environ)


@pytest.mark.parametrize("backend", ["ssh", "nomad"])
def test_a_variable_that_cannot_be_passed_is_an_error(backend: str, tmp_path: Path) -> None:
    settings = settings_with(backend=backend, env_pass=["CI_TOKEN"])
    with pytest.raises(SandboxError, match=f"{backend}: no variable is passed there; take CI_TOKEN out"):
        make_sandbox(settings, "task", str(tmp_path), os.environ)


def test_no_network_is_an_error_where_nothing_could_keep_it(tmp_path: Path) -> None:
    settings = settings_with(sandbox="off", network=False)
    with pytest.raises(SandboxError, match=r"terminal\.sandbox: required"):
        make_sandbox(settings, "task", str(tmp_path), os.environ)


@pytest.mark.parametrize(
    ("sandbox", "mode", "attended", "holds"),
    [
        ("auto", "", False, True),
        ("auto", "auto-edit", False, True),
        ("auto", "yolo", False, False),
        ("auto", "", True, False),
        ("required", "yolo", True, True),
        ("off", "", False, False),
    ],
)
def test_local_commands_are_confined_where_nobody_is_there_unless_it_is_set(
    sandbox: str, mode: str, attended: bool, holds: bool, tmp_path: Path
) -> None:
    if problem := confinement_problem():
        pytest.skip(problem)
    settings = settings_with(mode, sandbox=sandbox)
    found = confinement(settings, str(tmp_path), os.environ, attended=attended)
    assert found.holds is holds
    made = make_sandbox(settings, "task", str(tmp_path), os.environ, attended=attended)
    assert made.confinement.kind == found.kind
    assert place_name(settings, found.kind) == (f"local:{found.kind}" if holds else "local")


def test_another_machine_is_no_wall_and_trust_in_a_folder_here_means_nothing_there(tmp_path: Path) -> None:
    settings = settings_with(backend="ssh")
    found = confinement(settings, str(tmp_path), os.environ)
    assert not found.holds
    gate = Gate("ask", workspace=str(tmp_path), trusted=True, confinement=found)
    request = EffectRequest("terminal", ("exec",), "make test", command="make test", cwd=str(tmp_path))
    assert gate.decide(request).verdict == "ask"
    here = Gate("ask", workspace=str(tmp_path), trusted=True)
    assert here.decide(request).verdict == "allow"


WIDEN = "\nto widen it: terminal.writable, terminal.network, terminal.sandbox"


@pytest.mark.parametrize(
    ("terminal", "held", "told"),
    [
        ({}, UNCONFINED, "on this machine, as you: nothing confines them"),
        (
            {},
            Confinement("bubblewrap", network=False),
            f"confined to this folder by bubblewrap, without network{WIDEN}",
        ),
        (
            {"writable": ["/data"]},
            Confinement("landlock"),
            f"confined to this folder and /data by landlock, with network{WIDEN}",
        ),
        (
            {"backend": "docker"},
            Confinement("docker", network=False),
            "in docker: debian:12-slim, without network",
        ),
        ({"backend": "ssh"}, Confinement("ssh", writable=()), "on machine over ssh, as that login"),
    ],
)
def test_a_person_is_told_where_commands_run_and_what_holds_them(
    terminal: dict[str, object], held: Confinement, told: str
) -> None:
    assert place_told(settings_with("", **terminal), held) == told
