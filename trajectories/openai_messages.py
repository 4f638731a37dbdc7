"""The OpenAI row: a session as `messages` and `tools`, as chat templates and evaluation harnesses read it."""

from __future__ import annotations

from typing import Any

from conversation.message import AssistantMessage, ToolResult, UserMessage
from trajectories.exported_entries import exported_entries
from trajectories.prepared import Prepared
from trajectories.row_facts import FACT_COLUMNS, row_facts, usage_dict
from trajectories.session_load import Session

OPENAI_COLUMNS: dict[str, Any] = {
    "messages": [
        {
            "role": "text",
            "content": "text",
            "reasoning_content": "text",
            "tool_calls": [{"id": "text", "type": "text", "function": {"name": "text", "arguments": "text"}}],
            "tool_call_id": "text",
            "name": "text",
            "usage": FACT_COLUMNS["usage"],
        }
    ],
    "tools": "text",
    "id": "text",
    "timestamp": "text",
    "model": "text",
    "completed": "bool",
    **FACT_COLUMNS,
}


def openai_row(source: Session | Prepared) -> dict[str, Any]:
    """All exported entries, also those after the last answer. `arguments` are JSON text."""
    prepared = Prepared.of(source)
    session = prepared.session
    messages = openai_messages(prepared)
    answers = (index for index, message in enumerate(messages) if message["role"] == "assistant")
    facts = row_facts(prepared, exported_entries(prepared), answers, "message")
    return {
        "messages": messages,
        "tools": session.tools,
        "id": session.path.stem,
        "timestamp": session.header.started or session.ended,
        "model": session.model,
        "completed": facts["outcome"] == "done",
        **facts,
    }


def openai_messages(source: Session | Prepared) -> list[dict[str, Any]]:
    """System, user, assistant (reasoning in `reasoning_content`, `usage` where known) and tool messages."""
    prepared = Prepared.of(source)
    messages = system_message(prepared)
    for each in exported_entries(prepared).entries:
        if isinstance(each.entry, UserMessage):
            messages.append({"role": "user", "content": each.entry.content})
            continue
        answer = assistant_message(each.entry.assistant)
        if each.entry.assistant.usage is not None:
            answer["usage"] = usage_dict(each.entry.assistant.usage)
        messages.append(answer)
        messages += [tool_message(result) for result in each.entry.results]
    return messages


def system_message(prepared: Prepared) -> list[dict[str, Any]]:
    """The session's own system text, where it has any."""
    system = prepared.session.history.system
    return [{"role": "system", "content": system}] if system else []


def assistant_message(message: AssistantMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": "assistant", "content": message.content}
    if message.reasoning:
        wire["reasoning_content"] = message.reasoning
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return wire


def tool_message(result: ToolResult) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": result.call_id, "name": result.name, "content": result.content}
