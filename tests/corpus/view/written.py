"""Rows to look at, and what stands in a written page."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from corpus.view.page import PageResult, ShownFile, write_page

TOOLS = [{"type": "function", "function": {"name": "terminal", "description": "Run a command."}}]


def row(number: int, *, tool: str = "terminal", **fields: Any) -> dict[str, Any]:
    """A ShareGPT row of one call. `number` stands in its question, its command, its result and its answer."""
    call = {"name": tool, "arguments": {"command": f"ls -la folder-{number}", "timeout": 30}}
    result = {"tool_call_id": f"c{number}", "name": tool, "content": {"output": f"a.txt {number}\nb.txt"}}
    asked = f"<think>\nI list it, {number}.\n</think>\nI look.\n<tool_call>\n{json.dumps(call)}\n</tool_call>"
    conversation = [
        ("system", "You can call functions. " * 20),
        ("human", f"What is in folder {number}?"),
        ("gpt", asked),
        ("tool", f"<tool_response>\n{json.dumps(result)}\n</tool_response>"),
        ("gpt", f"<think>\n</think>\nTwo files in folder {number}."),
    ]
    return {
        "conversations": [{"from": role, "value": value} for role, value in conversation],
        "id": f"row-{number}",
        "timestamp": "2026-11-21T07:18:13Z",
        "model": "model-a",
        "outcome": "done",
        "tools": json.dumps(TOOLS),
        "flags": [],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.25},
        "toolsets": ["default"],
        **fields,
    }


def save(path: Path, rows: Iterable[dict[str, Any] | bytes]) -> Path:
    """Rows as JSON lines; bytes stand in the file as they are."""
    lines = (each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in rows)
    path.write_bytes(b"".join(lines))
    return path


def shown(rows: Path, page: Path) -> PageResult:
    return write_page([ShownFile(rows, rows.name)], page)


def unpacked(page: Path, name: str) -> str:
    """What is in the packed element `name` of a page."""
    found = re.search(
        rf'<script type="application/octet-stream" id="{name}">([^<]*)</script>', page.read_text()
    )
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1], validate=True)).decode()


def index(page: Path) -> Any:
    return json.loads(unpacked(page, "index"))


def page_of(folder: Path, *rows: dict[str, Any] | bytes) -> Path:
    """The page of these rows."""
    shown(save(folder / "rows.jsonl", rows), folder / "page.html")
    return folder / "page.html"
