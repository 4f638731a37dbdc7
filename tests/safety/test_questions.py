"""One question at a time, and how long people take."""

from __future__ import annotations

import asyncio

import pytest

from safety.gate import EffectRequest, Gate, PermissionAnswer
from safety.questions import Questions


def test_questions_wait_for_each_other_and_their_time_is_known() -> None:
    async def asked() -> tuple[list[str], Questions]:
        questions, heard = Questions(), list[str]()

        async def ask(name: str) -> None:
            async with questions.one():
                heard.append(f"<{name}")
                await asyncio.sleep(0.1)
                heard.append(f"{name}>")

        asking = [asyncio.create_task(ask(name)) for name in "abc"]
        await asyncio.sleep(0.05)
        assert questions.open == 3
        assert questions.seconds > 0
        await questions.answered()
        assert all(each.done() for each in asking)
        return heard, questions

    heard, questions = asyncio.run(asked())
    assert "".join(heard) == "<aa><bb><cc>"
    assert questions.open == 0
    assert 0.3 <= questions.seconds == questions.seconds < 2


def test_a_question_that_is_cancelled_leaves_the_way_free() -> None:
    async def cancelled() -> None:
        questions = Questions()
        async with questions.one():
            waiting = asyncio.create_task(_enter(questions))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await questions.answered()
        await _enter(questions)

    asyncio.run(cancelled())


def test_they_work_in_one_event_loop_after_another() -> None:
    questions = Questions()

    async def two() -> None:
        await asyncio.gather(_enter(questions), _enter(questions), questions.answered())

    asyncio.run(two())
    asyncio.run(two())


async def _enter(questions: Questions) -> None:
    async with questions.one():
        await asyncio.sleep(0.01)


def test_an_answer_for_the_session_answers_what_was_waiting() -> None:
    asked: list[str] = []

    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        asked.append(request.summary)
        await asyncio.sleep(0.05)
        return "session"

    async def both() -> list[str]:
        gate = Gate("ask", workspace="/work", ask=person)
        wanted = [EffectRequest("note", ("write",), name, grant="note") for name in "ab"]
        return [each.approval for each in await asyncio.gather(*map(gate.authorize, wanted))]

    assert asyncio.run(both()) == ["session", "session"]
    assert asked == ["a"]
