"""What was said stands in the scrollback once, whatever happens to the window."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.repl.terminal import Terminal

Start = Callable[..., Terminal]


def test_markdown_is_rendered_block_by_block_and_each_text_stands_once(repl: Terminal) -> None:
    repl.enter("markdown")
    repl.wait_for("The last paragraph.")
    text = repl.ready().transcript()
    for once in ("Heading one", "bold words", "item alpha", "still beta", "second", "bee", "unique_function"):
        assert text.count(once) == 1, text
    for mark in ("**", "```", "# Heading", "|---"):
        assert mark not in text


def test_every_word_of_a_streamed_answer_stands_once_and_in_order(repl: Terminal) -> None:
    repl.enter("words 2")
    repl.wait_for("w0099")
    text = repl.ready().transcript()
    assert re.findall(r"w\d{4}", text) == [f"w{number:04d}" for number in range(100)]


def test_a_storm_of_resizes_leaves_each_text_once(start: Start) -> None:
    terminal = start(columns=100, rows=30).ready()
    terminal.enter("words 3")
    chance = random.Random(7)
    for _ in range(20):
        terminal.read(0.12)
        terminal.resize(chance.randrange(60, 140), chance.randrange(12, 40))
    terminal.resize(100, 30)
    terminal.wait_for("w0149")
    text = terminal.ready().transcript()
    # What was on its way while the window shrank is broken by the terminal, perhaps within a word.
    words = re.findall(r"w\d{4}", text.replace("\n", ""))
    assert sorted(set(words)) == sorted(words), text
    assert len(words) == 150
    assert text.count("❯ words 3") == 1


def test_the_live_region_is_at_most_four_lines(start: Start) -> None:
    terminal = start(columns=40).ready()
    terminal.enter("say " + "x" * 10)
    terminal.wait_for("You said: xxxxxxxxxx")
    terminal.enter("words 2")
    deepest = 0
    for _ in range(40):
        terminal.read(0.05)
        numbers = [
            [int(word[1:]) for word in re.findall(r"w\d{4}", line)] for line in terminal.screen().splitlines()
        ]
        newest = max((max(line) for line in numbers if line), default=0)
        unfinished = [line for line in numbers if line and line[0] >= newest - newest % 25]
        if newest % 25 != 24:
            deepest = max(deepest, len(unfinished))
    assert 1 <= deepest <= 4


def test_a_tool_is_one_line_while_running_and_one_when_done(repl: Terminal) -> None:
    repl.enter("tool")
    running = repl.wait_for("│ line of output")
    assert re.search(r"terminal  make all\s+\d s", running)
    text = repl.wait_for("+new line")
    assert "✗ terminal  make all  1.5 s  exit 3" in text
    assert "✓ patch  x  0.1 s" in text
    assert "line of output" not in repl.ready().transcript()


def test_diffs_are_coloured(repl: Terminal) -> None:
    repl.enter("tool")
    repl.wait_for("+new line")
    assert b"\x1b[32m+new line" in repl.raw
    assert b"\x1b[31m-old line" in repl.raw


def test_reasoning_is_folded_to_a_line_and_unfolds_with_a_key(repl: Terminal) -> None:
    repl.enter("think")
    repl.wait_for("a secret thought")
    repl.wait_for("Out loud.")
    text = repl.ready().transcript()
    assert "thought for 1 s" in text
    assert "a secret thought" not in text
    repl.send("\x14")
    repl.wait_for("a secret thought")
    repl.enter("think")
    repl.wait_for(lambda text: text.count("Out loud.") == 2)
    assert repl.ready().transcript().count("a secret thought") == 2


def test_a_retry_counts_down_with_its_cause_and_broken_text_is_closed(repl: Terminal) -> None:
    repl.enter("retry")
    repl.wait_for("retrying in 3 s (1 of 6): rate limited (429)")
    repl.wait_for("retrying in 1 s")
    text = repl.wait_for("The whole answer.")
    assert "half an answ" in text
    assert "broken off, trying again: the connection was reset" in text


def test_hostile_sequences_of_tools_and_models_never_reach_the_terminal(repl: Terminal) -> None:
    before = len(repl.raw)
    repl.enter("hostile")
    text = repl.wait_for("end")
    repl.ready()
    came = repl.raw[before:]
    for hostile in (b"\x1b[2J", b"\x1b]", b"\x1b[?1049h", "\u202e".encode()):
        assert hostile not in came
    assert "␛[2J" in text
    assert "<U+202E>" in text


def test_kawaii_can_be_turned_off(start: Start) -> None:
    terminal = start(environ={"SCRIPTED_PLAIN": "1"}).ready()
    terminal.enter("tool")
    assert "✻ terminal  make all" in terminal.wait_for("│ line of output")
    terminal.ready()
    terminal.enter("think")
    terminal.wait_for("✻ thinking")


def test_that_a_place_was_made_anew_stands_under_the_call_and_no_other_note(repl: Terminal) -> None:
    repl.enter("anew")
    repl.wait_for(lambda text: text.count("✓ terminal  ls  1.5 s") == 2)
    lines = repl.ready().transcript().splitlines()
    at = next(number for number, line in enumerate(lines) if "✓ terminal" in line)
    assert lines[at + 1].strip() == "docker: started anew (it was removed)␛[2J; files are gone"
    assert "remember the milk" not in repl.transcript()
