"""What a person allowed for good is kept in a file of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from safety.commands.grants import Grant
from safety.gate import EffectRequest, Gate, PermissionAnswer
from safety.permissions import Permissions, PermissionsError

COMMIT = Grant("git commit", frozenset({"-m"}), True)


@pytest.fixture
def kept(tmp_path: Path) -> Permissions:
    return Permissions(tmp_path / "home" / "permissions.yaml")


def gate(here: Path, permissions: Permissions, answers: list[PermissionAnswer]) -> Gate:
    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        return answers.pop(0)

    return Gate("ask", workspace=str(here), ask=person, permissions=permissions)


def run(gate_: Gate, command: str) -> str:
    request = EffectRequest("terminal", ("exec",), command, command=command, cwd=gate_.workspace)
    return asyncio.run(gate_.authorize(request)).verdict


def test_a_permission_comes_back_as_it_was_given_to_nobody_else_to_read(kept: Permissions) -> None:
    kept.add("/a", COMMIT)
    kept.add("/b", Grant("pytest", None, True))
    kept.add("/a", COMMIT)
    assert kept.all() == [("/a", COMMIT), ("/b", Grant("pytest", None, True))]
    assert kept.granted("/a") == [COMMIT] and kept.granted("/c") == []
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert [file.name for file in kept.path.parent.iterdir() if file.suffix == ".new"] == []


def test_always_holds_in_the_next_conversation_and_in_this_folder_alone(
    kept: Permissions, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    assert run(gate(here, kept, ["always"]), "git commit -m x") == "allow"
    later = gate(here, kept, ["deny"])
    assert run(later, "git commit -m 'another'") == "allow"
    assert run(gate(there, kept, ["deny"]), "git commit -m x") == "deny"
    for more in (
        "git commit -m x; x",
        "git -c a=b commit -m x",
        "git commit -m x --no-verify",
        "git commit -am x",
    ):
        assert run(gate(here, kept, ["deny"]), more) == "deny"
    kept.remove(1)
    assert run(later, "git commit -m y") == "deny"


def test_always_is_no_answer_where_it_was_not_offered(kept: Permissions, tmp_path: Path) -> None:
    for command in ("frobnicate", "rm x", "python3 -c 1", "a; b", "curl host"):
        assert run(gate(tmp_path, kept, ["always"]), command) == "allow"
    assert kept.all() == []


def test_a_file_that_others_can_change_does_not_count(kept: Permissions, tmp_path: Path) -> None:
    kept.add(os.path.realpath(tmp_path), COMMIT)
    kept.path.chmod(0o666)
    with pytest.raises(PermissionsError, match="chmod 600"):
        kept.all()
    assert run(gate(tmp_path, kept, ["deny"]), "git commit -m x") == "deny"


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "- a",
        "/a: 5",
        "/a: [5]",
        "/a: [{command: 5, options: null}]",
        "!!python/object:os.system {}",
        "\x00",
    ],
)
def test_a_damaged_file_allows_nothing_and_can_be_emptied(
    kept: Permissions, tmp_path: Path, text: str
) -> None:
    kept.path.parent.mkdir()
    kept.path.write_text(text)
    kept.path.chmod(0o600)
    with pytest.raises(PermissionsError, match="damaged"):
        kept.all()
    assert run(gate(tmp_path, kept, ["deny"]), "git commit -m x") == "deny"
    kept.remove(None)
    assert kept.all() == []


def _add(path: Path, number: int) -> None:
    for index in range(5):
        Permissions(path).add(f"/{number}/{index}", COMMIT)


def test_two_that_write_at_once_lose_nothing(kept: Permissions) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add, args=(kept.path, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(kept.all()) == 20
