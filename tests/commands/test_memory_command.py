"""`hermes memory`, through its real command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.memory import memory
from configuration.home import SettingsError
from tools.memory_notes import MemoryNotes


@pytest.fixture
def notes(home: Path) -> MemoryNotes:
    return MemoryNotes(home / ".hermes" / "memory")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(memory, list(arguments))


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "editor"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(program))


def test_the_list_names_each_note_and_where_a_doubtful_one_comes_from(notes: MemoryNotes) -> None:
    notes.write("plan", "Go.")
    notes.write("rule", "always", "written after reading web page")
    lines = run("list").stdout.splitlines()
    assert lines[0].startswith("plan  ") and lines[0].endswith("3 characters")
    assert lines[1].endswith("6 characters  (written after reading web page)")


def test_an_empty_list_says_where_it_looked(notes: MemoryNotes) -> None:
    result = run("list")
    assert result.stdout == ""
    assert str(notes.folder) in result.stderr


def test_a_note_is_shown_and_cannot_steer_the_terminal(notes: MemoryNotes) -> None:
    notes.write("plan", "Go \x1b[2J.", "written after reading web page")
    result = run("show", "plan")
    assert "Go " in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stderr == "(written after reading web page)\n"


def test_a_note_is_edited_in_the_persons_editor(
    notes: MemoryNotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, 'echo "Tea." > "$1"')
    assert run("edit", "plan").exit_code == 0
    assert notes.read("plan").text == "Tea."
    assert Path(notes.path("plan")).stat().st_mode & 0o777 == 0o600


def test_a_new_note_that_stays_empty_is_none(
    notes: MemoryNotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "exit 0")
    assert "empty" in run("edit", "plan").stderr
    assert notes.names() == []


def test_a_note_that_became_too_long_is_kept_and_that_is_told(
    notes: MemoryNotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, 'head -c 9000 /dev/zero | tr "\\0" x > "$1"')
    assert "first 4000 characters" in run("edit", "plan").stderr
    assert Path(notes.path("plan")).stat().st_size == 9_000


def test_without_an_editor_that_starts_nothing_is_lost(
    notes: MemoryNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes.write("plan", "Go.")
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    result = run("edit", "plan")
    assert isinstance(result.exception, SettingsError)
    assert "Set EDITOR" in str(result.exception)
    assert notes.read("plan").text == "Go."


def test_a_link_in_the_place_of_a_note_is_left_alone(
    notes: MemoryNotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, 'echo "Tea." > "$1"')
    notes.folder.mkdir(parents=True)
    other = tmp_path / "other.txt"
    other.write_text("mine")
    (notes.folder / "plan.md").symlink_to(other)
    assert run("edit", "plan").exit_code == 1
    assert other.read_text() == "mine"


def test_notes_are_deleted_by_name(notes: MemoryNotes) -> None:
    for name in ("one", "two", "three"):
        notes.write(name, "x")
    assert run("delete", "one", "two").stdout == "deleted one\ndeleted two\n"
    assert notes.names() == ["three"]
    result = run("delete", "../three")
    assert result.exit_code == 1
    assert "is no name for a note" in result.stderr
