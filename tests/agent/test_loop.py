"""The loop: what it does with answers, good and bad."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agent.limits import Limits
from conversation.event import Compacted, ReAsked, RolledBack, Superseded, ToolFinished
from conversation.message import ToolCall, Usage, UserMessage
from conversation.round import Round
from models.chat_model import ModelError, ModelRequest
from tests.agent.bench_tools import Bench, calls, text


def ask(bench: Bench, question: str = "Please.") -> Any:
    return asyncio.run(bench.loop.run(UserMessage(question)))


def assert_paired(bench: Bench) -> None:
    """Every request that went out held exactly one result for each call, and no empty answer."""
    for request in bench.model.requests:
        open_ids: list[str] = []
        for message in request.messages:
            if message["role"] == "tool":
                assert message["tool_call_id"] == open_ids.pop(0)
                continue
            assert not open_ids
            if message["role"] == "assistant":
                assert message["content"] or message.get("tool_calls")
                open_ids = [call["id"] for call in message.get("tool_calls", [])]
        assert not open_ids


def test_an_answer_without_calls_ends_the_turn() -> None:
    bench = Bench([text("Hello.")])
    finished = ask(bench)
    assert (finished.outcome, finished.text, finished.requests) == ("done", "Hello.", 1)


def test_results_go_back_in_the_order_of_the_calls() -> None:
    bench = Bench(
        [calls(("look", {"name": "slow", "wait": 0.05}), ("look", {"name": "quick"})), text("Both seen.")]
    )
    assert ask(bench).outcome == "done"
    assert bench.runtime.stores[list] == ["begin slow", "begin quick", "end quick", "end slow"]
    results = bench.history.rounds[0].results
    assert [json.loads(result.content)["seen"] for result in results] == ["slow", "quick"]
    assert_paired(bench)


def test_calls_run_one_after_the_other_as_soon_as_one_of_them_writes() -> None:
    bench = Bench([calls(("look", {"name": "a", "wait": 0.02}), ("change", {"name": "b"})), text("Done.")])
    ask(bench)
    assert bench.runtime.stores[list] == ["begin a", "end a", "begin b", "end b"]


def test_an_unknown_tool_is_answered_with_the_tools_there_are() -> None:
    bench = Bench([calls(("lok", {"name": "x"})), text("I see.")])
    assert ask(bench).outcome == "done"
    result = bench.history.rounds[0].results[0]
    assert result.status == "error"
    assert "look" in result.content and "change" in result.content
    assert len(bench.of(ReAsked)) == 1
    assert_paired(bench)


@pytest.mark.parametrize("arguments", ['{"name": 5}', "{}", '{"name": "x", "colour": 1}', "[1]", "not json"])
def test_wrong_arguments_go_back_as_the_result_and_the_tool_is_not_run(arguments: str) -> None:
    bench = Bench([calls(("change", arguments)), text("Sorry.")])
    assert ask(bench).outcome == "done"
    assert bench.history.rounds[0].results[0].status == "error"
    assert list not in bench.runtime.stores
    assert_paired(bench)


def test_a_good_call_runs_although_its_sibling_is_broken() -> None:
    bench = Bench([calls(("look", {"name": "a"}), ("nothing", {})), text("Done.")])
    ask(bench)
    assert [result.status for result in bench.history.rounds[0].results] == ["ok", "error"]
    assert bench.of(ReAsked) == []


@pytest.mark.parametrize(
    "bad",
    [calls(("lok", {})), calls(("look", "{{{")), text(""), text("", reasoning="hm"), text("  \n")],
    ids=["unknown tool", "no json", "empty", "think-only", "blank"],
)
def test_unusable_answers_end_partial_after_three_more_questions_and_leave_no_trace(bad: Any) -> None:
    bench = Bench([calls(("look", {"name": "a"})), bad])
    finished = ask(bench)
    assert finished.outcome == "partial"
    assert finished.requests == 5
    assert len(bench.of(ReAsked)) == 3
    assert len(bench.of(RolledBack)) == 1
    assert len(bench.history.entries) == 2
    assert_paired(bench)
    bench.model._steps = [text("Fine now.")]
    assert ask(bench).outcome == "done"
    assert_paired(bench)


def test_the_count_of_unusable_answers_begins_anew_after_a_good_one() -> None:
    good = calls(("look", {"name": "a"}))
    bench = Bench([text(""), text(""), good, text(""), text(""), text(""), text("At last.")])
    assert ask(bench).text == "At last."


def test_a_rollout_is_never_asked_again() -> None:
    bench = Bench([calls(("lok", {})), text("", reasoning="hm")], rollout=True)
    finished = ask(bench)
    assert (finished.outcome, finished.requests) == ("partial", 2)
    assert bench.of(ReAsked) == []
    assert bench.history.rounds[0].results[0].status == "error"


def test_cut_off_text_is_continued_and_joined() -> None:
    bench = Bench([text("One, two, ", finish_reason="length"), text("three.")])
    finished = ask(bench)
    assert (finished.outcome, finished.text) == ("done", "One, two, three.")


def test_a_call_that_was_cut_off_is_not_executed() -> None:
    bench = Bench([calls(("change", '{"name": "half'), finish_reason="length"), text("Shorter.")])
    ask(bench)
    assert list not in bench.runtime.stores
    assert "cut off" in bench.history.rounds[0].results[0].content


def test_a_tool_that_breaks_is_an_error_result_and_not_the_end() -> None:
    bench = Bench([calls(("explode", {})), text("It broke.")])
    assert ask(bench).outcome == "done"
    assert "boom" in bench.history.rounds[0].results[0].content


def test_what_the_gate_denies_is_told_to_the_model() -> None:
    bench = Bench([calls(("change", {"name": "x"})), text("Not allowed.")], mode="deny")
    ask(bench)
    result = bench.history.rounds[0].results[0]
    assert result.status == "denied" and "policy is deny" in result.content


def test_ids_are_unique_over_the_conversation() -> None:
    bench = Bench([calls(("look", {"name": "a"})), calls(("look", {"name": "b"})), text("Done.")])
    ask(bench)
    ids = [call.id for each in bench.history.rounds for call in each.assistant.tool_calls]
    assert len(set(ids)) == len(ids) == 2


def test_at_the_turn_limit_one_last_answer_is_asked_for_without_tools() -> None:
    def answer(request: ModelRequest) -> Any:
        return (
            text("So far so good.")
            if request.tool_choice == "none"
            else calls(("look", {"name": str(len(request.messages))}))
        )

    bench = Bench([answer], limits=Limits(max_turns=3))
    finished = ask(bench)
    assert (finished.outcome, finished.text, finished.requests) == ("limit", "So far so good.", 4)
    assert bench.model.requests[-1].tools == bench.model.requests[0].tools
    assert "3 turns" in finished.reason


def test_a_call_repeated_with_the_same_result_is_told_once_and_then_stopped() -> None:
    bench = Bench([calls(("look", {"name": "a"}))], limits=Limits(max_repeats=4))
    finished = ask(bench)
    assert (finished.outcome, finished.requests) == ("limit", 5)
    notices = [
        entry
        for entry in bench.history.entries
        if isinstance(entry, UserMessage) and entry.origin == "notice"
    ]
    assert len(notices) == 1 and "4 times" in notices[0].text


def test_a_cost_limit_stops_before_the_next_request() -> None:
    step = calls(("look", {"name": "a"}))
    bench = Bench([_with_usage(step, 1000, 0.6)], limits=Limits(max_cost=1.0))
    finished = ask(bench)
    assert (finished.outcome, finished.requests) == ("limit", 2)
    assert "cost limit" in finished.reason


def test_an_unknown_price_is_not_taken_for_nothing() -> None:
    bench = Bench([_with_usage(calls(("look", {"name": "a"})), 1000, None)], limits=Limits(max_cost=1.0))
    finished = ask(bench)
    assert (finished.outcome, finished.requests) == ("limit", 1)
    assert "unknown" in finished.reason and "price_prompt" in finished.hint


def test_a_token_limit_stops_before_the_next_request() -> None:
    bench = Bench([_with_usage(calls(("look", {"name": "a"})), 600, 0.0)], limits=Limits(max_tokens=1000))
    assert ask(bench).requests == 2


def test_a_failure_that_may_pass_is_told_apart_from_one_that_will_not() -> None:
    away = Bench([ModelError("connection", "no answer", hint="start it")])
    finished = ask(away)
    assert (finished.outcome, finished.reason, finished.hint) == ("unavailable", "no answer", "start it")
    assert ask(Bench([ModelError("auth", "wrong key")])).outcome == "failed"


def test_interrupting_a_tool_keeps_the_round_whole_and_the_conversation_goes_on() -> None:
    bench = Bench(
        [calls(("change", {"name": "a", "wait": 30}), ("change", {"name": "b"})), text("On we go.")]
    )

    async def scene() -> Any:
        turn = asyncio.create_task(bench.loop.run(UserMessage("Please.")))
        while list not in bench.runtime.stores:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        turn.cancel()
        return await turn

    assert asyncio.run(scene()).outcome == "interrupted"
    results = bench.history.rounds[0].results
    assert [result.status for result in results] == ["interrupted", "interrupted"]
    assert "changing a" in results[0].content and "not started" in results[1].content
    assert [event.status for event in bench.of(ToolFinished)] == ["interrupted", "interrupted"]
    assert 0.2 <= results[0].seconds < 10 and results[1].seconds == 0
    assert ask(bench, "And now?").outcome == "done"
    assert_paired(bench)


def test_interrupting_an_answer_keeps_what_was_said() -> None:
    bench = Bench([text("unused")])
    bench.model.stream = _endless  # type: ignore[method-assign]

    async def scene() -> Any:
        turn = asyncio.create_task(bench.loop.run(UserMessage("Talk.")))
        await asyncio.sleep(0.05)
        turn.cancel()
        return await turn

    finished = asyncio.run(scene())
    assert finished.outcome == "interrupted" and finished.text.startswith("la la")
    last = bench.history.entries[-1]
    assert isinstance(last, Round) and last.assistant.interrupted


def test_a_full_window_is_summarised_in_the_middle_and_said_so() -> None:
    def answer(request: ModelRequest) -> Any:
        if request.tool_choice == "none":
            return text("They talked about numbers.")
        return text("word " * 200)

    bench = Bench([answer], context_window=2000, compact_at=0.5)
    for number in range(8):
        ask(bench, f"Question {number}.")
    compacted = bench.of(Compacted)
    assert compacted and all(event.after < event.before for event in compacted)
    sent = bench.model.requests[-1].messages
    assert any("They talked about numbers" in str(message["content"]) for message in sent)
    assert sent[1]["content"] == "Question 0."
    assert len(bench.history.entries) == 16


def test_a_context_error_compacts_once_and_sends_the_shorter_request() -> None:
    sizes: list[int] = []

    def answer(request: ModelRequest) -> Any:
        if request.tool_choice == "none":
            return text("Summary.")
        sizes.append(len(request.messages))
        if len(sizes) == 7:
            return ModelError("context", "too long")
        return text("word " * 50)

    bench = Bench([answer])
    for number in range(7):
        finished = ask(bench, f"Question {number}.")
    assert finished.outcome == "done"
    assert sizes[7] < sizes[6]
    assert len(bench.of(Compacted)) == 1


def test_a_context_error_with_nothing_to_summarise_fails_after_one_request() -> None:
    bench = Bench([ModelError("context", "too long")])
    finished = ask(bench)
    assert (finished.outcome, finished.requests) == ("failed", 1)


def test_text_that_broke_off_for_good_is_superseded() -> None:
    bench = Bench([text("unused")])
    bench.model.stream = _breaking  # type: ignore[method-assign]
    finished = ask(bench)
    assert finished.outcome == "unavailable"
    assert bench.of(Superseded)[0].text == "half a"


def test_the_prefix_of_every_request_stands_in_the_next_one() -> None:
    steps = [calls(("look", {"name": str(n)})) for n in range(6)]
    bench = Bench([*steps, text("Done.")])
    ask(bench)
    ask(bench, "Again.")
    for before, after in zip(bench.model.requests, bench.model.requests[1:], strict=False):
        assert json.dumps(list(after.messages)).startswith(json.dumps(list(before.messages))[:-1])
        assert after.tools == before.tools


async def _endless(request: ModelRequest) -> Any:
    from conversation.event import TextDelta

    while True:
        yield TextDelta("la ")
        await asyncio.sleep(0.005)


async def _breaking(request: ModelRequest) -> Any:
    from conversation.event import TextDelta

    yield TextDelta("half a")
    raise ModelError("stall", "silence")


def _with_usage(step: Any, tokens: int, cost: float | None) -> Any:
    """A fresh call each time, so that only the limit under test can stop it."""
    counter = iter(range(1000))

    def answer(request: ModelRequest) -> Any:
        import msgspec

        call = ToolCall("c", "look", json.dumps({"name": str(next(counter))}))
        usage = Usage(prompt_tokens=tokens, cost=cost)
        return msgspec.structs.replace(step, tool_calls=(call,), usage=usage)

    return answer


def test_a_fault_of_our_own_ends_the_turn_and_not_the_conversation() -> None:
    def break_down(request: ModelRequest) -> Any:
        raise RuntimeError("a bug\nwith two lines")

    bench = Bench([calls(("look", {"name": "a"})), break_down, text("Well again.")])
    finished = ask(bench)
    assert finished.outcome == "failed"
    assert finished.reason == "internal error: RuntimeError: a bug" and "--debug" in finished.hint
    assert ask(bench, "Again.").text == "Well again."


def test_an_answer_without_a_count_of_tokens_has_no_known_cost() -> None:
    bench = Bench(
        [calls(("look", {"name": "a"})), text("Never asked for.")],
        limits=Limits(max_cost=1.0), prices=(1.0, 1.0),
    )  # fmt: skip
    finished = ask(bench)
    assert finished.outcome == "limit" and "unknown" in finished.reason
    assert finished.requests == 1
