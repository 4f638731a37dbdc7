"""The row of a batch: the ShareGPT row of its session, and what the run knows beside it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from batches.plan import RunPlan
from batches.task import PromptTask
from trajectories.session_load import Session
from trajectories.sharegpt import sharegpt_row

if TYPE_CHECKING:
    from safety.redact import Redactor


def prompt_hash(prompt: str) -> str:
    """Tells prompts apart in `metadata`; 16 hexadecimal digits."""
    return hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()[:16]


def batch_row(session: Session, task: PromptTask, plan: RunPlan, redactor: Redactor) -> dict[str, Any] | None:
    """The output row, clean of secrets; None where the model never answered.

    A field of the input row whose name is one of ours stands in `metadata.input`, as JSON text: the same
    columns in every row, whatever the prompts file holds.
    """
    from trajectories.preparing import prepare

    row = sharegpt_row(prepare(session, redactor=redactor))
    if row is None:
        return None
    counts, errors, unknown = _tool_counts(session, plan.tools)
    row["prompt_index"] = task.index
    row["api_calls"] = row["requests"]
    row["toolsets_used"] = task.toolsets
    row["tool_stats"] = counts
    row["tool_error_counts"] = errors
    row["metadata"] = {}
    carried = {name: task.fields.get(name) for name in plan.columns if name not in row}
    row["metadata"] = {
        "run": plan.run,
        "prompt_hash": prompt_hash(task.prompt),
        "distribution": plan.distribution,
        "seed": plan.seed,
        "unknown_tool_calls": unknown,
        "input": msgspec.json.encode(
            {name: value for name, value in task.fields.items() if name not in carried}
        ).decode(),
    }
    row["metadata"], _ = redactor.redact_json(row["metadata"])
    return {**row, **redactor.redact_json(carried)[0]}


def _tool_counts(session: Session, names: list[str]) -> tuple[dict[str, dict[str, int]], dict[str, int], int]:
    """For each of `names` how its calls went, and how many failed; and the calls of any other name."""
    counts = {name: {"count": 0, "success": 0, "failure": 0} for name in names}
    unknown = 0
    for round_ in session.history.rounds:
        for result in round_.results:
            if (count := counts.get(result.name)) is None:
                unknown += 1
                continue
            count["count"] += 1
            count["success" if result.status == "ok" else "failure"] += 1
    return counts, {name: count["failure"] for name, count in counts.items()}, unknown
