"""What a row says about itself, under one name for all formats: written facts first, else worked out.

`RowFacts(row)` works each fact out when it is first asked for. docs/data-tools.md lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeGuard

from msgspec import Struct

from corpus.row_content import Turn, as_text, json_value, row_turns

CHARACTERS_A_TOKEN = 4
"""The usual rule of thumb for English text and the tokenizers of today; for a first look only."""

BELIEVABLE = 10**15
"""A larger number in a row's own facts counts as not said."""


class ToolUse(Struct):
    """`failed` of `calls`; a result that nobody wrote down is no failure."""

    calls: int = 0
    failed: int = 0


class RowFacts:
    """The facts of one row. Nothing here raises, whatever the row holds."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = row

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """The row's own facts: its fields, and what some formats keep in `facts` (JSON text) or `extra`."""
        row = self.row
        inner = row.get("facts") if "facts" in row else row.get("extra")
        if isinstance(inner, str):
            inner = json_value(inner)
        return {**inner, **row} if isinstance(inner, dict) else row

    @cached_property
    def content(self) -> list[Turn]:
        return row_turns(self.row)

    @cached_property
    def tools(self) -> dict[str, ToolUse]:
        """Every tool that was called, from `tool_stats` where the row has it, else from its turns."""
        stats = self.said.get("tool_stats")
        if isinstance(stats, str):
            stats = json_value(stats)
        if isinstance(
            stats, dict
        ):  # {name: {"count", "success", "failure"}}; unused tools stand there with 0
            found = {str(name): _use(value, "count", "failure") for name, value in stats.items()}
        elif isinstance(stats, list):  # [{"name", "calls", "failed"}]
            found = {
                str(each.get("name")): _use(each, "calls", "failed")
                for each in stats
                if isinstance(each, dict)
            }
        else:
            return self._counted_tools()
        return {name: use for name, use in found.items() if use.calls}

    def _counted_tools(self) -> dict[str, ToolUse]:
        found: dict[str, ToolUse] = {}
        for turn in self.content:
            for call in turn.calls:
                found.setdefault(call.name, ToolUse()).calls += 1
            for result in turn.results:
                if result.failed and result.name in found:
                    found[result.name].failed += 1
        return found

    @cached_property
    def turns(self) -> int:
        """How many times the person had the word."""
        written = self.said.get("turns")
        return written if _is_count(written) else sum(turn.role == "human" for turn in self.content)

    @cached_property
    def outcome(self) -> str:
        """`outcome`, else `done`, `partial` or `failed` from `completed` and `partial`; "" unknown."""
        written = self.said.get("outcome")
        if isinstance(written, str):
            return written
        if self.said.get("partial") is True:
            return "partial"
        completed = self.said.get("completed")
        return ("done" if completed else "failed") if isinstance(completed, bool) else ""

    @cached_property
    def model(self) -> str:
        """`model`, else that of `metadata` or of an ATIF `agent`; "" unknown."""
        places = (("", "model"), ("metadata", "model"), ("agent", "model_name"))
        for outer, key in places:
            holder = self.said.get(outer) if outer else self.said
            value = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(value, str) and value:
                return value
        return ""

    @cached_property
    def flags(self) -> set[str]:
        """Names out of `flags`, and `truncated` where the row says so."""
        listed = self.said.get("flags")
        found = {
            str(each.get("flag")) if isinstance(each, dict) else str(each)
            for each in (listed if isinstance(listed, list) else [])
        }
        return found | ({"truncated"} if self.said.get("truncated") is True else set())

    @cached_property
    def answers(self) -> list[Turn]:
        return [turn for turn in self.content if turn.role == "gpt"]

    @cached_property
    def reasoning(self) -> float:
        """The share of answers that have reasoning, 0 to 1."""
        return sum(bool(turn.reasoning) for turn in self.answers) / max(1, len(self.answers))

    @cached_property
    def prompt(self) -> str:
        """The person's first words."""
        return next((turn.text for turn in self.content if turn.role == "human"), "")

    @cached_property
    def answer(self) -> str:
        """The last answer that has text."""
        return next((turn.text for turn in reversed(self.answers) if turn.text), "")

    @cached_property
    def system(self) -> str:
        return next((turn.text for turn in self.content if turn.role == "system"), "")

    @cached_property
    def pieces(self) -> list[str]:
        """Every text of the row, in order: what a model would read and write."""
        found: list[str] = []
        for turn in self.content:
            found += (turn.reasoning, turn.text)
            for call in turn.calls:
                found += (call.name, call.arguments)
            found += (result.content for result in turn.results)
        return [piece for piece in found if piece]

    @cached_property
    def characters(self) -> int:
        return sum(map(len, self.pieces))

    @cached_property
    def tokens(self) -> int:
        """The length of the row in tokens, estimated from its characters."""
        return -(-self.characters // CHARACTERS_A_TOKEN)

    @cached_property
    def usage(self) -> dict[str, float]:
        """The numbers of `usage` (or of an ATIF `final_metrics`); {} where the row has none."""
        written = self.said.get("usage")
        if isinstance(written, dict):
            return {key: value for key, value in written.items() if _is_number(value)}
        metrics = self.said.get("final_metrics")
        if not isinstance(metrics, dict):
            return {}
        names = {
            "prompt_tokens": "total_prompt_tokens",
            "completion_tokens": "total_completion_tokens",
            "cached_tokens": "total_cached_tokens",
            "cost": "total_cost_usd",
        }
        return {key: metrics[name] for key, name in names.items() if _is_number(metrics.get(name))}

    @property
    def text(self) -> str:
        return "\n".join(self.pieces)

    @property
    def id(self) -> str:
        """`id`, else `session_id`, `trajectory_id` or `prompt_index`; "" without."""
        for key in ("id", "session_id", "trajectory_id", "prompt_index"):
            if self.said.get(key) not in (None, ""):
                return as_text(self.said[key])
        return ""


def _use(value: Any, calls: str, failed: str) -> ToolUse:
    counts = value if isinstance(value, dict) else {}
    return ToolUse(*(counts[key] if _is_count(counts.get(key)) else 0 for key in (calls, failed)))


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= BELIEVABLE


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= BELIEVABLE
