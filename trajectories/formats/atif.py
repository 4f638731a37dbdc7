"""A session as one ATIF document, the interchange format of agent trajectories (Harbor's, version 1.7).

Nothing of the history is left out. Readers refuse unknown keys, so what the format has no place for stands
in `extra`.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from typing import Any

from conversation.message import AnswerTokens, AssistantMessage, ContentPart, ToolResult, UserMessage
from conversation.round import Round
from trajectories.exported_entries import exported_entries
from trajectories.formats.all_entries import FullEntry, all_entries
from trajectories.prepared import Prepared
from trajectories.row_facts import row_facts
from trajectories.session_record import CompactionRecord
from trajectories.turn_text import arguments_value

VERSION = "ATIF-v1.7"

Step = dict[str, Any]

_EXTRA = (
    *("schema", "title", "ended", "outcome", "partial", "reason", "turns", "tool_stats", "changes", "parent"),
    *("spawned_by", "git", "cwd", "sandbox", "target", "redactions", "problems"),
)
"""The facts of a row that stand in the document's `extra`; the format has places for the others."""

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def rows(prepared: Prepared) -> list[dict[str, Any]]:
    """One document; none for a session in which nothing was said.

    - A notice of the loop is a user step with `extra.flags` `injected`: that is how the model got it.
    - A compaction is a user step with the summary, `is_copied_context`, and in `extra.compaction` the steps
      that the model did not see any more from there on. The steps themselves are all there.
    - In a fork the steps taken over from the parent have `is_copied_context`.
    """
    entries = list(all_entries(prepared))
    if not entries:
        return []
    steps: list[Step] = []
    places: dict[int, list[int]] = {}
    if system := prepared.session.history.system:
        steps.append({"source": "system", "message": system})
    for each in entries:
        steps += [_compaction(record, places) for record in each.compactions]
        step = _step(each, prepared)
        if each.number in places:  # a further part of an answer that was split
            step.pop("llm_call_count", None)
        places.setdefault(each.number, []).append(len(steps) + 1)
        steps.append(step)
    steps = [{"step_id": number, **step} for number, step in enumerate(steps, 1)]
    return [_document(prepared, steps)]


def _document(prepared: Prepared, steps: list[Step]) -> dict[str, Any]:
    session = prepared.session
    header = session.header
    facts = row_facts(prepared, exported_entries(prepared))
    usage = facts["usage"]
    agent: dict[str, Any] = {
        "name": "hermes-agent",
        "version": header.hermes_version or "unknown",
        "tool_definitions": session.tools,
        "extra": {
            "toolsets": session.toolsets,
            "provider": header.provider,
            "base_url_host": header.base_url_host,
            "sampling": header.sampling,
        },
    }
    if session.model:
        agent["model_name"] = session.model
    metrics: dict[str, Any] = {
        "total_prompt_tokens": usage["prompt_tokens"],
        "total_completion_tokens": usage["completion_tokens"],
        "total_cached_tokens": usage["cached_tokens"],
        "total_steps": len(steps),
        "extra": {
            "requests": facts["requests"],
            "seconds": facts["seconds"],
            "reasoning_tokens": usage["reasoning_tokens"],
        },
    }
    if usage["cost"] is not None:
        metrics["total_cost_usd"] = usage["cost"]
    return {
        "schema_version": VERSION,
        "session_id": session.path.stem,
        "trajectory_id": session.path.stem,
        "agent": agent,
        "steps": steps,
        "final_metrics": metrics,
        "extra": {"started": header.started, **{name: facts[name] for name in _EXTRA}},
    }


def _step(each: FullEntry, prepared: Prepared) -> Step:
    step: Step
    if isinstance(each.entry, UserMessage):
        step = {"source": "user", "message": _message(each.entry)}
    else:
        step = _agent_step(each.entry, prepared)
    if each.ts:
        step["timestamp"] = each.ts
    if each.copied:
        step["is_copied_context"] = True
    if each.flags:
        step.setdefault("extra", {})["flags"] = sorted(each.flags)
    return step


