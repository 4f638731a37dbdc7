"""What a person reads of a call: its line, and below it why it failed or was denied."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prompt_toolkit.utils import get_cwidth

from agent.toolbox import preview
from conversation.event import ToolFinished
from conversation.message import ResultStatus, ToolCall
from repl.ink import Ink
from repl.tool_line import MOST_REASON, reason_text, result_line

FIX = "unless a person adds 127.0.0.1:18780 to web.allowed_hosts"


def ended(status: ResultStatus, **values: Any) -> ToolFinished:
    return ToolFinished("call", "web_extract", status, json.dumps(values), 0.6)


@pytest.mark.parametrize(
    "event",
    [
        ended("error", error=f"http://127.0.0.1:18780/: the address is private, {FIX}"),
        ended("error", error="none of the pages could be read", pages=[{"url": "u", "error": FIX}]),
        ended("error", error=f"it took too long, {FIX}", exit_code=124),
        ended("denied", error=f"denied: {FIX}"),
    ],
)
def test_why_a_call_failed_or_was_denied_stands_below_its_line_where_the_line_has_no_room(
    event: ToolFinished,
) -> None:
    assert FIX not in result_line(event, "http://127.0.0.1:18780/", Ink(False), 80)
    assert FIX in " ".join(reason_text(event, 80).split())


def test_what_fits_on_the_line_and_what_the_person_refused_themselves_is_not_said_again() -> None:
    short = ended("error", error="no such file")
    assert "no such file" in result_line(short, "a.txt", Ink(False), 80)
    for event in (short, ended("denied", error="denied: the person said no"), ended("ok", error="x" * 200)):
        assert reason_text(event, 80) == ""


@pytest.mark.parametrize("columns", [24, 80])
def test_a_reason_is_bounded_and_cannot_move_the_cursor(columns: int) -> None:
    told = reason_text(ended("denied", error="denied: \x1b[2J漢字\r\n" + "words " * 2_000), columns)
    rows = told.split("\n")
    assert len(rows) == MOST_REASON and told.endswith("…")
    assert all(get_cwidth(row) < columns for row in rows)
    assert "\x1b" not in told and "\r" not in told


def test_a_call_without_arguments_leaves_no_hole() -> None:
    event = ToolFinished("call", "browser_back", "ok", "{}", 0.6)
    assert result_line(event, "", Ink(False), 80) == "  ✓ browser_back  0.6 s"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"urls": ["https://a.example/", "https://b.example/"], "query": "ferns"}, "https://a.example/"),
        ({"items": [], "name": "x"}, "x"),
        ({"items": [{"a": 1}]}, '{"items": [{"a": 1}]}'),
        ({}, ""),
    ],
)
def test_a_call_is_known_by_its_first_text_also_in_a_list(arguments: dict[str, Any], shown: str) -> None:
    assert preview(ToolCall("call", "tool", json.dumps(arguments))) == shown
