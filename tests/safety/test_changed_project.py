"""The project's own code runs unasked where it is trusted, but not once a page may have had it changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from safety.confinement import UNCONFINED, Confinement
from safety.gate import EffectRequest, Gate, Mode, PermissionAnswer

SEALED = Confinement("bubblewrap", network=False, writable=("/work-of-nobody",), keys=False)


def gate(here: Path, mode: Mode = "auto-edit", confinement: Confinement = UNCONFINED, word: str = "") -> Gate:
    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        return "once" if word == "once" else "session"

    return Gate(
        mode, workspace=str(here), explicit=True, trusted=True, confinement=confinement,
        ask=person if word else None,
    )  # fmt: skip


def write(to: Gate, here: Path) -> None:
    path = str(here / "conftest.py")
    request = EffectRequest("write_file", ("write",), "write", (path,), "writing files")
    assert asyncio.run(to.authorize(request)).verdict == "allow"


def running(to: Gate) -> str:
    decision = to.decide(
        EffectRequest("terminal", ("exec",), "pytest", command="pytest -q", cwd=to.workspace)
    )
    assert decision.verdict == "allow" or "(web page)" in decision.reason
    return decision.verdict


def test_what_was_changed_unasked_after_a_page_was_read_does_not_run_unasked(tmp_path: Path) -> None:
    changed = gate(tmp_path)
    write(changed, tmp_path)
    assert running(changed) == "allow"
    changed.note_untrusted("web page")
    assert running(changed) == "allow"
    write(changed, tmp_path)
    assert running(changed) == "ask"
    changed.forget_grants()
    assert running(changed) == "allow"


@pytest.mark.parametrize("command", ["cp a.py conftest.py", "mv a.py test_a.py"])
def test_nor_where_a_command_changed_it(command: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    changed = gate(tmp_path)
    changed.note_untrusted("web page")
    request = EffectRequest("terminal", ("exec",), command, command=command, cwd=str(tmp_path))
    assert asyncio.run(changed.authorize(request)).verdict == "allow"
    assert running(changed) == "ask"


def test_where_it_is_held_without_network_it_runs(tmp_path: Path) -> None:
    changed = gate(tmp_path, confinement=SEALED)
    changed.note_untrusted("web page")
    write(changed, tmp_path)
    assert running(changed) == "allow"


@pytest.mark.parametrize(("word", "verdict"), [("once", "allow"), ("session", "ask")])
def test_a_change_that_a_person_saw_is_theirs(word: str, verdict: str, tmp_path: Path) -> None:
    changed = gate(tmp_path, "ask", word=word)
    changed.note_untrusted("web page")
    write(changed, tmp_path)
    assert running(changed) == verdict
