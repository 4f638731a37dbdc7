"""The facts every row carries beside its messages, whatever its format. Same keys and types in each row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from conversation.message import AssistantMessage, Usage
from conversation.round import Round
from trajectories.exported_entries import Exported, ExportedEntry
from trajectories.prepared import Prepared
from trajectories.session_record import ChangeRecord, CompactionRecord, Record, RollbackRecord

ROW_SCHEMA = 1

FACT_COLUMNS: dict[str, Any] = {
    "schema": "integer",
    "title": "text",
    "ended": "text",
    "outcome": "text",
    "partial": "bool",
    "reason": "text",
    "turns": "integer",
    "requests": "integer",
    "seconds": "number",
    "usage": {
        "prompt_tokens": "integer",
        "completion_tokens": "integer",
        "cached_tokens": "integer",
        "reasoning_tokens": "integer",
        "cost": "number",
    },
    "tool_stats": [{"name": "text", "calls": "integer", "failed": "integer", "seconds": "number"}],
    "left_out": {"notices": "integer", "flawed": "integer", "unprompted": "integer"},
    "changes": ["text"],
    "toolsets": ["text"],
    "sampling": "text",
    "provider": "text",
    "parent": "text",
    "spawned_by": "text",
    "cwd": "text",
    "sandbox": "text",
    "git": {"commit": "text", "dirty": "bool"},
    "answers": "text",
    "compactions": "text",
    "target": "text",
    "redactions": [{"kind": "text", "count": "integer"}],
    "problems": "integer",
    "source": {"schema": "integer", "hermes_version": "text"},
}
"""The keys of `row_facts` and what they hold; see `trajectories.columns`."""


def row_facts(
    prepared: Prepared, exported: Exported, places: Iterable[int] = (), place: str = "message"
) -> dict[str, Any]:
    """docs/data-formats.md has each key. Objects whose keys differ between sessions are JSON text.

    `places` has, for each answer that is in the row, where it stands: `answers` tells it as `place`.
    """
    session = prepared.session
    header = session.header
    git = session.git
    return {
        "schema": ROW_SCHEMA,
        "title": session.title,
        "ended": session.ended,
        "outcome": session.outcome,
        "partial": session.outcome == "partial",
        "reason": session.turns[-1].reason if session.turns and not session.in_turn else "",
        "turns": len(session.turns) + session.in_turn,
        "requests": sum(turn.requests for turn in session.turns),
        "seconds": round(sum(turn.seconds for turn in session.turns), 3),
        "usage": usage_dict(session.usage),
        "tool_stats": _tool_stats(exported),
        "left_out": {
            "notices": exported.notices,
            "flawed": exported.flawed,
            "unprompted": exported.unprompted,
        },
        "changes": [
            record.what
            for record in session.records
            if isinstance(record, ChangeRecord) and record.what != "exposure"
        ],
        "toolsets": session.toolsets,
        "sampling": json_of(header.sampling),
        "provider": header.provider,
        "parent": header.parent.id if header.parent else "",
        "spawned_by": header.spawned_by.session if header.spawned_by else "",
        "cwd": header.cwd,
        "sandbox": header.sandbox,
        "git": {"commit": git.commit if git else "", "dirty": bool(git and git.dirty)},
        "answers": json_of(
            [
                {place: index, **answer_facts(each)}
                for index, each in zip(places, exported.answers, strict=False)
            ]
        ),
        "compactions": json_of(_compactions(prepared, exported)),
        "target": prepared.target.name if prepared.target else "",
        "redactions": [{"kind": kind, "count": count} for kind, count in prepared.redactions.items()],
        "problems": len(session.problems),
        "source": {"schema": header.schema, "hermes_version": header.hermes_version},
    }


def usage_dict(usage: Usage) -> dict[str, Any]:
    """All five numbers, also those that are 0 or unknown (`cost` None)."""
    return {name: getattr(usage, name) for name in usage.__struct_fields__}


def json_of(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def answer_facts(each: ExportedEntry) -> dict[str, Any]:
    """What is known of one answer and its results; what is not known has no key."""
    assert isinstance(each.entry, Round)
    answer = each.entry.assistant
    facts: dict[str, Any] = {"at": each.ts, "model": answer.model, "finish_reason": answer.finish_reason}
    if answer.usage is not None:
        facts["usage"] = usage_dict(answer.usage)
    if answer.seconds:
        facts["seconds"] = answer.seconds
    if each.flags:
        facts["flags"] = sorted(each.flags)
    if answer.flawed:
        facts["flawed"] = answer.flawed
    facts |= _tokens(answer)
    results = [
        {
            "call_id": result.call_id,
            "name": result.name,
            "status": result.status,
            "seconds": result.seconds,
            "approval": result.approval,
        }
        for result in each.entry.results
    ]
    return facts | ({"results": results} if results else {})


def kept_compactions(records: list[Record]) -> list[CompactionRecord]:
    """Those that no later roll-back undid, in order."""
    kept: list[CompactionRecord] = []
    for record in records:
        if isinstance(record, CompactionRecord):
            kept.append(record)
        elif isinstance(record, RollbackRecord):
            kept = [each for each in kept if each.end <= record.keep]
    return kept


def _tokens(answer: AssistantMessage) -> dict[str, Any]:
    tokens = answer.tokens
    return {} if tokens is None else {"tokens": msgspec.to_builtins(tokens)}


def _compactions(prepared: Prepared, exported: Exported) -> list[dict[str, int]]:
    """`answer`: the place among the answers of the first that was given after it."""
    return [
        {
            "answer": sum(each.ts < record.ts for each in exported.answers),
            "before": record.before,
            "after": record.after,
        }
        for record in kept_compactions(prepared.session.records)
    ]


def _tool_stats(exported: Exported) -> list[dict[str, Any]]:
    stats: dict[str, dict[str, Any]] = {}
    for round_ in exported.rounds:
        for result in round_.results:
            stat = stats.setdefault(
                result.name, {"name": result.name, "calls": 0, "failed": 0, "seconds": 0.0}
            )
            stat["calls"] += 1
            stat["failed"] += result.status != "ok"
            stat["seconds"] = round(stat["seconds"] + result.seconds, 3)
    return list(stats.values())
