"""Which sessions speak of something. People and the model ask the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trajectories.session_index import PIECES, update, with_index
from trajectories.session_text import HIT, HIT_END, readable, words_of

if TYPE_CHECKING:
    from sqlite3 import Connection

_ROWS = 300
"""Pieces that are weighed: the best by themselves."""
_WEIGHT = {"title": 3.0, "person": 2.0, "model": 1.5, "tool": 1.0}
_COUNTED = 3
"""Pieces of a session by which it is weighed."""
_PASSAGES = 2
_WORDS_SHOWN = 32
_LONGEST_PASSAGE = 400
_LONGEST_TITLE = 100


class Passage(NamedTuple):
    """Around what was found, on one line; what was found stands between HIT and HIT_END."""

    speaker: str
    text: str

    @property
    def plain(self) -> str:
        return self.text.replace(HIT, "").replace(HIT_END, "")


class FoundSession(NamedTuple):
    """`started` is UTC, ISO 8601."""

    id: str
    title: str
    started: str
    cwd: str
    passages: list[Passage]


class Found(NamedTuple):
    """`sessions`, the most fitting first. `behind` sessions are not, or not wholly, searched; `problem` says
    why where time is not the reason."""

    sessions: list[FoundSession]
    behind: int = 0
    problem: str = ""


def search_sessions(
    logs: Path,
    question: str,
    limit: int,
    *,
    without: str = "",
    seconds: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Found:
    """Up to `limit` sessions that speak of the words and "phrases in quotes" of `question`.

    First those where all of it stands in one piece, then those with some of it. Without a word in the
    question: those used last, helpers' left out. The index is brought up to date first, for at most
    `seconds`. `without` is the id of a session that is left out, and so are its helpers' and whom it helps.

    Raises:
        trajectories.session_index.SessionIndexError: there is no index and none can be made.
    """
    answers: list[Found] = []

    def look(connection: Connection) -> None:
        state = update(connection, logs / "sessions", seconds=seconds, stopped=stopped)
        words = words_of(question)
        skipped = _belonging_to(connection, without)
        found = _look(connection, words, limit, skipped) if words else _last_used(connection, limit, skipped)
        answers.append(Found(found, *state))

    with_index(logs, look)
    return answers[-1]


class _Match(NamedTuple):
    row: int
    score: float


def _look(connection: Connection, words: list[str], limit: int, skipped: set[int]) -> list[FoundSession]:
    ranked: dict[int, tuple[str, list[_Match]]] = {}
    for query in dict.fromkeys((" AND ".join(words), " OR ".join(words))):
        sessions = _by_session(connection, query)
        for number in sorted(sessions.keys() - skipped, key=lambda each: _weight(sessions[each])):
            ranked.setdefault(number, (query, sessions[number]))
        if len(ranked) >= limit:
            break
    found = []
    for number, (query, matches) in list(ranked.items())[:limit]:
        rows = [match.row for match in matches if match.row % PIECES][:_PASSAGES]
        found.append(_told(connection, number, [_passage(connection, query, row) for row in rows]))
    return found


def _by_session(connection: Connection, query: str) -> dict[int, list[_Match]]:
    """The pieces that match best, of each session the best first."""
    sessions: dict[int, list[_Match]] = {}
    rows = connection.execute(
        f"SELECT rowid, speaker, rank FROM pieces WHERE pieces MATCH ? ORDER BY rank LIMIT {_ROWS}", (query,)
    )
    for row, speaker, rank in rows:
        match = _Match(row, rank * _WEIGHT.get(speaker, 1.0))
        sessions.setdefault(row // PIECES, []).append(match)
    for matches in sessions.values():
        matches.sort(key=lambda match: match.score)
    return sessions


def _weight(matches: list[_Match]) -> float:
    """The lower, the better, as FTS5 has it."""
    return sum(match.score for match in matches[:_COUNTED])


def _last_used(connection: Connection, limit: int, skipped: set[int]) -> list[FoundSession]:
    rows = connection.execute(
        "SELECT id FROM sessions WHERE spawner = '' AND pieces > 0 ORDER BY changed DESC LIMIT ?",
        (limit + len(skipped),),
    )
    numbers = [number for (number,) in rows if number not in skipped]
    return [_told(connection, number, []) for number in numbers[:limit]]


def _belonging_to(connection: Connection, name: str) -> set[int]:
    """The session `name`, the one its agent helps, and all helpers of either."""
    row = connection.execute("SELECT spawner FROM sessions WHERE name = ?", (name,)).fetchone()
    first = (row[0] if row is not None else "") or name
    rows = connection.execute(
        "SELECT id FROM sessions WHERE ?1 != '' AND (?1 IN (name, spawner) OR ?2 IN (name, spawner))",
        (first, name or first),
    )
    return {number for (number,) in rows}


def _told(connection: Connection, number: int, passages: list[Passage]) -> FoundSession:
    name, title, started, cwd = connection.execute(
        "SELECT name, title, started, cwd FROM sessions WHERE id = ?", (number,)
    ).fetchone()
    return FoundSession(name, readable(title)[:_LONGEST_TITLE], started, readable(cwd), passages)


def _passage(connection: Connection, query: str, row: int) -> Passage:
    text, speaker = connection.execute(
        f"SELECT snippet(pieces, 0, ?, ?, '…', {_WORDS_SHOWN}), speaker FROM pieces "
        "WHERE pieces MATCH ? AND rowid = ?",
        (HIT, HIT_END, query, row),
    ).fetchone()
    return Passage(speaker, _around_hit(readable(text)))


def _around_hit(text: str) -> str:
    """What is too long is cut, and the first hit stays; one long word may be a whole file."""
    if len(text) <= _LONGEST_PASSAGE:
        return text
    start = max(0, text.find(HIT) - _LONGEST_PASSAGE // 3)
    cut = text[start : start + _LONGEST_PASSAGE]
    open_ = cut.rfind(HIT) > cut.rfind(HIT_END)
    return f"{'…' if start else ''}{cut}{HIT_END if open_ else ''}…"
