"""One row brought under a token budget: what is kept stays as it was, and the rest gives way to a note.

The note is a human turn (a user message). Where a tool's result stands before it, an empty answer is put in
between, because `conversations` must not go from tool to human. Both are named in the row's `flags`, where it
has them: no row gets a key that it did not have, because readers of tables want the same keys in each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from conversation.message import Usage
from corpus.compress_places import Moved, moved_fields
from corpus.compress_plan import HEAD_TOKENS, Cut, Limits, Weighed, choose_cut
from corpus.compress_summary import Said, Summariser
from corpus.reading import Row
from corpus.row_content import Role, as_text, row_kind
from corpus.row_facts import RowFacts
from corpus.tokenizer import Tokenizer
from trajectories.row_line import row_line
from trajectories.sharegpt import EMPTY_ANSWER
from trajectories.turn_text import escape_text
from trajectories.validate import validate_line

RowKey = Literal["conversations", "messages"]
RowFate = Literal["untouched", "compressed", "too_large"]

_ROLES: dict[RowKey, dict[str, Role]] = {
    "conversations": {"system": "system", "human": "human", "gpt": "gpt", "tool": "tool"},
    "messages": {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"},
}
_ENDING = " […]"


class CutFacts(Struct, frozen=True):
    """What was done to `of`: `turns` turns gave way to the note that is its item `note`.

    `cut_off`: the summary was longer than its place, or than the model might write.
    """

    of: RowKey
    note: int
    turns: int
    tokens_before: int
    tokens_after: int
    budget: int
    tokenizer: str
    model: str
    cut_off: bool


class RowResult(Struct, frozen=True):
    """`line` is the row to write, without its end; `reason` says why it is too large.

    Tokens are those of `conversations`, of `messages` where the row has no other.
    """

    fate: RowFate
    line: bytes
    before: int
    after: int
    cuts: tuple[CutFacts, ...] = ()
    usage: Usage = Usage()
    reason: str = ""


class _Side(Struct):
    """`conversations` or `messages` of a row. `problem`: why it cannot be compressed, "" if it can."""

    key: RowKey
    items: list[Any]
    texts: list[str]
    turns: list[Weighed]
    fixed: int
    problem: str = ""

    @property
    def tokens(self) -> int:
        return self.fixed + sum(turn.tokens for turn in self.turns)


class RowCompressor:
    """Compresses rows, several at once. The same summaries make the same rows."""

    def __init__(self, tokenizer: Tokenizer, summariser: Summariser, limits: Limits) -> None:
        self._tokenizer = tokenizer
        self._summariser = summariser
        gap = tokenizer.count(EMPTY_ANSWER) + limits.turn_tokens
        self._limits = msgspec.structs.replace(limits, gap_tokens=gap)

    async def compress(self, row: Row) -> RowResult:
        """Raises SummaryFailed and SummariserUnusable; nothing of the row is lost by that."""
        sides = await asyncio.to_thread(self._weigh, row.value)
        if not sides:
            return await asyncio.to_thread(self._of_another_layout, row)
        before, budget = sides[0].tokens, self._limits.budget
        if all(side.tokens <= budget for side in sides):
            return RowResult("untouched", row.raw, before, before)
        cuts: list[tuple[_Side, Cut]] = []
        for side in sides:
            if side.tokens > budget:
                cut = side.problem or choose_cut(side.turns, side.fixed, self._limits)
                if isinstance(cut, str):
                    return RowResult("too_large", row.raw, before, before, reason=f"{side.key}: {cut}")
                cuts.append((side, cut))
        return await self._cut(row, sides[0], cuts)

    async def _cut(self, row: Row, first: _Side, cuts: Sequence[tuple[_Side, Cut]]) -> RowResult:
        before = first.tokens
        fields = msgspec.json.decode(row.raw, type=dict[str, msgspec.Raw])
        usage, facts = Usage(), []
        changed: dict[str, Any] = {}
        for side, cut in cuts:
            gone = side.turns[cut.start : cut.end]
            said = [Said(turn.role, "\n".join(side.texts[turn.start : turn.end])) for turn in gone]
            summary = await self._summariser.summarise(
                said, min(self._limits.summary_tokens, cut.room - HEAD_TOKENS)
            )
            note, shortened = await asyncio.to_thread(self._note, summary.text, len(gone), cut.room)
            moved, items = _replaced(side, cut, note)
            tokens = self._tokens_after(side, cut, note)
            fields[side.key] = _raw(items)
            facts.append(
                CutFacts(
                    side.key,
                    moved.note,
                    len(gone),
                    side.tokens,
                    tokens,
                    self._limits.budget,
                    self._tokenizer.name,
                    summary.model,
                    summary.cut_off or shortened,
                )
            )
            changed |= moved_fields({**row.value, **changed}, moved)
            usage += summary.usage
        line = row_line(fields | {name: _raw(value) for name, value in changed.items()})[:-1]
        after = next((each.tokens_after for each in facts if each.of == first.key), before)
        result = RowResult("compressed", line, before, after, tuple(facts), usage)
        return await asyncio.to_thread(self._checked, row, result)

    def _checked(self, row: Row, result: RowResult) -> RowResult:
        """A row that was valid must be so still."""
        problems = validate_line(result.line)
        if problems and not validate_line(row.raw):
            reason = f"compressed, it would not be valid: {problems[0]}"
            return RowResult(
                "too_large", row.raw, result.before, result.before, usage=result.usage, reason=reason
            )
        return result

    def _of_another_layout(self, row: Row) -> RowResult:
        tokens = sum(self._tokenizer.count_many(RowFacts(row.value).pieces))
        if tokens <= self._limits.budget:
            return RowResult("untouched", row.raw, tokens, tokens)
        reason = f"{tokens:,} tokens, in a layout that cannot be compressed ({row_kind(row.value)})"
        return RowResult("too_large", row.raw, tokens, tokens, reason=reason)

    def _weigh(self, row: Mapping[str, Any]) -> list[_Side]:
        keys = [key for key in _ROLES if isinstance(row.get(key), list)]
        return [self._weigh_side(key, row[key], row.get("tools")) for key in keys]

    def _weigh_side(self, key: RowKey, items: list[Any], tools: Any) -> _Side:
        texts = [_text(item) for item in items]
        # A chat template writes out the tools, except where the system turn lists them already.
        listed = bool(texts) and "<tools>" in texts[0]
        told = "" if listed or tools in (None, [], "[]") else as_text(tools)
        counts = self._tokenizer.count_many([*texts, told])
        side = _Side(key, items, texts, [], counts[-1])
        for index, item in enumerate(items):
            name = item.get("from", item.get("role")) if isinstance(item, dict) else None
            role = _ROLES[key].get(name) if isinstance(name, str) else None
            if role is None:
                side.problem = side.problem or f"turn {index} is from {str(name)[:40]!r}"
            last = side.turns[-1] if side.turns else None
            if last is not None and key == "messages" and role == last.role and role in ("tool", "human"):
                tokens = last.tokens + counts[index] + self._limits.turn_tokens
                side.turns[-1] = Weighed(last.role, tokens, last.start, index + 1)
            else:
                tokens = counts[index] + self._limits.turn_tokens
                side.turns.append(Weighed(role or "human", tokens, index, index + 1))
        return side

    def _note(self, text: str, turns: int, room: int) -> tuple[str, bool]:
        """The note, at most `room` tokens, and whether the summary had to be shortened for that."""
        whole = escape_text(f"[Summary of {turns} turns that stood here]\n{text}")
        if self._tokenizer.count(whole) <= room:
            return whole, False
        fits, too_long = 0, len(whole)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if self._tokenizer.count(whole[:middle] + _ENDING) <= room:
                fits = middle
            else:
                too_long = middle
        kept = whole[:fits]
        at_word = max(kept.rfind(" "), kept.rfind("\n"))
        short = kept[:at_word].rstrip() + _ENDING if at_word > fits // 2 else kept + _ENDING
        return (short if self._tokenizer.count(short) <= room else kept + _ENDING), True

    def _tokens_after(self, side: _Side, cut: Cut, note: str) -> int:
        kept = side.tokens - sum(turn.tokens for turn in side.turns[cut.start : cut.end])
        gap = self._limits.gap_tokens if cut.gap and side.key == "conversations" else 0
        return kept + gap + self._limits.turn_tokens + self._tokenizer.count(note)


def _replaced(side: _Side, cut: Cut, note: str) -> tuple[Moved, list[Any]]:
    """What moved, and the row's list with the note in place of the cut."""
    start, end = side.turns[cut.start].start, side.turns[cut.end - 1].end
    gap = cut.gap and side.key == "conversations"
    new: list[Any] = [{"from": "gpt", "value": EMPTY_ANSWER}] if gap else []
    if side.key == "messages":
        new.append({"role": "user", "content": note})
    else:
        new.append({"from": "human", "value": note})
    moved = Moved(side.key, start, end, start + len(new) - 1, gap)
    return moved, [*side.items[:start], *new, *side.items[end:]]


def _text(item: Any) -> str:
    """What a model would read of a turn or message."""
    if not isinstance(item, dict):
        return as_text(item)
    if "value" in item:
        return as_text(item["value"])
    parts = [as_text(item.get("reasoning_content")), as_text(item.get("content"))]
    calls = item.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        parts.append(as_text(call.get("function") if isinstance(call, dict) else call))
    return "\n".join(part for part in parts if part)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
