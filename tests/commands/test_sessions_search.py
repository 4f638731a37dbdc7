"""`hermes sessions search`, through its real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.sessions import sessions
from conversation.message import AssistantMessage, UserMessage
from trajectories.session_file import SessionWriter, delete_session
from trajectories.session_index import FILE
from trajectories.session_record import Header


@pytest.fixture
def logs(home: Path) -> Path:
    return home / ".hermes" / "logs"


@pytest.fixture
def save(logs: Path) -> Callable[[str], Path]:
    def one(question: str) -> Path:
        writer = SessionWriter.create(logs / "sessions", Header(id="", cwd="/work"), sync=False)
        writer.append(UserMessage(question))
        writer.append(AssistantMessage("Yes."))
        writer.end_turn("done")
        writer.close()
        return writer.path

    return one


def search(*words: str, color: bool = False) -> Result:
    return CliRunner().invoke(sessions, ["search", *words], color=color)


def test_each_hit_is_a_line_with_the_words_below(save: Callable[[str], Path]) -> None:
    path = save("Which fern likes shade?")
    save("Which cactus?")
    result = search("fern")
    lines = result.stdout.splitlines()
    assert lines[0].split()[0] == path.stem
    assert lines[0].endswith("Which fern likes shade?")
    assert lines[1:] == ["    person: Which fern likes shade?"]
    assert result.stderr == ""


def test_on_a_terminal_what_was_found_is_bold_and_nothing_else_steers_it(save: Callable[[str], Path]) -> None:
    save("a \x1b[2J fern \x1b]0;owned\x07 here")
    shown = search("fern", color=True).stdout
    assert "\x1b[1mfern\x1b[0m" in shown
    assert "\x1b[2J" not in shown and "\x07" not in shown


def test_words_in_quotes_stay_together(save: Callable[[str], Path]) -> None:
    save("door red")
    path = save("the red door")
    rows = [json.loads(line) for line in search("red door", "--json").stdout.splitlines()]
    assert [row["id"] for row in rows] == [path.stem]
    assert rows[0]["passages"] == [{"speaker": "person", "text": "the red door"}]


def test_the_number_of_hits_can_be_chosen(save: Callable[[str], Path]) -> None:
    for _ in range(4):
        save("fern")
    assert len(search("fern", "-n", "2", "--json").stdout.splitlines()) == 2


def test_nothing_found_says_where_it_was_looked_for(save: Callable[[str], Path], logs: Path) -> None:
    save("fern")
    result = search("cactus")
    assert (result.exit_code, result.stdout) == (0, "")
    assert str(logs / "sessions") in result.stderr


def test_a_deleted_session_is_gone(save: Callable[[str], Path]) -> None:
    path = save("fern")
    assert path.stem in search("fern").stdout
    delete_session(path)
    assert search("fern").stdout == ""


def test_what_is_deleted_leaves_the_index_at_once(save: Callable[[str], Path], logs: Path) -> None:
    path, other = save("a fern for certain"), save("cactus")
    search("fern")
    newer = save("not in the index yet")
    assert b"fern for certain" in (logs / FILE).read_bytes()
    assert CliRunner().invoke(sessions, ["delete", "--yes", path.stem]).exit_code == 0
    assert b"fern for certain" not in (logs / FILE).read_bytes()
    assert other.stem in search("cactus").stdout and newer.stem in search("index").stdout


def test_an_index_that_cannot_be_used_is_told_in_one_line(save: Callable[[str], Path], logs: Path) -> None:
    save("fern")
    (logs / FILE).mkdir()
    result = search("fern")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the index ")
    assert len(result.stderr.splitlines()) == 1
