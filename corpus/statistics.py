"""What is in files of rows, in numbers: the value behind `hermes data stats`, its JSON and its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from corpus.reading import Problem, Row
from corpus.row_facts import CHARACTERS_A_TOKEN, RowFacts
from corpus.row_layout import layout_of
from corpus.spread import Spread, SpreadCounter

ESTIMATE = f"estimated, {CHARACTERS_A_TOKEN} characters a token"
MOST_NAMES = 1000
"""Different models, tools, flags …: further ones are counted together as `(others)`."""
MOST_PROBLEMS = 100
"""Skipped lines that are named one by one."""


class ToolCount(Struct, frozen=True):
    """`rows` is how many rows call the tool at all; `failed` of `calls`."""

    name: str
    rows: int
    calls: int
    failed: int

    @property
    def success(self) -> float:
        """The share of calls that did not fail, 0 to 1."""
        return 1 - self.failed / self.calls if self.calls else 0.0


class Parts(Struct):
    """Tokens (by `Statistics.tokens_by`) of all rows, by what they are."""

    system: int = 0
    human: int = 0
    reasoning: int = 0
    answers: int = 0
    calls: int = 0
    results: int = 0


class UsageSum(Struct):
    """What the rows themselves report of their requests; `rows` of them do. `cost` is in US dollars."""

    rows: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float = 0.0
    rows_with_cost: int = 0


class Skipped(Struct, frozen=True):
    """A line that is no row. `line` is 1 for the first; 0 where the file as a whole is meant."""

    file: str
    line: int
    reason: str


class FileCount(Struct):
    path: str
    rows: int = 0
    skipped: int = 0
    bytes: int = 0


class Statistics(Struct, frozen=True):
    """Counts of rows stand beside names, most first. `lines_skipped` has the kinds of what was left out.

    `tokens` and `parts` measure the text of the rows (without what a chat template adds), by `tokens_by`;
    `usage` is what was paid for.
    """

    files: list[FileCount]
    rows: int
    formats: dict[str, int]
    tokens_by: str
    tokens: Spread
    characters: Spread
    turns: Spread
    messages: Spread
    calls: Spread
    parts: Parts
    usage: UsageSum
    tools: list[ToolCount]
    answers: int
    answers_with_reasoning: int
    rows_with_reasoning: int
    outcomes: dict[str, int]
    models: dict[str, int]
    flags: dict[str, int]
    lines_skipped: dict[str, int]
    skipped: list[Skipped]

    @property
    def reasoning_share(self) -> float:
        """The share of answers that have reasoning, 0 to 1."""
        return self.answers_with_reasoning / self.answers if self.answers else 0.0


class StatisticsCounter:
    """Takes what `read_rows` gives and makes the Statistics of it. Memory does not grow with the rows.

    `count` gives the tokens of a text; without it they are estimated. `tokens_by` names it.
    """

    def __init__(self, count: Callable[[str], int] | None = None, tokens_by: str = ESTIMATE) -> None:
        self._files: dict[str, FileCount] = {}
        self._file = FileCount("")
        self._count = count
        self._tokens_by = tokens_by
        self._spreads = {
            name: SpreadCounter() for name in ("tokens", "characters", "turns", "messages", "calls")
        }
        self._parts = Parts()
        self._usage = UsageSum()
        self._tools: dict[str, list[int]] = {}
        self._answers = self._with_reasoning = self._rows_with_reasoning = 0
        self._formats, self._outcomes, self._models, self._flags = (_Tally() for _ in range(4))
        self._kinds: Counter[str] = Counter()
        self._skipped: list[Skipped] = []

    def begin(self, path: str) -> None:
        """What is added from here on comes from the file at `path`."""
        self._file = self._files.setdefault(path, FileCount(path))

    def add(self, item: Row | Problem) -> None:
        file = self._file
        if isinstance(item, Row):
            file.rows += 1
            file.bytes += len(item.raw)
            self._add_row(RowFacts(item.value))
            return
        self._kinds[item.kind] += 1
        if item.kind != "blank":
            file.skipped += 1
            if len(self._skipped) < MOST_PROBLEMS:
                self._skipped.append(Skipped(file.path, item.number, item.reason))

    def statistics(self) -> Statistics:
        spreads: dict[str, Any] = {name: each.spread() for name, each in self._spreads.items()}
        tools = [ToolCount(name, *counts) for name, counts in self._tools.items()]
        return Statistics(
            files=list(self._files.values()),
            rows=sum(file.rows for file in self._files.values()),
            formats=self._formats.named(),
            tokens_by=self._tokens_by,
            parts=self._parts,
            usage=self._usage,
            tools=sorted(tools, key=lambda tool: (-tool.calls, tool.name)),
            answers=self._answers,
            answers_with_reasoning=self._with_reasoning,
            rows_with_reasoning=self._rows_with_reasoning,
            outcomes=self._outcomes.named(),
            models=self._models.named(),
            flags=self._flags.named(),
            lines_skipped=dict(self._kinds.most_common()),
            skipped=self._skipped,
            **spreads,
        )

    def _add_row(self, facts: RowFacts) -> None:
        self._formats.add(layout_of(facts.row))
        self._outcomes.add(facts.outcome or "(not said)")
        self._models.add(facts.model or "(not said)")
        for flag in facts.flags:
            self._flags.add(flag)
        self._add_tools(facts)
        self._add_usage(facts.usage)
        reasoning = sum(bool(turn.reasoning) for turn in facts.answers)
        self._answers += len(facts.answers)
        self._with_reasoning += reasoning
        self._rows_with_reasoning += reasoning > 0
        sizes = {
            "tokens": self._add_parts(facts),
            "characters": facts.characters,
            "turns": facts.turns,
            "messages": len(facts.content),
            "calls": sum(use.calls for use in facts.tools.values()),
        }
        for name, size in sizes.items():
            self._spreads[name].add(size)

    def _add_tools(self, facts: RowFacts) -> None:
        for name, use in facts.tools.items():
            name = _short(name)
            known = name in self._tools or len(self._tools) < MOST_NAMES
            counts = self._tools.setdefault(name if known else "(others)", [0, 0, 0])
            counts[0] += 1
            counts[1] += use.calls
            counts[2] += use.failed

    def _add_usage(self, usage: dict[str, float]) -> None:
        if not usage:
            return
        total = self._usage
        total.rows += 1
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"):
            setattr(total, name, getattr(total, name) + int(usage.get(name, 0)))
        if "cost" in usage:
            total.cost += usage["cost"]
            total.rows_with_cost += 1

    def _add_parts(self, facts: RowFacts) -> int:
        """Adds the row's tokens to the parts they belong to; returns their sum."""
        sizes: Counter[str] = Counter()
        size = self._count or len
        for turn in facts.content:
            sizes["reasoning"] += size(turn.reasoning)
            sizes[_PART.get(turn.role, "results")] += size(turn.text)
            sizes["calls"] += sum(size(call.name) + size(call.arguments) for call in turn.calls)
            sizes["results"] += sum(size(result.content) for result in turn.results)
        for name, number in sizes.items():
            tokens = number if self._count else -(-number // CHARACTERS_A_TOKEN)
            setattr(self._parts, name, getattr(self._parts, name) + tokens)
        return sum(sizes.values()) if self._count else facts.tokens


_PART = {"system": "system", "human": "human", "gpt": "answers"}


class _Tally:
    """Counts names, up to MOST_NAMES of them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        name = _short(name)
        known = name in self._counts or len(self._counts) < MOST_NAMES
        self._counts[name if known else "(others)"] += 1

    def named(self) -> dict[str, int]:
        return dict(sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _short(name: str) -> str:
    return name if len(name) <= 120 else name[:119] + "…"
