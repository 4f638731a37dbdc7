"""The whole history with all that is known of each entry, for the formats that leave nothing out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conversation.history import Entry
from conversation.message import UserMessage
from trajectories.prepared import Prepared
from trajectories.row_facts import kept_compactions
from trajectories.session_record import CompactionRecord


@dataclass(frozen=True, slots=True)
class FullEntry:
    """An entry with its `number` in the file.

    `flags`: flawed, interrupted, cut_off, injected (the loop's own words), and what was done to it. `copied`:
    taken over from the session this one was forked from. `compactions` came right before it.
    """

    entry: Entry
    ts: str
    number: int
    flags: frozenset[str]
    copied: bool
    compactions: tuple[CompactionRecord, ...] = ()


def all_entries(prepared: Prepared) -> Iterator[FullEntry]:
    """What was rolled back or superseded is not in the history."""
    session = prepared.session
    parent = session.header.parent
    taken = session.records[: parent.records] if parent else []
    forked_at = taken[-1].ts if taken else ""
    waiting = kept_compactions(session.records)
    rows = zip(session.history.entries, session.times, session.numbers, prepared.marks, strict=True)
    for entry, ts, number, marks in rows:
        passed = tuple(each for each in waiting if each.ts < ts)
        waiting = waiting[len(passed) :]
        yield FullEntry(entry, ts, number, _flags(entry) | marks, bool(ts) and ts <= forked_at, passed)


def _flags(entry: Entry) -> frozenset[str]:
    if isinstance(entry, UserMessage):
        return frozenset({"injected"} if entry.origin != "person" else ())
    answer = entry.assistant
    named = {
        "flawed": bool(answer.flawed),
        "interrupted": answer.interrupted,
        "cut_off": answer.finish_reason == "length" and not entry.results,
    }
    return frozenset(name for name, holds in named.items() if holds)
