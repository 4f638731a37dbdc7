"""Sessions made ready for an export: clean of secrets, and shaped for the templates of a model family."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TypeVar

from conversation.history import Entry, History
from safety.redact import Redactor
from trajectories.prepared import Prepared
from trajectories.rewrite import Clean, Escape, Rewrite, rewritten, without_tokens
from trajectories.session_load import Session
from trajectories.single_calls import single_calls
from trajectories.targets import Target, renamed_calls

Item = TypeVar("Item")


def prepare(
    session: Session,
    *,
    redactor: Redactor | None = None,
    target: Target | None = None,
    split: bool = False,
) -> Prepared:
    """`session` is left as it is.

    First the secrets go, out of all that is exported. Token ids would give them away, so where anything was
    found none are kept. What was taken out when the session was written counts as well. Then, with `split`
    or for a `target` that wants it, an answer with several calls
    becomes several answers with one each; and for a `target` its special tokens become plain text where they
    stand in what was said, called or returned. An entry that was changed says so in `marks`, and an answer
    that was changed has lost its token ids.
    """
    prepared = Prepared(session, target=target)
    _count_earlier(prepared)
    if redactor is not None:
        _redact(prepared, redactor)
    if split or (target is not None and target.one_call):
        _split(prepared)
    if target is not None:
        _rewrite(prepared, Escape(target), "escaped")
        _set_entries(prepared, renamed_calls(prepared.session.history.entries, target))
    return prepared


def _count_earlier(prepared: Prepared) -> None:
    session = prepared.session
    total = Counter(session.header.redacted)
    for marks, found in zip(prepared.marks, session.redactions, strict=False):
        total.update(found)
        if found:
            marks.add("redacted")
    prepared.redactions = dict(sorted(total.items()))


def _redact(prepared: Prepared, redactor: Redactor) -> None:
    clean = Clean(redactor)
    prepared.session = clean.session(prepared.session)
    _rewrite(prepared, clean, "redacted")
    prepared.redactions = dict(sorted((clean.found + Counter(prepared.redactions)).items()))
    if clean.found:
        _set_entries(prepared, [without_tokens(entry) for entry in prepared.session.history.entries])


def _rewrite(prepared: Prepared, how: Rewrite, mark: str) -> None:
    entries = prepared.session.history.entries
    new = [rewritten(entry, how) for entry in entries]
    changed = [one is not other for one, other in zip(entries, new, strict=True)]
    if any(changed):
        marked = zip(prepared.marks, changed, strict=True)
        prepared.marks = [marks | {mark} if hit else marks for marks, hit in marked]
        _set_entries(prepared, new)


def _split(prepared: Prepared) -> None:
    session = prepared.session
    parts = [single_calls(entry) for entry in session.history.entries]
    if all(len(part) == 1 for part in parts):
        return
    counts = [len(part) for part in parts]
    prepared.session = dataclasses.replace(
        session,
        numbers=_repeated(session.numbers, counts),
        times=_repeated(session.times, counts),
        redactions=_repeated(session.redactions, counts),
    )
    marked = [marks | {"split"} if n > 1 else marks for marks, n in zip(prepared.marks, counts, strict=True)]
    prepared.marks = _repeated(marked, counts)
    _set_entries(prepared, [entry for part in parts for entry in part])


def _repeated(items: list[Item], counts: list[int]) -> list[Item]:
    return [item for item, count in zip(items, counts, strict=True) for _ in range(count)]


def _set_entries(prepared: Prepared, entries: list[Entry]) -> None:
    history = History(prepared.session.history.system)
    for entry in entries:
        history.add(entry)
    prepared.session = dataclasses.replace(prepared.session, history=history)
