"""Token ids and log-probs: kept where the server gives them, left out where they cannot be right."""

from __future__ import annotations

import math
from typing import Any

import pytest

from conversation.message import AnswerTokens
from tests.models.asking import answer, client
from tests.server.scripted_server import Step, scripted_server


def logprobs(*values: Any) -> dict[str, Any]:
    return {"content": [{"token": "x", "logprob": value, "bytes": None} for value in values]}


def streamed(*choices: dict[str, Any], prompt: Any = None) -> AnswerTokens | None:
    """Of a stream with these choices; `prompt` stands on its first chunk, as vLLM sends it."""
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": "a"}, **each}]} for each in choices]
    if prompt is not None:
        chunks[0]["prompt_token_ids"] = prompt
    with scripted_server(Step(raw=[*chunks, "[DONE]"])) as server:
        return answer(client(server.url)).tokens


def test_ids_and_log_probs_of_a_stream_are_put_together() -> None:
    first = {"token_ids": [7, 8], "logprobs": logprobs(-0.5, -1)}
    second = {"token_ids": [9], "logprobs": logprobs(0.0), "finish_reason": "stop"}
    tokens = streamed(first, {"token_ids": [], "logprobs": None}, second, prompt=[1, 2, 3])
    assert tokens == AnswerTokens([1, 2, 3], [7, 8, 9], [-0.5, -1.0, 0.0])


@pytest.mark.parametrize("place", ["response", "choice"])
def test_a_whole_answer_may_have_the_prompt_in_either_place(place: str) -> None:
    choice: dict[str, Any] = {"message": {"content": "a"}, "finish_reason": "stop", "token_ids": [5]}
    body: dict[str, Any] = {"choices": [choice]}
    (body if place == "response" else choice)["prompt_token_ids"] = [1, 2]
    with scripted_server(Step(raw=[body])) as server:
        assert answer(client(server.url, stream=False)).tokens == AnswerTokens([1, 2], [5])


def test_log_probs_alone_are_kept() -> None:
    assert streamed({"logprobs": logprobs(-0.25), "finish_reason": "stop"}) == AnswerTokens([], [], [-0.25])


@pytest.mark.parametrize(
    "broken",
    [
        "12",
        {"a": 1},
        [1, "2"],
        [1.5],
        [-1],
        [True],
        [None],
        7,
    ],
)
def test_ids_that_are_none_are_passed_over(broken: Any) -> None:
    good = {"token_ids": [4], "logprobs": logprobs(-1), "finish_reason": "stop"}
    assert streamed(good, prompt=broken) == AnswerTokens([], [4], [-1.0])
    assert streamed({"token_ids": broken}, {"token_ids": [4], "finish_reason": "stop"}) is None


@pytest.mark.parametrize(
    "broken", ["x", [1], {"content": 3}, logprobs("a"), logprobs(None), logprobs(10**400)]
)
def test_log_probs_that_are_none_are_passed_over(broken: Any) -> None:
    good = {"token_ids": [4], "logprobs": logprobs(-1), "finish_reason": "stop"}
    assert streamed({"token_ids": [3], "logprobs": broken}, good) == AnswerTokens([], [3, 4])


def test_log_probs_that_do_not_go_with_the_ids_are_left_out() -> None:
    both = {"token_ids": [3, 4], "logprobs": logprobs(-1), "finish_reason": "stop"}
    assert streamed(both) == AnswerTokens([], [3, 4])
    assert streamed({"logprobs": logprobs(-math.pi)}, {"logprobs": logprobs(float("nan"))}) is None


def test_nothing_is_kept_or_asked_for_by_itself() -> None:
    with scripted_server(Step(text="a")) as server:
        assert answer(client(server.url)).tokens is None
        answer(client(server.url, extra_body={"return_token_ids": True, "logprobs": True}))
    plain, asked = (request.body for request in server.requests)
    assert not {"return_token_ids", "logprobs"} & plain.keys()
    assert asked["return_token_ids"] is True
