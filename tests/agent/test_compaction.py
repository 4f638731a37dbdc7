"""Making room in the window: what is summarised, what stays, and how often."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.compaction import choose_span, estimate_tokens, summarise
from conversation.event import Compacted
from conversation.history import History, Summary
from conversation.message import PICTURE_TOKENS, Usage, UserMessage
from conversation.round import Round
from models.chat_model import ModelError, ModelRequest
from models.scripted import ScriptedModel
from tests.agent.bench_tools import Bench, calls, text


def ask(bench: Bench, question: str = "Please.") -> Any:
    return asyncio.run(bench.loop.run(UserMessage(question)))


def long_history(rounds: int) -> History:
    history = History("You are a test.")
    history.add(UserMessage("Count."))
    for number in range(rounds):
        history.add(Round(text(f"answer {number} " + "word " * 80)))
    return history


def test_one_long_turn_is_summarised_as_often_as_its_window_fills() -> None:
    made = 0

    def answer(request: ModelRequest) -> Any:
        nonlocal made
        if request.tool_choice == "none":
            return text(f"Summary of {len(request.messages)}.")
        made += 1
        return calls(("look", {"name": "x" * 400 + str(made)})) if made <= 60 else text("Done.")

    bench = Bench([answer], context_window=3000, compact_at=0.6)
    finished = ask(bench)
    assert (finished.outcome, finished.requests) == ("done", 61)
    assert len(bench.of(Compacted)) >= 3
    assert all(event.after < event.before for event in bench.of(Compacted))


def test_what_is_too_large_to_be_summarised_costs_no_summary_for_each_round() -> None:
    made = 0

    def answer(request: ModelRequest) -> Any:
        nonlocal made
        if request.tool_choice == "none":
            return text("Summary.")
        made += 1
        return calls(("look", {"name": str(made)})) if made <= 20 else text("Done.")

    bench = Bench([answer], context_window=2000, compact_at=0.5)
    finished = ask(bench, "word " * 1200)
    assert finished.outcome == "done"
    assert len(bench.of(Compacted)) <= 4


def test_a_server_that_finds_every_request_too_long_is_asked_twice() -> None:
    def answer(request: ModelRequest) -> Any:
        if request.tool_choice == "none":
            return text("Summary.")
        return ModelError("context", "too long") if len(sent) else text("fine " * 50)

    sent: list[int] = []
    bench = Bench([answer])
    for number in range(5):
        ask(bench, f"Question {number}.")
    sent.append(1)
    finished = ask(bench)
    assert (finished.outcome, finished.requests) == ("failed", 2)


def test_the_first_exchange_and_the_newest_rounds_stay() -> None:
    span = choose_span(long_history(10), room_tokens=250)
    assert span is not None
    assert (span.start, span.end) == (2, 9)


def test_the_last_round_stays_however_large_it_is() -> None:
    history = long_history(3)
    history.add(Round(text("huge " * 5000)))
    span = choose_span(history, room_tokens=10)
    assert span is not None and span.end == 4


def test_a_second_summary_takes_the_first_one_in() -> None:
    history = long_history(10)
    history.compact(Summary(2, 5, "what the first summary said"))
    span = choose_span(history, room_tokens=250)
    assert span is not None and (span.start, span.end) == (2, 9)
    model = ScriptedModel([text("both")])
    summary, _, problem = asyncio.run(summarise(history, span, model, 10_000, ()))
    asked = str(model.requests[0].messages[1]["content"])
    assert "what the first summary said" in asked
    assert "answer 2 " not in asked and "answer 4 " in asked
    assert (summary.start, summary.end, problem) == (2, 9, "")


def test_where_no_model_can_summarise_a_list_of_what_happened_stands_there() -> None:
    history = long_history(4)
    model = ScriptedModel([ModelError("server", "down")])
    span = choose_span(history, room_tokens=10)
    assert span is not None
    summary, usage, problem = asyncio.run(summarise(history, span, model, 10_000, ()))
    assert problem == "down" and usage == Usage()
    assert "- assistant: answer 1 word" in summary.text


def test_what_a_summary_costs_counts_for_the_turn_and_the_conversation() -> None:
    def answer(request: ModelRequest) -> Any:
        if request.tool_choice == "none":
            return text("Summary.", usage=Usage(1000, 10, cost=0.5))
        return text("word " * 200, usage=Usage(100, 1, cost=0.0))

    bench = Bench([answer], context_window=2000, compact_at=0.5)
    while not bench.of(Compacted):
        finished = ask(bench)
        bench.loop.ledger.meter.forget()
    assert finished.usage.cost == 0.5
    assert bench.loop.asking.usage.cost == 0.5


def test_a_picture_counts_for_what_it_shows_and_is_named_in_what_is_summarised() -> None:
    url = {"url": "data:image/png;base64," + "A" * 4_000_000}
    shown = UserMessage([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": url}])
    assert estimate_tokens(shown) == estimate_tokens(UserMessage("look")) + PICTURE_TOKENS
    history = long_history(2)
    history.add(shown)
    history.add(Round(text("A red square.")))
    history.add(Round(text("the newest " + "word " * 80)))
    span = choose_span(history, room_tokens=100)
    assert span is not None and span.start < 3 < span.end
    model = ScriptedModel([text("Summary.")])
    asyncio.run(summarise(history, span, model, 10_000, ()))
    asked = str(model.requests[0].messages[1]["content"])
    assert "USER: look\n[picture: image/png, 3000 KB]" in asked
    assert len(asked) < 10_000
