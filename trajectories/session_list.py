"""Finding sessions. A list reads the first lines and the last ones of each file, never the whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from trajectories.session_load import SessionError, read_line
from trajectories.session_record import (
    AssistantRecord,
    Header,
    Record,
    Spawner,
    TitleRecord,
    ToolRecord,
    TurnRecord,
    UserRecord,
)

FIRST_READ = 1 << 15
"""Bytes read at either end of a file to begin with: a usual header and a usual last turn fit."""


class SessionNotFound(SessionError):
    """No session, or more than one, goes by that name."""


class SessionInfo(Struct, frozen=True):
    """One line of a list. `title` falls back to the first words of the person. `used`: epoch seconds.

    `spawned_by`: of a helper's session, the one whose agent it helped; else "".
    """

    id: str
    started: str
    title: str
    model: str
    turns: int
    outcome: str
    cwd: str
    used: float
    path: str
    spawned_by: str = ""


class _Beginning(Struct, frozen=True):
    """What of a header a list shows; the rest is skipped unparsed."""

    type: str
    started: str = ""
    model: str = ""
    cwd: str = ""
    spawned_by: Spawner | None = None


def session_files(folder: Path) -> list[Path]:
    """The session files in `folder`, the one used last first. Empty if there is no such folder."""
    found: list[tuple[int, str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".jsonl") and entry.is_file():
                    found.append((entry.stat().st_mtime_ns, entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SessionError(f"cannot read {folder}: {error.strerror}") from None
    return [folder / name for _, name in sorted(found, reverse=True)]


def list_sessions(folder: Path, *, cwd: str | None = None) -> Iterator[SessionInfo]:
    """The sessions in `folder`, last used first; only those started in `cwd` where it is given.

    A file that holds no session is passed over.
    """
    for path in session_files(folder):
        info = session_info(path)
        if info is not None and (cwd is None or info.cwd == cwd):
            yield info


def latest_session(folder: Path, cwd: str | None = None) -> Path | None:
    """The session used last, of a person (started in `cwd`, where it is given); None if there is none."""
    info = next((each for each in list_sessions(folder, cwd=cwd) if not each.spawned_by), None)
    return None if info is None else Path(info.path)


def find_session(folder: Path, name: str) -> Path:
    """The session whose id is `name` or begins with it, or whose title is `name`; `latest` is the last used.

    Raises:
        SessionNotFound: none is, or several are (up to five are named).
    """
    files = session_files(folder)
    by_id = [path for path in files if path.stem == name]
    matches = by_id or [path for path in files if name and path.stem.startswith(name)]
    if not matches:
        wanted = name.strip().casefold()
        infos = [info for info in list_sessions(folder) if info.title.casefold() == wanted]
        matches = [Path(info.path) for info in infos]
    if not matches and name == "latest" and (latest := latest_session(folder)) is not None:
        matches = [latest]
    if not matches:
        raise SessionNotFound(f"no session {name!r} in {folder}; see: hermes sessions list")
    if len(matches) > 1:
        some = ", ".join(path.stem for path in matches[:5])
        more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
        raise SessionNotFound(f"{name!r} could be {len(matches)} sessions: {some}{more}; give more of the id")
    return matches[0]


def session_info(path: Path) -> SessionInfo | None:
    """What a list shows of the session at `path`; None if no record of it is readable."""
    try:
        with path.open("rb") as file:
            used = os.fstat(file.fileno()).st_mtime
            beginning, opening = _read_beginning(file.fileno())
            turn, title, in_turn = _read_end(file.fileno())
    except OSError:
        return None
    if beginning is None and not opening and turn is None:
        return None
    head = beginning or _Beginning("session")
    return SessionInfo(
        id=path.stem,
        started=head.started,
        title=title or (turn.title if turn else "") or opening,
        model=head.model,
        turns=(turn.number if turn else 0) + in_turn,
        outcome=turn.outcome if turn and not in_turn else "unfinished",
        cwd=head.cwd,
        used=used,
        path=str(path),
        spawned_by=head.spawned_by.session if head.spawned_by else "",
    )


def first_words(text: str, size: int = 60) -> str:
    """The beginning of `text` on one line."""
    line = " ".join(text[: size * 20].split())
    return line if len(line) <= size else line[: size - 1].rstrip() + "…"


def _read_beginning(fd: int) -> tuple[_Beginning | None, str]:
    """The header and what the person said first."""
    head: _Beginning | None = None
    for line in _lines_from_start(fd):
        if head is None and line.lstrip(b"\xef\xbb\xbf\0 ").startswith(b'{"type":"session"'):
            try:
                head = msgspec.json.decode(line.strip(b"\xef\xbb\xbf\0\r\n "), type=_Beginning)
            except ValueError:
                continue
            continue
        record, _ = read_line(line)
        if isinstance(record, UserRecord) and record.origin == "person":
            return head, first_words(record.text)
    return head, ""


def _read_end(fd: int) -> tuple[TurnRecord | None, str, bool]:
    """The last turn's end, a title given after it, and whether something was said after it."""
    title = ""
    in_turn = False
    for line in _lines_from_end(fd):
        record: Header | Record | None = read_line(line)[0]
        if isinstance(record, TurnRecord):
            return record, title, in_turn
        if isinstance(record, TitleRecord):
            title = title or record.title
        in_turn = in_turn or isinstance(record, UserRecord | AssistantRecord | ToolRecord)
    return None, title, in_turn


def _lines_from_start(fd: int) -> Iterator[bytes]:
    rest, offset, size = b"", 0, FIRST_READ
    while chunk := os.pread(fd, size, offset):
        offset += len(chunk)
        size *= 2
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def _lines_from_end(fd: int) -> Iterator[bytes]:
    rest, end, size = b"", os.fstat(fd).st_size, FIRST_READ
    while end > 0:
        start = max(0, end - size)
        rest, *lines = (os.pread(fd, end - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        end = start
        size *= 2
    yield rest
