"""The live lines are bounded after wrapping, in cells."""

from __future__ import annotations

import pytest
from prompt_toolkit.utils import get_cwidth

from repl.kawaii import Kawaii
from repl.live import Live, fit, tail_lines


@pytest.mark.parametrize("text", ["short", "x" * 100, "漢字" * 40, "a\n" * 30, "漢" * 3 + "\n\n" + "y" * 35])
@pytest.mark.parametrize("columns", [1, 2, 10, 33])
def test_the_tail_keeps_within_lines_and_columns(text: str, columns: int) -> None:
    lines = tail_lines(text, columns, 3)
    assert len(lines) <= 3
    assert all(get_cwidth(line) <= max(2, columns) for line in lines)


def test_the_tail_is_the_end_of_the_text() -> None:
    assert tail_lines("one\ntwo\nthree\nfour\n", 20, 2) == ["three", "four"]
    assert tail_lines("abcdefghij", 4, 2) == ["efgh", "ij"]
    assert tail_lines("some words here", 11, 2) == ["some words", "here"]


def test_fit_cuts_to_cells_and_says_so() -> None:
    assert fit("hello", 5) == "hello"
    assert fit("hello!", 5) == "hell…"
    assert fit("漢字漢字", 5) == "漢字…"


@pytest.mark.parametrize("kawaii", [True, False])
def test_many_tools_and_a_queue_stay_within_the_lines(kawaii: bool) -> None:
    from repl.live import RunningTool

    live = Live(Kawaii(kawaii))
    live.begin()
    live.queued = ["first\nsecond", "another"]
    for number in range(9):
        live.tools[str(number)] = RunningTool("terminal", "漢字" * 50)
    lines = live.lines(60, 4)
    assert len(lines) == 4
    assert all(sum(get_cwidth(text) for _, text in line) <= 60 for line in lines)
    assert "and 7 more" in lines[2][0][1]
    assert "queued: first second (and 1 more)" in lines[3][0][1]


def test_what_each_running_call_told_last_is_shown_when_several_run() -> None:
    from repl.live import RunningTool

    live = Live(Kawaii(False))
    live.begin()
    for number in range(1, 4):
        live.tools[str(number)] = RunningTool("delegate_task", f"part {number}")
        live.tools[str(number)].last_line = f"terminal: sleep {number}"
        lines = ["".join(text for _, text in line) for line in live.lines(60, 4)]
        assert len(lines) <= 4
        assert all(get_cwidth(line) <= 60 for line in lines)
        for each in range(1, number + 1):
            assert sum(f"part {each}" in line for line in lines) == 1
            assert sum(f"│ terminal: sleep {each}" in line for line in lines) == 1
