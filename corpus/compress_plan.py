"""Which turns of a row that is too long give way to a summary.

Kept are the first turn of each kind (system, human, gpt, tool, with the call a result belongs to) and the
last ones. Of what lies between, the longest stretch gives way, from its beginning and only as far as needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

from corpus.row_content import Role

HEAD_TOKENS = 64
"""Kept free for the first line of a note, which says what it stands for."""

SHORTEST_NOTE = 128
"""Tokens; a summary of many turns in less than that says nothing."""


class Weighed(Struct, frozen=True):
    """A turn and its tokens. It is the items `start` to `end` (exclusive) of the row's own list."""

    role: Role
    tokens: int
    start: int
    end: int


class Limits(Struct, frozen=True):
    """All in tokens but `keep_last`, in turns. `turn_tokens` is what a chat template adds to each turn,
    `gap_tokens` what the empty gpt turn costs that stands between a result and the note."""

    budget: int
    summary_tokens: int = 750
    keep_last: int = 4
    turn_tokens: int = 5
    gap_tokens: int = 0


class Cut(Struct, frozen=True):
    """Turns `start` to `end` (exclusive) give way to a note of at most `room` tokens.

    `gap`: an answer has to stand before the note, because a tool's result does.
    """

    start: int
    end: int
    room: int
    gap: bool


def choose_cut(turns: Sequence[Weighed], fixed: int, limits: Limits) -> Cut | str:
    """The cut that makes the row fit, or why there is none.

    `fixed` are tokens of the row that are in no turn (tool definitions).
    """
    upto = list(accumulate((turn.tokens for turn in turns), initial=fixed))
    total = upto[-1]
    stretches = _stretches(turns, limits.keep_last)
    span = max(stretches, key=lambda each: upto[each[1]] - upto[each[0]], default=None)
    if span is None:
        return f"{total:,} tokens, and nothing lies between its first and its last turns"
    start, stop = span
    gap = turns[start - 1].role == "tool"
    note = limits.turn_tokens + (limits.gap_tokens if gap else 0)
    room = 0
    for end in (end for end in range(start + 1, stop + 1) if turns[end].role == "gpt"):
        room = limits.budget - (total - (upto[end] - upto[start])) - note
        if room >= limits.summary_tokens + HEAD_TOKENS:
            return Cut(start, end, room, gap)
    if room >= min(SHORTEST_NOTE, limits.summary_tokens) + HEAD_TOKENS:
        return Cut(start, stop, room, gap)
    return f"{total - (upto[stop] - upto[start]):,} tokens are in the turns that are kept"


def _stretches(turns: Sequence[Weighed], keep_last: int) -> Iterator[tuple[int, int]]:
    """Runs of turns that may go: each begins after a gpt or tool turn and ends before a gpt turn, so that
    one human turn can stand in its place."""
    tail = max(0, len(turns) - keep_last)
    while tail > 0 and (tail == len(turns) or turns[tail].role != "gpt"):
        tail -= 1
    kept = _first_of_each(turns)
    start = 0
    while start < tail:
        end = start
        while end < tail and end not in kept:
            end += 1
        if end > start and start > 0:
            last = next((last for last in range(end, start, -1) if turns[last].role == "gpt"), None)
            if last is not None and turns[start - 1].role in ("gpt", "tool"):
                yield start, last
        start = end + 1


def _first_of_each(turns: Sequence[Weighed]) -> set[int]:
    first: dict[Role, int] = {}
    for index, turn in enumerate(turns):
        first.setdefault(turn.role, index)
    kept = set(first.values())
    if first.get("tool", 0) > 0:
        kept.add(first["tool"] - 1)
    return kept
