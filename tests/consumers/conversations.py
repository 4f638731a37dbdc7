"""What a conversation can hold that some reader gets wrong, as sessions written by the real writer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from conversation.message import AssistantMessage, ToolCall, ToolResult, Usage, UserMessage
from trajectories.session_file import SessionWriter
from trajectories.session_load import Session, load_session
from trajectories.session_record import CompactionRecord, Header

Arguments = dict[str, Any]


def _tool(name: str, description: str, required: list[str], **properties: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {key: {"type": kind} for key, kind in properties.items()},
                "required": required,
            },
        },
    }


TOOLS = [
    _tool("terminal", "Run a command.", ["command"], command="string", timeout="integer", background="boolean"),
    _tool("write_file", "Write a file.", ["path", "content"], path="string", content="string"),
    _tool("list_processes", "Running processes.", []),
    _tool("search", "Search.", ["query"], query="string", limit="integer", filters="object", tags="array"),
    _tool("set_value", "Set a value.", ["key"], key="string", number="number", flag="boolean"),
]

SYSTEM = "You are a careful terminal agent."
QUESTION = "Where am I and what is here?"


class CallCase(NamedTuple):
    """One answer with calls. `hard` cases are about what stands in the arguments."""

    name: str
    calls: tuple[tuple[str, Arguments], ...]
    text: str = ""
    reasoning: str = ""


_LS = ("terminal", {"command": "ls -la", "timeout": 5})
_CODE = 'def f(x):\n    """It\'s <b>"quoted"</b> & \\n raw."""\n    return {"a": [1, 2], \'b\': f"{x}\\t"}\n'
_MARKUP = (
    "a <tool_call> b </tool_call> c </parameter> d </arg_value> e ]]> f <think> g </think> h "
    "[TOOL_CALLS] i <|python_tag|> j </function> k </invoke> l"
)

CASES = (
    CallCase("single", (("terminal", {"command": "pwd"}),)),
    CallCase("parallel", (("terminal", {"command": "pwd"}), _LS)),
    CallCase("reasoning", (("terminal", {"command": "pwd"}),), reasoning="I should look first."),
    CallCase("text", (("terminal", {"command": "pwd"}),), text="Let me look."),
    CallCase("text and reasoning", (_LS,), text="Let me look.", reasoning="I should look first."),
    CallCase("three parallel", (("terminal", {"command": "pwd"}), ("list_processes", {}), _LS), text="Three."),
    CallCase("no arguments", (("list_processes", {}),)),
    CallCase("quotes", (("terminal", {"command": "echo \"it's\" 'so' `x` \\\\ \\n $'\\t' {a,b} [c]; d"}),)),
    CallCase("unicode", (("write_file", {"path": "日本/ü.txt", "content": "é 🦊 \u202e\u200d عربي \u2028 ｜▁"}),)),
    CallCase("code", (("write_file", {"path": "f.py", "content": _CODE}),)),
    CallCase("blank edges", (("write_file", {"path": " a ", "content": "\n\n  x  \n\n"}),)),
    CallCase(
        "nested",
        (
            (
                "search",
                {
                    "query": "x",
                    "filters": {"a": {"b": [1, {"c": None}], "d": "}"}, "e": [], "f": {}, "g": True},
                    "tags": ["a", "b, c", "]", ""],
                },
            ),
        ),
    ),
    CallCase("numbers", (("set_value", {"key": "n", "number": -0.5, "flag": False}), ("search", {"query": "n", "limit": -3}))),
    CallCase("big numbers", (("search", {"query": "n", "limit": 12345678901234567890}),)),
    CallCase(
        "strings like values",
        (("write_file", {"path": "00123", "content": "true"}), ("terminal", {"command": "null"}), ("terminal", {"command": "[1, 2]"})),
    ),
    CallCase("empty strings", (("write_file", {"path": "", "content": ""}),)),
    CallCase("markup", (("write_file", {"path": "m", "content": _MARKUP}),)),
    CallCase("undeclared", (("no_such_tool", {"a": "b", "n": 1}),)),
)


def case_session(folder: Path, case: CallCase) -> Session:
    """A session of one question, the answer of `case`, its results and a last answer."""
    writer = SessionWriter.create(
        folder, Header(id="", model="test-model", provider="test", system=SYSTEM, tools=TOOLS, toolsets=["default"])
    )
    calls = tuple(
        ToolCall(f"call_{index:05d}", name, json.dumps(arguments, ensure_ascii=False))
        for index, (name, arguments) in enumerate(case.calls)
    )
    field: Any = "reasoning_content" if case.reasoning else ""
    writer.append(UserMessage(QUESTION))
    writer.append(AssistantMessage(case.text, calls, case.reasoning, field, finish_reason="tool_calls"))
    for call in calls:
        writer.append(ToolResult(call.id, call.name, '{"output": "/tmp"}'))
    writer.append(AssistantMessage("You are in /tmp.", finish_reason="stop", usage=Usage(10, 5)))
    writer.end_turn("done", usage=Usage(10, 5), requests=2, seconds=1.0)
    writer.close()
    return load_session(writer.path)
