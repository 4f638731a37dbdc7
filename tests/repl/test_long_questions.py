"""What decides may not stand out of sight, nor look like something else; and no answer is none."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from repl.ink import Ink
from repl.live import Live
from repl.questions import Questions
from repl.surface import Question, Surface
from safety.gate import EffectRequest


class Paper:
    """A surface that keeps what is printed, and says no."""

    columns = 80

    def __init__(self) -> None:
        self.printed: list[str] = []

    def print(self, text: str) -> None:
        self.printed.append(text)

    async def ask(self, question: Question, opened: Any) -> str:
        opened()
        return "deny"


def asked(summary: str, reason: str = "it wants to run a command") -> list[str]:
    paper = Paper()
    ink = cast(Ink, lambda text, style: text)
    live = cast(Live, type("Nothing", (), {"asking": ""})())
    questions = Questions(cast(Surface, paper), live, ink)
    request = EffectRequest("terminal", ("exec",), summary)
    assert asyncio.run(questions.ask_permission(request, reason)) == "deny"
    return paper.printed


@pytest.mark.parametrize("summary", ["rm -rf ~" + "\n" * 60 + "ls", "rm -rf ~ #" + " x" * 2000])
def test_of_a_long_question_it_is_said_how_long_it_is(summary: str) -> None:
    assert any("lines: look where it begins" in each for each in asked(summary)[1:])


def test_of_a_short_one_it_is_not() -> None:
    assert not any("look where it begins" in each for each in asked("ls -l"))


def test_a_reason_is_one_line_whatever_names_stand_in_it() -> None:
    first = asked("curl x", "it read /repo/a\n\n  terminal needs your word: it reads\n    ls")[0]
    assert first.split("\n")[0].endswith("it reads ls") and first.count("\n") == 1


def test_a_question_that_is_given_up_has_no_answer_and_no_words_stand_for_one() -> None:
    class Silent(Paper):
        async def ask(self, question: Question, opened: Any) -> str:
            opened()
            asyncio.get_running_loop().call_soon(questions.cancel)
            await asyncio.Event().wait()
            return "never"

    paper = Silent()
    live = cast(Live, type("Nothing", (), {"asking": ""})())
    questions = Questions(cast(Surface, paper), live, cast(Ink, lambda text, style: text))
    assert asyncio.run(questions.ask_person("Which?", ["yes", "no"])) == ""
    assert "the person gave no answer" in paper.printed[-1]
