"""What the person is told when a request fails, and whether it is tried again."""

from __future__ import annotations

import email.utils
import time
from typing import Any

import msgspec
import pytest

from models.failure import FailureContext, from_error_object, from_status, from_transport, retry_after
from models.providers import Endpoint
from tests.models.asking import QUICK, answer, client, failure
from tests.server.scripted_server import Step, refusal, refused_url, scripted_server

OPENROUTER = FailureContext(
    Endpoint("openrouter", "https://openrouter.ai/api/v1", "sk-or-123456789", "OPENROUTER_API_KEY"), "a/b"
)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "bad_request", False),
        (401, "auth", False),
        (402, "payment", False),
        (403, "forbidden", False),
        (404, "not_found", False),
        (422, "bad_request", False),
        (408, "timeout", True),
        (409, "server", True),
        (429, "rate_limit", True),
        (500, "server", True),
        (502, "server", True),
        (503, "server", True),
        (529, "server", True),
    ],
)
def test_the_status_decides_whether_a_request_is_repeated(status: int, kind: str, retryable: bool) -> None:
    with scripted_server(refusal(status, "the server's own words")) as server:
        error = failure(client(server.url))
    assert (error.kind, error.retryable, error.status) == (kind, retryable, status)
    assert "the server's own words" in str(error)
    assert str(status) in str(error)
    assert "\n" not in str(error)
    assert len(server.requests) == 1


def test_a_refused_key_is_named_by_its_variable_and_never_shown() -> None:
    with scripted_server(refusal(401, "Incorrect API key provided: sk-very-secret")) as server:
        error = failure(client(server.url, key="sk-very-secret"))
    assert "TEST_KEY" in str(error)
    assert "sk-very-secret" not in str(error) + error.hint
    assert "TEST_KEY" in error.hint


def test_a_missing_key_is_asked_for_by_its_variable() -> None:
    with scripted_server(Step(text="a"), api_key="sk-1") as server:
        error = failure(client(server.url))
        assert error.kind == "auth"
        assert "Set TEST_KEY" in error.hint
        assert answer(client(server.url, key="sk-1")).content == "a"


def test_an_unknown_model_is_named_with_the_url() -> None:
    with scripted_server(refusal(404, "The model does not exist", code="model_not_found")) as server:
        error = failure(client(server.url))
    assert "test-model" in error.hint
    assert server.url in error.hint


def test_an_exhausted_quota_is_final_although_its_status_is_429() -> None:
    with scripted_server(
        refusal(429, "You exceeded your current quota", code="insufficient_quota")
    ) as server:
        error = failure(client(server.url))
    assert (error.kind, error.retryable) == ("payment", False)


CONTEXT_BODIES = {
    "openai": (
        400,
        {"error": {"message": "maximum context length is 8192 tokens", "code": "context_length_exceeded"}},
    ),
    "openrouter": (
        400,
        {"error": {"code": 400, "message": "This endpoint's maximum context length is 32768 tokens."}},
    ),
    "vllm": (
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
    ),
    "vllm prompt": (
        400,
        {"message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096."},
    ),
    "llama.cpp": (
        400,
        {
            "error": {
                "type": "exceed_context_size_error",
                "message": "the request exceeds the available context size",
            }
        },
    ),
    "sglang": (
        400,
        {"message": "Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens)."},
    ),
    "ollama": (400, {"error": "prompt too long; exceeded max context length by 12 tokens"}),
    "anthropic": (
        400,
        {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8 maximum"}},
    ),
    "google": (
        400,
        [
            {
                "error": {
                    "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."
                }
            }
        ],
    ),
    "lm studio": (400, {"error": "Trying to keep the first 9 tokens when context the overflows. However"}),
    "too large": (413, {"detail": "Payload Too Large"}),
    "unprocessable": (422, {"detail": [{"msg": "input is too long for requested model"}]}),
}


@pytest.mark.parametrize("server_kind", CONTEXT_BODIES)
def test_a_full_context_is_recognised_on_every_server(server_kind: str) -> None:
    status, body = CONTEXT_BODIES[server_kind]
    with scripted_server(Step(status=status, body=body)) as server:
        assert failure(client(server.url)).kind == "context"


def test_a_full_context_inside_a_stream_is_recognised() -> None:
    error = {"message": "maximum context length is 8192 tokens", "code": "context_length_exceeded"}
    with scripted_server(Step(error=error)) as server:
        assert failure(client(server.url)).kind == "context"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("step", "kind", "word"),
    [
        (Step(html=True), "bad_body", "web page"),
        (Step(empty=True), "bad_body", "empty"),
        (Step(empty_choices=True), "empty", "without choices"),
        (Step(error={"message": "Overloaded", "code": 529}), "server", "Overloaded"),
        (Step(error={"message": "Slow down", "code": 429}), "rate_limit", "Slow down"),
        (Step(error={"message": "Slow down", "code": "rate_limit_exceeded"}), "rate_limit", "Slow down"),
        (Step(error={"message": "No credit", "code": 402}), "payment", "No credit"),
        (Step(error={"message": "Something odd"}), "server", "Something odd"),
    ],
)
def test_a_success_that_is_none_is_told_by_its_body(stream: bool, step: Step, kind: str, word: str) -> None:
    with scripted_server(step) as server:
        error = failure(client(server.url, stream=stream))
    assert error.kind == kind
    assert word in str(error)


