"""One conversation as a row of every format that hermes exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conversation.message import AssistantMessage, ToolCall, ToolResult, Usage, UserMessage
from trajectories.formats.registry import FORMATS
from trajectories.prepared import Prepared
from trajectories.session_file import SessionWriter
from trajectories.session_load import load_session
from trajectories.session_record import Header

TOOL = {
    "type": "function",
    "function": {
        "name": "terminal",
        "description": "Run.",
        "parameters": {"type": "object", "properties": {}},
    },
}


def write_session(folder: Path, *, prompt: str = "list the files", command: str = "ls") -> Path:
    """Two turns: one with two calls of which the second fails, and one without. Returns its file."""
    header = Header(id="", model="test-model", system="Be kind.", tools=[TOOL], sampling={"temperature": 0.5})
    writer = SessionWriter.create(folder, header)
    calls = tuple(ToolCall(each, "terminal", json.dumps({"command": command})) for each in ("c1", "c2"))
    said = (
        UserMessage(prompt),
        AssistantMessage("I look.", calls, "They want <b>files</b>."),
        ToolResult("c1", "terminal", '{"output": "a.txt"}', "ok", 0.5),
        ToolResult("c2", "terminal", '{"error": "not found"}', "error", 0.5),
        AssistantMessage("There is a.txt."),
    )
    for item in said:
        assert writer.append(item) == ""
    writer.end_turn("done", usage=Usage(100, 20, cost=0.01), requests=2, seconds=1.0)
    for item in (UserMessage("thanks"), AssistantMessage("Welcome.")):
        assert writer.append(item) == ""
    writer.end_turn("done", usage=Usage(150, 5, cost=0.02), requests=1, seconds=1.0)
    writer.close()
    return writer.path


def lines_of_formats(session: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of a file in each format; one line but for `hf`."""
    prepared = Prepared(load_session(session))
    return {name: each.rows(prepared) for name, each in FORMATS.items()}


def write_rows(path: Path, *rows: dict[str, Any] | str | bytes) -> Path:
    """A file of these rows; text and bytes stand as they are."""
    with path.open("wb") as file:
        for row in rows:
            text = row if isinstance(row, str | bytes) else json.dumps(row)
            file.write((text.encode() if isinstance(text, str) else text) + b"\n")
    return path
