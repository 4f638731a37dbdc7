"""Who writes the summaries: what a model is asked, what its failures mean, and what it costs."""

from __future__ import annotations

import asyncio

import pytest

from conversation.message import AssistantMessage, Usage
from corpus.compress_summary import ModelSummariser, Said, SummariserUnusable, Summary, SummaryFailed
from models.chat_model import ModelError, ModelRequest
from models.scripted import ScriptedModel, ScriptedStep

SAID = [Said("gpt", "I looked at a file. " * 50), Said("tool", "x" * 40_000), Said("human", "And now?")]


def summarise(*steps: ScriptedStep, window: int | None = None, patience: int = 16) -> Summary:
    model = ScriptedModel(steps, context_window=window, prices=(1.0, 10.0))
    return asyncio.run(ModelSummariser(model, patience=patience).summarise(SAID, 200))


def asked(model: ScriptedModel) -> list[int]:
    """The length of the material in each request."""
    return [len(str(request.messages[1]["content"])) for request in model.requests]


def test_the_model_is_told_how_long_the_summary_may_be_and_offered_no_tools() -> None:
    model = ScriptedModel([AssistantMessage("A summary.")])
    asyncio.run(ModelSummariser(model).summarise(SAID, 321))
    (request,) = model.requests
    assert "at most 321 tokens" in request.messages[0]["content"]
    assert list(request.tools) == []


def test_material_is_cut_to_the_window_of_the_model() -> None:
    model = ScriptedModel([AssistantMessage("A summary.")], context_window=4000)
    asyncio.run(ModelSummariser(model).summarise(SAID, 200))
    assert asked(model)[0] < 3 * 4000


def test_a_window_that_was_not_known_is_found_by_halving() -> None:
    def answer(request: ModelRequest) -> AssistantMessage | ModelError:
        too_long = len(str(request.messages[1]["content"])) > 12_000
        return ModelError("context", "too long", status=400) if too_long else AssistantMessage("Short.")

    model = ScriptedModel([answer])
    assert asyncio.run(ModelSummariser(model).summarise(SAID, 200)).text == "Short."
    assert len(model.requests) == 3
    assert asked(model) == sorted(asked(model), reverse=True)


def test_a_model_that_never_finds_it_short_enough_is_asked_a_bounded_number_of_times() -> None:
    model = ScriptedModel([ModelError("context", "too long", status=400)])
    with pytest.raises(SummaryFailed, match="too long"):
        asyncio.run(ModelSummariser(model).summarise(SAID, 200))
    assert len(model.requests) < 10


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_answer_is_no_summary(text: str) -> None:
    with pytest.raises(SummaryFailed, match="no summary"):
        summarise(AssistantMessage(text, reasoning="hm"))


def test_an_answer_that_was_cut_off_says_so() -> None:
    assert summarise(AssistantMessage("They wen", finish_reason="length")).cut_off
    assert not summarise(AssistantMessage("They went.", finish_reason="stop")).cut_off


def test_cost_is_the_providers_word_or_worked_out_from_the_prices() -> None:
    used = Usage(prompt_tokens=1_000_000, completion_tokens=100_000)
    assert summarise(AssistantMessage("A.", usage=used)).usage.cost == 2.0
    told = Usage(prompt_tokens=1_000_000, completion_tokens=100_000, cost=0.5)
    assert summarise(AssistantMessage("A.", usage=told)).usage.cost == 0.5


@pytest.mark.parametrize("kind", ["auth", "payment", "forbidden", "not_found"])
def test_what_no_row_can_change_ends_the_run(kind: str) -> None:
    error = ModelError(kind, "refused", status=403, hint="Set a key.")  # type: ignore[arg-type]
    with pytest.raises(SummariserUnusable, match=r"refused\. Set a key\."):
        summarise(error)


def test_a_refusal_of_one_request_is_that_rows_alone_and_a_missing_model_name_is_not() -> None:
    with pytest.raises(SummaryFailed):
        summarise(ModelError("bad_request", "content policy", status=400))
    with pytest.raises(SummariserUnusable):
        summarise(ModelError("bad_request", "no model is named"))


def test_outages_in_a_row_end_the_run_and_one_summary_in_between_forgets_them() -> None:
    down = ModelError("connection", "refused")
    model = ScriptedModel([down, down, AssistantMessage("A."), down, down, down])
    summariser = ModelSummariser(model, patience=3)

    async def one() -> str:
        try:
            return (await summariser.summarise(SAID, 200)).text
        except SummaryFailed:
            return "failed"
        except SummariserUnusable as error:
            return str(error)

    assert [asyncio.run(one()) for _ in range(5)] == ["failed", "failed", "A.", "failed", "failed"]
    assert "3 requests failed in a row" in asyncio.run(one())


def test_half_a_surrogate_in_a_summary_does_no_harm() -> None:
    assert summarise(AssistantMessage("a \ud800 b")).text == "a ? b"
