"""An index of what was said in all sessions: `session_index.sqlite` beside their folder.

It may be deleted at any time: the session files are the truth, and what is missing, damaged or of another
layout is built anew. A session file grows at its end, so only what is new of it is read. Of a file that was
changed otherwise that is noticed by its size, its number on the disk or its last bytes, and it is read anew.

Several processes may use it at once. Whoever finds something to add takes the database's own lock for a
moment, several times; whoever cannot have it searches what is there. Beside it lies a file whose lock all
who use the index share, and which one alone must hold who replaces a damaged one: a database that is
taken away under others would damage the next one, too (https://www.sqlite.org/howtocorrupt.html).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from configuration.home import make_private_folder
from trajectories.session_text import Piece, Reading, indexed

if TYPE_CHECKING:
    from sqlite3 import Connection

FILE = "session_index.sqlite"
LAYOUT = 1
"""Of the tables; another one in the file is built anew."""
PIECES = 1 << 20
"""Row numbers one session has: number 0 is its title, then its pieces."""
_TABLES = (
    "CREATE TABLE sessions (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, inode INTEGER, size INTEGER, "
    "changed INTEGER, taken INTEGER, tail BLOB, last INTEGER, pieces INTEGER, "
    "title TEXT, started TEXT, cwd TEXT, spawner TEXT)",
    "CREATE VIRTUAL TABLE pieces USING fts5(text, speaker UNINDEXED, "
    "tokenize = 'porter unicode61 remove_diacritics 2')",
    f"PRAGMA user_version = {LAYOUT}",
)
_TAIL = 200
"""Last bytes of what was taken in, by which a file is known again."""
_STRETCH = 0.5
"""Seconds after which others get a chance to write."""
_WAIT_TO_READ = 5.0
_WAIT_TO_WRITE = 1.0
_BUSY = frozenset({5, 6})
_PASSING = _BUSY | frozenset({3, 7, 8, 9, 10, 13, 14, 15, 23})
"""Results of SQLite that say nothing about the file: no right, busy, locked, no memory, read-only,
interrupted, a fault of the disk, full, cannot be opened, a lock that cannot be had
(https://www.sqlite.org/rescode.html)."""


class SessionIndexError(Exception):
    """The sessions cannot be searched; the text says why."""


class _Damaged(Exception):
    """The file is no index of this layout. `inode` tells which file it was."""

    def __init__(self, inode: int) -> None:
        self.inode = inode


class Facts(NamedTuple):
    """By which a file that changed is told: its number on the disk, bytes, nanoseconds."""

    inode: int
    size: int
    changed: int


class Update(NamedTuple):
    """`behind` sessions could not be brought up to date; `problem` says why where time was not the reason."""

    behind: int = 0
    problem: str = ""


def with_index(logs: Path, use: Callable[[Connection], object]) -> None:
    """Call `use` with the open database of the index in `logs`; once more with a new one if it is damaged.

    Raises:
        SessionIndexError: it can be neither opened nor made.
    """
    try:
        import sqlite3
    except ImportError:
        raise SessionIndexError("this Python has no SQLite; use one that has") from None
    path = logs / FILE
    try:
        make_private_folder(logs)
        try:
            _use(path, use)
        except _Damaged as damage:
            _take_away(path, damage.inode)
            _use(path, use)
    except _Damaged:
        raise SessionIndexError(f"the index {path} is damaged; delete it") from None
    except sqlite3.Error as error:
        hint = "; use a Python whose SQLite has FTS5" if "fts5" in str(error) else ""
        raise SessionIndexError(f"the index {path} cannot be used: {error}{hint}") from None
    except OSError as error:
        raise SessionIndexError(f"the index {path} cannot be used: {error.strerror or error}") from None


def forget_deleted(logs: Path) -> None:
    """Take sessions that were deleted out of the index, if there is one. Raises SessionIndexError."""
    if (logs / FILE).exists():
        with_index(logs, lambda connection: update(connection, logs / "sessions", seconds=0))


def update(
    connection: Connection,
    folder: Path,
    *,
    seconds: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Update:
    """Take in what is new in the session files of `folder`, the newest first, for at most `seconds`."""
    import sqlite3

    present = _files_in(folder)
    known = {
        row[0]: Facts(*row[1:])
        for row in connection.execute("SELECT name, inode, size, changed FROM sessions")
    }
    gone = [name for name in known if name not in present]
    stale = [name for name, facts in present.items() if known.get(name) != facts]
    end = time.monotonic() + (threading.TIMEOUT_MAX if seconds is None else seconds)
    try:
        if gone:
            with _writing(connection):
                for name in gone:
                    _forget(connection, name)
        while stale and not stopped() and time.monotonic() < end:
            with _writing(connection):
                taken = _take_stretch(
                    connection, folder, stale, min(end, time.monotonic() + _STRETCH), stopped
                )
            del stale[:taken]
    except sqlite3.OperationalError as error:
        if _code(error) not in _PASSING:
            raise
        return Update(len(stale), "" if _code(error) in _BUSY else str(error))
    return Update(len(stale))


def _take_stretch(
    connection: Connection, folder: Path, names: list[str], end: float, stopped: Callable[[], bool]
) -> int:
    """Take in the first of `names`, at least one; how many."""
    for count, name in enumerate(names, 1):
        _take_in(connection, folder, name)
        if stopped() or time.monotonic() >= end:
            return count
    return len(names)


def _files_in(folder: Path) -> dict[str, Facts]:
    """The session files by name without ending, the one used last first."""
    found: list[tuple[str, Facts]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".jsonl") and entry.is_file():
                    found.append((entry.name.removesuffix(".jsonl"), _facts(entry.stat())))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SessionIndexError(f"cannot read {folder}: {error.strerror}") from None
    return dict(sorted(found, key=lambda each: each[1].changed, reverse=True))


def _facts(status: os.stat_result) -> Facts:
    return Facts(status.st_ino, status.st_size, status.st_mtime_ns)


class _Known(NamedTuple):
    """What the index holds of one file: `taken` bytes of it, which end with `tail`."""

    id: int = 0
    facts: Facts = Facts(0, 0, 0)
    taken: int = 0
    tail: bytes = b""
    last: int = -1
    pieces: int = 0
    title: str = ""


def _take_in(connection: Connection, folder: Path, name: str) -> None:
    """Bring one session up to date; another process may just have done so."""
    try:
        file = open(folder / f"{name}.jsonl", "rb", buffering=1 << 16)  # noqa: SIM115 - closed below
    except OSError:
        return  # deleted meanwhile, or not ours to read: it is looked at again next time
    with file:
        facts = _facts(os.fstat(file.fileno()))
        known = _known(connection, name)
        if known.facts == facts:
            return
        before = known if _only_grew(file.fileno(), known, facts) else _Known()
        reading, taken = _read(file, before)
        if before.id and reading.cut:
            before = _Known()
            reading, taken = _read(file, before)
        tail = os.pread(file.fileno(), _TAIL, max(0, taken - _TAIL))[: min(taken, _TAIL)]
    if not before.id:
        _forget(connection, name)
        before = before._replace(id=_begin(connection, name, reading))
    count = _add(connection, before, reading)
    connection.execute(
        "UPDATE sessions SET inode = ?, size = ?, changed = ?, taken = ?, tail = ?, last = ?, pieces = ?, "
        "title = ? WHERE id = ?",
        (*facts, taken, tail, reading.last, count, reading.title, before.id),
    )


def _only_grew(fd: int, known: _Known, facts: Facts) -> bool:
    same = known.facts.inode == facts.inode and facts.size >= known.taken > 0
    return same and os.pread(fd, len(known.tail), known.taken - len(known.tail)) == known.tail


def _read(file: BinaryIO, before: _Known) -> tuple[Reading, int]:
    """What is new, and the bytes of the file that are taken in then: whole lines alone."""
    reading, taken = Reading(before.last, before.title), before.taken
    file.seek(taken)
    for line in file:
        if not line.endswith(b"\n"):
            break
        reading.take_line(line)
        taken += len(line)
    return reading, taken


def _known(connection: Connection, name: str) -> _Known:
    row = connection.execute(
        "SELECT id, inode, size, changed, taken, tail, last, pieces, title FROM sessions WHERE name = ?",
        (name,),
    ).fetchone()
    return _Known() if row is None else _Known(row[0], Facts(*row[1:4]), *row[4:])


def _begin(connection: Connection, name: str, reading: Reading) -> int:
    header = reading.header
    row = connection.execute(
        "INSERT INTO sessions (name, started, cwd, spawner) VALUES (?, ?, ?, ?)",
        (name, header.started, header.cwd, header.spawned_by.session if header.spawned_by else ""),
    )
    return row.lastrowid or 0


def _add(connection: Connection, before: _Known, reading: Reading) -> int:
    """Put the new pieces in; how many there are then."""
    first = before.id * PIECES
    if reading.title != before.title:
        connection.execute("DELETE FROM pieces WHERE rowid = ?", (first,))
        pieces = [Piece(0, "title", reading.title)] if reading.title else []
        _insert(connection, first, pieces)
    room = PIECES - 1 - before.pieces
    _insert(connection, first + 1 + before.pieces, reading.pieces[:room])
    return before.pieces + len(reading.pieces[:room])


def _insert(connection: Connection, first: int, pieces: list[Piece]) -> None:
    connection.executemany(
        "INSERT INTO pieces (rowid, text, speaker) VALUES (?, ?, ?)",
        [(row, indexed(piece.text), piece.speaker) for row, piece in enumerate(pieces, first)],
    )


def _forget(connection: Connection, name: str) -> None:
    for (number,) in connection.execute("SELECT id FROM sessions WHERE name = ?", (name,)).fetchall():
        span = (number * PIECES, (number + 1) * PIECES)
        connection.execute("DELETE FROM pieces WHERE rowid >= ? AND rowid < ?", span)
        connection.execute("DELETE FROM sessions WHERE id = ?", (number,))


# -- the file -----------------------------------------------------------------------------------


def _use(path: Path, use: Callable[[Connection], object]) -> None:
    import sqlite3

    with _lock(path, fcntl.LOCK_SH):
        _make_file(path)
        inode = path.stat().st_ino
        try:
            connection = sqlite3.connect(path, timeout=_WAIT_TO_READ, isolation_level=None)
            with contextlib.closing(connection):
                _prepare(connection, inode)
                use(connection)
        except sqlite3.DatabaseError as error:
            if _tells_damage(error):
                raise _Damaged(inode) from error
            raise


def _prepare(connection: Connection, inode: int) -> None:
    """Where nothing is in the file yet, make the tables. All that is written at one time is written at its
    end: until then others read on."""
    for setting in ("synchronous = NORMAL", "cache_spill = OFF", "secure_delete = ON"):
        connection.execute(f"PRAGMA {setting}")
    if _layout(connection) == LAYOUT:
        return
    with _writing(connection):
        if _layout(connection) == LAYOUT:
            return
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise _Damaged(inode)
        for statement in _TABLES:
            connection.execute(statement)


def _layout(connection: Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def _writing(connection: Connection) -> Iterator[None]:
    """All or nothing of what is written inside; nobody else writes meanwhile."""
    connection.execute(f"PRAGMA busy_timeout = {int(_WAIT_TO_WRITE * 1000)}")
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute(f"PRAGMA busy_timeout = {int(_WAIT_TO_READ * 1000)}")


def _make_file(path: Path) -> None:
    """An empty file that only its owner can read.

    It is made elsewhere first: to open and close the database itself would end the locks that this process
    holds on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread).
    """
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was quicker
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def _take_away(path: Path, inode: int) -> None:
    """Remove the damaged file, unless another process has replaced it already."""
    with _lock(path, fcntl.LOCK_EX), contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            for end in ("-journal", "-wal", "-shm", ""):
                Path(f"{path}{end}").unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path, kind: int) -> Iterator[None]:
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: only the person can keep two apart
            fcntl.flock(lock, kind)
        yield
    finally:
        os.close(lock)


def _tells_damage(error: Exception) -> bool:
    if _code(error) in (11, 26):  # SQLITE_CORRUPT, SQLITE_NOTADB
        return True
    return str(error).startswith(
        ("no such table", "no such column", "vtable constructor failed", "malformed")
    )


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
