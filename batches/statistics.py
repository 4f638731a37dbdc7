"""What came of a run, in numbers: `statistics.json`, and what the progress bar shows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct

from conversation.message import Usage

NO_REASONING = ("<think>\n</think>", "<think></think>")


class CountedTurn(Struct, frozen=True, rename={"role": "from"}):
    role: str
    value: str


class CountedMetadata(Struct, frozen=True):
    prompt_hash: str


class CountedRow(Struct, frozen=True):
    """As much of a row of trajectories.jsonl as is counted here."""

    prompt_index: int
    id: str
    metadata: CountedMetadata
    conversations: list[CountedTurn]
    completed: bool
    outcome: str
    api_calls: int
    toolsets_used: list[str]
    tool_stats: dict[str, dict[str, int]]
    usage: Usage


class LostRow(Struct, frozen=True):
    """A line of failed.jsonl or discarded.jsonl."""

    prompt_index: int
    prompt_hash: str
    reason: str
    kind: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    ended: str = ""


class Statistics:
    """Counts as results come, and over the rows of earlier starts of the run."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.discarded = 0
        self.failures = 0
        self.requests = 0
        self.usage = Usage()
        self.unpriced = False
        self._rows = 0
        self._completed = 0
        self._tools: dict[str, Counter[str]] = {}
        self._toolsets: Counter[str] = Counter()
        self._answers = 0
        self._with_reasoning = 0

    @property
    def recorded(self) -> int:
        return self._rows

    @property
    def partial(self) -> int:
        """Recorded, and yet not to its end."""
        return self._rows - self._completed

    def add_row(self, row: CountedRow) -> None:
        self._rows += 1
        self._completed += row.completed
        self.outcomes[row.outcome] += 1
        self.requests += row.api_calls
        self._toolsets.update(row.toolsets_used)
        for name, counts in row.tool_stats.items():
            self._tools.setdefault(name, Counter()).update(counts)
        for turn in row.conversations:
            if turn.role == "gpt":
                self._answers += 1
                self._with_reasoning += not turn.value.startswith(NO_REASONING)
        self._spend(row.usage)

    def add_discarded(self, row: LostRow) -> None:
        self.discarded += 1
        self._spend(row.usage)

    def add_failure(self, row: LostRow) -> None:
        """A failure is counted each time; the prompt is tried again by the next start."""
        self.failures += 1
        self._spend(row.usage)

    def _spend(self, usage: Usage) -> None:
        self.usage += usage
        self.unpriced = self.unpriced or (bool(usage.total_tokens) and usage.cost is None)

    def report(self) -> dict[str, Any]:
        """The counts as they stand in statistics.json. `cost` is null where it is not known."""
        return {
            "recorded": self._rows,
            "completed": self._completed,
            "partial": self.partial,
            "discarded": self.discarded,
            "failures": self.failures,
            "outcomes": dict(self.outcomes.most_common()),
            "api_calls": self.requests,
            "usage": {name: getattr(self.usage, name) for name in self.usage.__struct_fields__},
            "tools": {name: _with_rates(counts) for name, counts in self._tools.items() if counts["count"]},
            "toolsets": dict(self._toolsets.most_common()),
            "reasoning": {"answers": self._answers, "with_reasoning": self._with_reasoning},
        }


def _with_rates(counts: Counter[str]) -> dict[str, Any]:
    rate = round(counts["success"] / counts["count"], 4)
    return {**counts, "success_rate": rate, "failure_rate": round(1 - rate, 4)}
