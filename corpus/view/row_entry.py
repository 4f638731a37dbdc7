"""What the page knows of a row before it opens it: a line of its list, and what the filters go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from corpus.row_facts import RowFacts

TITLE = 160
"""Characters of a title that are kept: two lines of the list at its widest."""

NAMES = 60
"""Tools and flags of one row that are kept, and characters of a name."""


class RowEntry(Struct, frozen=True, array_like=True, kw_only=True):
    """One row of the list. The page reads the fields by their place; `page/store.js` has the same order.

    The row's text is line `place` of block `block`. `file` is an index into the page's list of files, `line`
    its line there (1-based; a session is its line 1), `size` its bytes. `tokens` are those of all requests,
    -1 where they are unknown; `cost` is in US dollars.
    """

    block: int
    place: int
    file: int
    line: int
    size: int
    title: str = ""
    id: str = ""
    model: str = ""
    outcome: str = ""
    when: str = ""
    tools: list[str] = []
    flags: list[str] = []
    turns: int = 0
    tokens: int = -1
    cost: float | None = None


def row_entry(row: Mapping[str, Any], place: RowEntry) -> RowEntry:
    """The entry of `row`, a decoded line of any layout, whose place and size are those of `place`."""
    facts = RowFacts(row)
    usage = facts.usage
    counts = [usage[key] for key in ("prompt_tokens", "completion_tokens") if key in usage]
    cost = usage.get("cost")
    return RowEntry(
        block=place.block,
        place=place.place,
        file=place.file,
        line=place.line,
        size=place.size,
        title=first_words(_text(row.get("title")) or facts.prompt or _other_words(row)),
        id=facts.id[:TITLE],
        model=facts.model[:NAMES],
        outcome=(facts.outcome or _text(row.get("status")))[:NAMES],
        when=(_text(row.get("timestamp")) or _text(_mapping(row.get("metadata")).get("timestamp")))[:NAMES],
        tools=sorted(name[:NAMES] for name in facts.tools)[:NAMES],
        flags=sorted(flag[:NAMES] for flag in facts.flags)[:NAMES],
        turns=min(facts.turns, 1 << 53),
        tokens=int(min(sum(counts), 1 << 53)) if counts else -1,
        cost=None if cost is None else min(float(cost), 1e300),
    )


def first_words(text: str) -> str:
    """The beginning of `text` on one line."""
    line = " ".join(text[: TITLE * 4].split())
    return line if len(line) <= TITLE else line[: TITLE - 1] + "…"


def _other_words(row: Mapping[str, Any]) -> str:
    """For rows that are no conversation: whatever a person would know them by."""
    return next((text for key in ("text", "question", "name", "reason") if (text := _text(row.get(key)))), "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