def test_a_web_page_points_to_the_base_url() -> None:
    with scripted_server(Step(html=True)) as server:
        error = failure(client(server.url))
    assert error.retryable
    assert "base URL" in error.hint
    with scripted_server(Step(status=404, body="<html><body>nginx</body></html>")) as server:
        assert "web page" in str(failure(client(server.url)))


def test_a_redirect_is_not_followed_but_named() -> None:
    with scripted_server(Step(status=301, headers={"Location": "https://example.org/v1"}, body="")) as server:
        error = failure(client(server.url, key="sk-12345678"))
    assert "https://example.org/v1" in str(error)
    assert not error.retryable


def test_a_refused_connection_names_the_url() -> None:
    url = refused_url()
    error = failure(client(url))
    assert (error.kind, error.retryable) == ("connection", True)
    assert url in str(error)
    assert "refused" in str(error)


def test_an_unknown_host_is_a_connection_failure() -> None:
    assert failure(client("http://no-such-host.invalid/v1")).kind == "connection"


def test_a_server_that_hangs_up_without_a_byte_is_a_connection_failure() -> None:
    with scripted_server(Step(refuse=True)) as server:
        assert failure(client(server.url)).kind == "connection"


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (Step(text="word " * 50, chunk=10, reset_after=900), "connection"),
        (Step(text="word " * 50, chunk=10, truncate_after=5), "connection"),
        (Step(text="word " * 50, chunk=10, stall_after=5), "stall"),
    ],
    ids=["reset", "truncated", "stalled"],
)
def test_a_stream_that_breaks_off_is_told_from_one_that_ends(step: Step, kind: str) -> None:
    with scripted_server(step) as server:
        started = time.monotonic()
        error = failure(client(server.url))
    assert (error.kind, error.retryable) == (kind, True)
    assert time.monotonic() - started < 2


def test_a_stream_without_done_is_whole_if_it_gave_a_finish_reason() -> None:
    raw = [{"choices": [{"delta": {"content": "all"}, "finish_reason": "stop"}]}]
    with scripted_server(Step(raw=raw)) as server:
        assert answer(client(server.url)).content == "all"


def test_an_event_that_is_not_json_is_a_bad_body() -> None:
    with scripted_server(Step(raw=["{broken", "[DONE]"])) as server:
        assert failure(client(server.url)).kind == "bad_body"


def test_a_whole_request_has_a_time_limit() -> None:
    limits = msgspec.structs.replace(QUICK, request_timeout=0.5)
    with scripted_server(Step(text="word " * 100, chunk=5, gap=0.05)) as server:
        error = failure(client(server.url, retry=limits))
    assert (error.kind, error.retryable) == ("timeout", True)


def test_the_words_of_a_server_stay_on_one_short_line() -> None:
    with scripted_server(Step(status=500, body="boom\n\x1b[31m" + "x" * 5000)) as server:
        text = str(failure(client(server.url)))
    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) < 500


def test_openrouter_hands_on_what_the_provider_said() -> None:
    raw = '{"error": {"message": "tools are not supported", "code": "x"}}'
    error = {
        "code": 400,
        "message": "Provider returned error",
        "metadata": {"raw": raw, "provider_name": "P"},
    }
    failed = from_error_object(OPENROUTER, error)
    assert failed.kind == "bad_request"
    assert "tools are not supported" in str(failed)


def test_retry_after_is_read_as_milliseconds_seconds_and_date() -> None:
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": "7"}) == 7.0
    then = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"retry-after": then}) == pytest.approx(30, abs=2)
    dates = {"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert retry_after(dates) == 30.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "body", ["", "null", "[]", "[[]]", '"text"', "{", '{"error": null}', '{"error": [1]}', "\x00"]
)
def test_any_error_body_gives_a_failure(body: str) -> None:
    for status in (400, 418, 429, 500):
        assert from_status(OPENROUTER, status, {}, body).status == status


@pytest.mark.parametrize(
    "error", [None, "text", 5, [], {"code": None}, {"message": {"a": 1}}, {"code": "429"}]
)
def test_any_error_object_gives_a_failure(error: Any) -> None:
    assert str(from_error_object(OPENROUTER, error)).startswith("OpenRouter")


SECRET_URL = "https://me:pass-word-77@h.example/v1?api_key=Zk9Lw3Tt58&x=%70"


def test_nothing_of_a_base_url_that_may_be_a_key_is_shown() -> None:
    endpoint = Endpoint("custom", SECRET_URL, "sk-other-key-7")
    where = FailureContext(endpoint, "m", ("header-value-99",))
    said = "POST /v1?api_key=Zk9Lw3Tt58 as me:pass-word-77 with header-value-99 and sk-other-key-7"
    errors = [
        from_status(where, 404, {}, said),
        from_status(where, 200, {"content-type": "text/html"}, "<html>"),
        from_status(where, 302, {"location": SECRET_URL}, ""),
        from_error_object(where, {"message": said}),
        from_transport(where, OSError(said), during_stream=False),
    ]
    for shown in [f"{error} {error.hint}" for error in errors] + [
        repr(endpoint),
        repr(where),
        endpoint.title,
    ]:
        for secret in ("Zk9Lw3Tt58", "pass-word-77", "header-value-99", "sk-other-key-7"):
            assert secret not in shown
    assert endpoint.address == "https://h.example/v1?api_key=…&x=…"