def _agent_step(round_: Round, prepared: Prepared) -> Step:
    answer = round_.assistant
    step: Step = {"source": "agent", "message": answer.content, "llm_call_count": 1}
    effort = prepared.session.header.sampling.get("reasoning_effort")
    if answer.model:
        step["model_name"] = answer.model
    if effort and isinstance(effort, str | int | float):
        step["reasoning_effort"] = effort
    if answer.reasoning:
        step["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        step["tool_calls"] = [
            {
                "tool_call_id": call.id,
                "function_name": call.name,
                "arguments": arguments_value(call.arguments),
            }
            for call in answer.tool_calls
        ]
        step["observation"] = {"results": [_result(result) for result in round_.results]}
    if metrics := dict(_metrics(answer)):
        step["metrics"] = metrics
    if answer.flawed:
        step["extra"] = {"flawed": answer.flawed}
    return step


def _metrics(answer: AssistantMessage) -> Iterator[tuple[str, Any]]:
    usage, tokens = answer.usage, answer.tokens or AnswerTokens()
    extra: dict[str, Any] = {}
    if usage is not None:
        yield "prompt_tokens", usage.prompt_tokens
        yield "completion_tokens", usage.completion_tokens
        yield "cached_tokens", usage.cached_tokens
        extra["reasoning_tokens"] = usage.reasoning_tokens
        if usage.cost is not None:
            yield "cost_usd", usage.cost
    if tokens.prompt:
        yield "prompt_token_ids", tokens.prompt
    if tokens.answer:
        yield "completion_token_ids", tokens.answer
    if tokens.logprobs:
        yield "logprobs", tokens.logprobs
    if answer.seconds:
        extra["seconds"] = answer.seconds
    if answer.finish_reason:
        extra["finish_reason"] = answer.finish_reason
    if extra:
        yield "extra", extra


def _result(result: ToolResult) -> dict[str, Any]:
    extra: dict[str, Any] = {"status": result.status, "seconds": result.seconds}
    if result.approval:
        extra["approval"] = result.approval
    return {"source_call_id": result.call_id, "content": result.content, "extra": extra}


def _compaction(record: CompactionRecord, places: dict[int, list[int]]) -> Step:
    """`places` has the steps of each entry so far."""
    hidden = [step for number, at in places.items() if record.start <= number < record.end for step in at]
    facts: dict[str, Any] = {"before_tokens": record.before, "after_tokens": record.after}
    if hidden:
        facts |= {"first_step": min(hidden), "last_step": max(hidden)}
    step: Step = {"source": "user", "message": record.text, "is_copied_context": True}
    if record.ts:
        step["timestamp"] = record.ts
    return {**step, "extra": {"flags": ["injected"], "compaction": facts}}


def _message(message: UserMessage) -> str | list[dict[str, Any]]:
    """Text as it is. Images become parts; of any other part its type is left, in brackets."""
    if isinstance(message.content, str):
        return message.content
    return [_part(part) for part in message.content] or ""


def _part(part: ContentPart) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"type": "text", "text": str(part.get("text", ""))}
    url = part.get("image_url")
    where = str(url.get("url", "") if isinstance(url, dict) else url or "")
    if part.get("type") != "image_url" or not where:
        return {"type": "text", "text": f"[{part.get('type', 'part')}]"}
    return {"type": "image", "source": {"media_type": _media_type(where), "path": where}}


def _media_type(url: str) -> str:
    """From a data URL or the name; readers know these four types alone, and PNG is the guess for the rest."""
    if url.startswith("data:"):
        guessed: str | None = url[5:].split(";")[0].split(",")[0]
    else:
        guessed = mimetypes.guess_type(url.split("?")[0])[0]
    return guessed if guessed in _IMAGES else "image/png"
