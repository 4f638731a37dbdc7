"""The index of sessions follows the files, whatever happens to them or to it."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.trajectories.conftest import Talk
from trajectories.session_file import delete_session
from trajectories.session_index import FILE, LAYOUT, SessionIndexError, Update, update, with_index
from trajectories.session_load import load_session
from trajectories.session_record import RollbackRecord
from trajectories.session_search import search_sessions

NewTalk = Callable[[], Talk]


@pytest.fixture
def logs(folder: Path) -> Path:
    return folder.parent


def found(logs: Path, question: str) -> list[str]:
    return [each.id for each in search_sessions(logs, question, 50).sessions]


def rows(logs: Path) -> list[tuple[str, int, int]]:
    with sqlite3.connect(logs / FILE) as connection:
        read = connection.execute("SELECT name, taken, pieces FROM sessions ORDER BY name").fetchall()
    connection.close()
    return read


def bring_up_to_date(logs: Path) -> Update:
    states: list[Update] = []
    with_index(logs, lambda connection: states.append(update(connection, logs / "sessions")))
    return states[-1]


def test_only_what_is_new_of_a_file_is_read(talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("yes").end()
    assert found(logs, "apples")
    before = talk.path.stat()
    data = talk.path.read_bytes()
    with talk.path.open("r+b") as file:  # what was taken in already is not looked at again
        file.seek(data.index(b"apples"))
        file.write(b"appels")
    talk.person("pears").answer("yes")
    assert talk.path.stat().st_ino == before.st_ino
    assert found(logs, "apples") == found(logs, "pears") == [talk.path.stem]


def test_a_file_that_did_not_change_is_not_opened(talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("yes").end()
    assert found(logs, "apples")
    opened = talk.path.stat().st_atime_ns
    os.utime(talk.path, ns=(opened - 10**15, talk.path.stat().st_mtime_ns))
    opened = talk.path.stat().st_atime_ns
    assert found(logs, "apples")
    assert talk.path.stat().st_atime_ns == opened


@pytest.mark.parametrize("size", [0, 1, 40, 400])
def test_a_last_line_that_is_only_begun_is_left_for_next_time(size: int, talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("yes").end()
    whole = talk.path.read_bytes()
    talk.person("pears " + "x" * 500).answer("yes")
    more = talk.path.read_bytes()[len(whole) :]
    talk.path.write_bytes(whole + more[:size])
    assert found(logs, "apples") == [talk.path.stem]
    assert rows(logs)[0][1] == len(whole)
    with talk.path.open("ab") as file:
        file.write(more[size:])
    assert found(logs, "pears") == [talk.path.stem]
    assert rows(logs)[0][1] == len(whole) + len(more)


def test_a_file_cut_at_any_byte_and_then_whole_is_indexed_as_if_never_cut(talk: Talk, logs: Path) -> None:
    talk.person("apples").call("c1").result("c1").answer("kept").end()
    talk.person("pears").answer("gone").record(RollbackRecord(keep=3)).person("plums").answer("kept").end()
    data = talk.path.read_bytes()
    for cut in range(0, len(data), 37):
        talk.path.write_bytes(data[:cut])
        bring_up_to_date(logs)
        with talk.path.open("ab") as file:
            file.write(data[cut:])
        assert bring_up_to_date(logs) == Update()
        assert found(logs, "pears") == [], cut
        assert found(logs, "plums") == found(logs, "apples") == [talk.path.stem], cut
        assert rows(logs) == [(talk.path.stem, len(data), 6)], cut


def test_a_deleted_session_disappears_with_every_word(new_talk: NewTalk, logs: Path) -> None:
    gone, stays = new_talk().person("apples zzygote"), new_talk().person("apples")
    for each in (gone, stays):
        each.answer("ok").writer.close()
    assert len(found(logs, "apples")) == 2
    delete_session(gone.path)
    assert found(logs, "apples") == [stays.path.stem]
    assert b"apples zzygote" not in (logs / FILE).read_bytes()


def test_a_session_that_was_replaced_is_read_anew(new_talk: NewTalk, logs: Path) -> None:
    first, second = new_talk().person("apples").answer("ok"), new_talk().person("pears").answer("ok")
    assert found(logs, "apples")
    facts = first.path.stat()
    data = second.path.read_bytes()
    second.path.replace(first.path)
    assert len(data) == facts.st_size - 1  # another size would tell it anyway
    with first.path.open("ab") as file:
        file.write(b"\n")
    os.utime(first.path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert found(logs, "apples") == []
    assert found(logs, "pears") == [first.path.stem]


def test_a_file_that_was_rewritten_in_place_is_read_anew(talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("ok")
    assert found(logs, "apples")
    talk.path.write_bytes(talk.path.read_bytes().replace(b"apples", b"oranges and more"))
    assert found(logs, "oranges") == [talk.path.stem]
    assert found(logs, "apples") == []


@pytest.mark.parametrize(
    "junk", [b"", b"garbage\n", b"\0" * 100, b'{"type": "alien"}\n', b"\xff\xfe\n", b"[" * 9000]
)
def test_a_file_that_holds_no_session_is_passed_over(junk: bytes, talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("ok")
    (logs / "sessions" / "junk.jsonl").write_bytes(junk)
    (logs / "sessions" / "folder.jsonl").mkdir()
    os.mkfifo(logs / "sessions" / "pipe.jsonl")
    assert found(logs, "apples") == [talk.path.stem]
    assert found(logs, "") == [talk.path.stem]


def test_damaged_lines_cost_only_themselves(talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("middle").end()
    lines = talk.path.read_bytes().splitlines(keepends=True)
    lines[2:2] = [b"{broken\n", b"\0\0\0\n", lines[1]]
    talk.path.write_bytes(b"".join(lines))
    assert found(logs, "apples middle") == [talk.path.stem]
    assert rows(logs)[0][2] == len(load_session(talk.path).history.entries) == 2


def test_only_its_owner_can_read_the_index(talk: Talk, logs: Path) -> None:
    before = os.umask(0)
    try:
        talk.person("apples").answer("ok")
        found(logs, "apples")
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in logs.iterdir() if each.is_file()}
    assert modes == {FILE: 0o600, "session_index.lock": 0o600}


def test_a_file_system_without_hard_links_has_an_index_too(
    talk: Talk, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    talk.person("apples").answer("ok")
    assert found(logs, "apples") == [talk.path.stem]
    assert sorted(each.name for each in logs.iterdir() if each.is_file()) == ["session_index.lock", FILE]


def damage_nothing(path: Path) -> None:
    path.unlink()


def damage_beginning(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def damage_pages(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))


def damage_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def damage_layout(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    connection.close()


def damage_tables(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE sessions")
    connection.close()


def damage_inside(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE pieces_data")
    connection.close()


def damage_other(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE somebody_elses (a)")
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing, damage_beginning, damage_pages, damage_end, damage_layout, damage_tables,
        damage_inside, damage_other,
    ],
)  # fmt: skip
def test_an_index_that_is_missing_damaged_or_of_another_layout_is_built_anew(
    damage: Callable[[Path], None], new_talk: NewTalk, logs: Path
) -> None:
    talks = [new_talk().person(f"apples {'x ' * 500}{n}").answer("ok") for n in range(20)]
    assert len(found(logs, "apples")) == 20
    damage(logs / FILE)
    assert set(found(logs, "apples")) == {each.path.stem for each in talks}
    assert bring_up_to_date(logs) == Update()


def test_an_index_that_cannot_be_made_is_told(talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("ok")
    (logs / FILE).mkdir()
    with pytest.raises(SessionIndexError, match=FILE):
        search_sessions(logs, "apples", 5)


def test_a_folder_that_is_not_there_has_no_sessions(tmp_path: Path) -> None:
    assert search_sessions(tmp_path / "logs", "apples", 5).sessions == []


def test_where_time_is_up_the_newest_are_found_and_the_rest_is_told(new_talk: NewTalk, logs: Path) -> None:
    talks = [new_talk().person("apples").answer("ok") for _ in range(5)]
    part = search_sessions(logs, "apples", 9, seconds=0.0)
    assert (part.sessions, part.behind) == ([], 5)
    count = iter([False, True])
    part = search_sessions(logs, "apples", 9, stopped=lambda: next(count, True))
    assert part.behind == 4
    assert [each.id for each in part.sessions] == [talks[-1].path.stem]
    assert search_sessions(logs, "apples", 9).behind == 0


def test_who_cannot_write_reads_what_is_there(new_talk: NewTalk, logs: Path) -> None:
    first = new_talk().person("apples").answer("ok")
    assert found(logs, "apples")
    writer = sqlite3.connect(logs / FILE, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        new_talk().person("apples").answer("ok")
        state = search_sessions(logs, "apples", 5)
        assert [each.id for each in state.sessions] == [first.path.stem]
        assert (state.behind, state.problem) == (1, "")
    finally:
        writer.close()
    assert len(found(logs, "apples")) == 2


def test_a_full_disk_is_told_and_what_is_there_is_searched(new_talk: NewTalk, logs: Path) -> None:
    first = new_talk().person("apples").answer("ok")
    assert found(logs, "apples")
    new_talk().person("apples " + "long " * 4_000).answer("ok")
    states: list[Update] = []

    def crowded(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        states.append(update(connection, logs / "sessions"))
        states.append(update(connection, logs / "sessions"))

    with_index(logs, crowded)
    assert [state.behind for state in states] == [1, 1]
    assert "full" in states[0].problem
    assert first.path.stem in found(logs, "apples")


def test_searches_at_once_in_threads_all_find_everything(new_talk: NewTalk, logs: Path) -> None:
    for _ in range(30):
        new_talk().person("apples").answer("ok").writer.close()
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(len(found(logs, "apples")))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [30] * 6


def test_what_is_added_to_a_long_session_costs_little(talk: Talk, logs: Path) -> None:
    line = talk.person("apples").path.read_bytes().splitlines()[-1]

    def add(words: Iterable[str], start: int) -> None:
        numbered = line.replace(b'"entry":0', b'"entry":%d')
        with talk.path.open("ab") as file:
            for number, word in enumerate(words, start):
                file.write(numbered.replace(b"apples", word.encode()) % number + b"\n")

    add((f"pear{n}" for n in range(10_000)), 1)
    began = time.process_time()
    assert found(logs, "pear9999") == [talk.path.stem]
    first = time.process_time() - began
    add(["plums"], 10_001)
    began = time.process_time()
    assert found(logs, "plums") == [talk.path.stem]
    assert time.process_time() - began < first / 5
    assert rows(logs)[0][2] == 10_002
