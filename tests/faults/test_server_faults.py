"""What a failing server does to a one-shot: retried or not, the exit code, the words, what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, NamedTuple

import pytest

from tests.faults.hermes_process import Hermes, said, some
from tests.server.script import Call
from tests.server.scripted_server import ScriptedServer, Step, refusal

Serve = Callable[..., ScriptedServer]
ANSWER = Step(text="The answer is 42.")


class Fault(NamedTuple):
    """`steps` are played; then the exit code, a word on stderr, and the number of requests."""

    steps: list[Any]
    code: int
    word: str
    requests: int


def busy(status: int, **headers: str) -> Step:
    return Step(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body={})


LONG = "one two three four five six seven eight nine ten"

PASSING = {
    "429 with seconds": Fault([busy(429, Retry_After="0"), ANSWER], 0, "slow down (429)", 2),
    "429 with a date": Fault(
        [lambda _: busy(429, Retry_After=formatdate(time.time() - 5, usegmt=True)), ANSWER],
        0, "slow down (429)", 2,
    ),
    "500": Fault([refusal(500), ANSWER], 0, "fault (500)", 2),
    "502 page": Fault([Step(status=502, body="<html>Bad gateway</html>"), ANSWER], 0, "502", 2),
    "529": Fault([refusal(529, "overloaded"), ANSWER], 0, "overloaded", 2),
    "408": Fault([refusal(408), ANSWER], 0, "too long (408)", 2),
    "409": Fault([refusal(409), ANSWER], 0, "409", 2),
    "hang-up": Fault([Step(refuse=True), ANSWER], 0, "cannot reach", 2),
    "reset in mid-stream": Fault([Step(text=LONG, chunk=4, reset_after=900), ANSWER], 0, "does not count", 2),
    "stalled": Fault([Step(text=LONG, chunk=8, stall_after=4), ANSWER], 0, "silent", 2),
    "truncated": Fault([Step(text=LONG, chunk=8, truncate_after=4), ANSWER], 0, "mid-answer", 2),
    "page with 200": Fault([Step(html=True), ANSWER], 0, "web page", 2),
    "empty body": Fault([Step(empty=True), ANSWER], 0, "empty body", 2),
    "empty choices": Fault([Step(empty_choices=True), ANSWER], 0, "without choices", 2),
    "error in the stream": Fault([Step(text=LONG, error={"message": "boom"}), ANSWER], 0, "boom", 2),
    "not JSON": Fault([Step(raw=["{never closed"]), ANSWER], 0, "not JSON", 2),
}  # fmt: skip
"""Faults after which the same request succeeds."""

LASTING = {
    "429 for ever": Fault([busy(429, Retry_After="0")], 75, "slow down", 3),
    "500 for ever": Fault([refusal(500)], 75, "fault (500)", 3),
    "529 for ever": Fault([refusal(529)], 75, "(529)", 3),
    "hang-up for ever": Fault([Step(refuse=True)], 75, "server running", 3),
    "reset for ever": Fault([Step(text=LONG, chunk=4, reset_after=900)], 75, "broke off", 3),
    "stalled for ever": Fault([Step(text=LONG, chunk=8, stall_after=4)], 75, "silent", 3),
    "truncated for ever": Fault([Step(text=LONG, chunk=8, truncate_after=4)], 75, "mid-answer", 3),
    "page for ever": Fault([Step(html=True)], 75, "base URL", 3),
    "empty choices for ever": Fault([Step(empty_choices=True)], 75, "without choices", 3),
    "429 with a long wait": Fault([busy(429, Retry_After="7200")], 75, "2 h", 1),
    "400": Fault([refusal(400, "no such parameter")], 1, "no such parameter", 1),
    "401": Fault([refusal(401, "bad key sk-test-0123456789abcdef")], 1, "OPENAI_API_KEY", 1),
    "402": Fault([refusal(402, "no credit")], 1, "credit", 1),
    "403": Fault([refusal(403)], 1, "403", 1),
    "404": Fault([refusal(404, "the model scripted does not exist")], 1, "scripted", 1),
    "404 page": Fault([Step(status=404, body="<html>no</html>")], 1, "404", 1),
    "422": Fault([refusal(422)], 1, "malformed (422)", 1),
    "redirect": Fault([Step(status=301, headers={"Location": "http://127.0.0.1:1/"})], 1, "elsewhere", 1),
    "context, nothing to leave out": Fault([Step(context_error=True)], 1, "too long", 1),
}  # fmt: skip


QUICK_PASSING = {"429 with seconds", "500", "hang-up", "truncated", "page with 200"}
QUICK_LASTING = {"stalled for ever", "429 with a long wait", "401", "404", "context, nothing to leave out"}


def check_words(hermes: Hermes, serve: Serve, fault: Fault) -> None:
    """A run as a person sees it."""
    server = serve(*fault.steps)
    hermes.url = server.url
    told = hermes.ask("What is 6 × 7?")
    assert (told.code, told.text) == (fault.code, "" if fault.code else "The answer is 42.\n")
    assert fault.word in told.told and len(server.requests) == fault.requests
    assert all(line.startswith("hermes: ") for line in told.told.splitlines())
    assert len(told.told.splitlines()) < 8


def check_lines(hermes: Hermes, serve: Serve, fault: Fault) -> list[dict[str, Any]]:
    """A run with --json: its events, the last of which says how it ended."""
    server = serve(*fault.steps)
    hermes.url = server.url
    told = hermes.ask("What is 6 × 7?", "--json")
    assert (told.code, told.err, len(server.requests)) == (fault.code, b"", fault.requests)
    assert told.events[-1]["type"] == "turn_finished"
    assert hermes.session().outcome == told.events[-1]["outcome"]
    assert "What is 6 × 7?" in said(hermes.session())
    return told.events


@pytest.mark.parametrize("name", some(PASSING, QUICK_PASSING))
def test_a_fault_that_passes_costs_a_retry_and_nothing_else(name: str, hermes: Hermes, serve: Serve) -> None:
    fault = PASSING[name]
    events = check_lines(hermes, serve, fault)
    reasons = [each["reason"] for each in events if each["type"] == "retry_scheduled"]
    assert len(reasons) == 1 and (fault.word in reasons[0] or name == "reset in mid-stream")
    assert [turn["content"] for turn in hermes.session().history.messages()[1:]] == [
        "What is 6 × 7?", "The answer is 42.",
    ]  # fmt: skip
    assert hermes.rows()[-1]["completed"] is True


@pytest.mark.parametrize("name", some(LASTING, QUICK_LASTING))
def test_a_fault_that_lasts_ends_with_its_code_and_is_explained(
    name: str, hermes: Hermes, serve: Serve
) -> None:
    fault = LASTING[name]
    finished = check_lines(hermes, serve, fault)[-1]
    assert finished["outcome"] == ("unavailable" if fault.code == 75 else "failed")
    assert fault.word in f"{finished['reason']}. {finished['hint']}"
    if name.startswith(("reset", "stalled", "truncated")):
        assert "one two" in said(hermes.session()), "what was streamed is kept"


IN_WORDS = ("429 with seconds", "reset in mid-stream", "500 for ever", "page for ever")


@pytest.mark.parametrize("name", some([*PASSING, *LASTING], IN_WORDS))
def test_a_person_is_told_in_a_few_lines(name: str, hermes: Hermes, serve: Serve) -> None:
    check_words(hermes, serve, {**PASSING, **LASTING}[name])


@pytest.mark.parametrize("name", ["401", "403", "404", "402"])
def test_a_refusal_is_one_line_with_cause_and_fix(name: str, hermes: Hermes, serve: Serve) -> None:
    server = serve(*LASTING[name].steps)
    hermes.url = server.url
    told = hermes.ask("Hello?")
    (line,) = told.told.splitlines()
    assert f"({name})" in line and line.endswith(".") and len(line) < 400
    assert len(server.requests) == 1


def test_no_server_at_all_ends_with_75(hermes: Hermes) -> None:
    from tests.server.scripted_server import refused_url

    hermes.url = refused_url()
    told = hermes.ask("Hello?")
    assert (told.code, told.out) == (75, b"")
    assert "Connection refused" in told.told and "Is the server running?" in told.told
    assert len(told.told.splitlines()) == 3, "two retries and the end"
    assert hermes.session().outcome == "unavailable"


def test_a_wait_that_the_server_asks_for_is_kept(hermes: Hermes, serve: Serve) -> None:
    until = formatdate(time.time() + 2, usegmt=True)
    server = serve(
        busy(429, Retry_After="1"), busy(429, Retry_After=until, Date=formatdate(usegmt=True)), ANSWER
    )
    hermes.url = server.url
    told = hermes.ask("Hello?")
    assert told.code == 0
    first, second, third = server.requests
    assert 0.95 < second.began - first.ended < 1.6
    assert 0.5 < third.began - second.ended < 2.8


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_refused_for_ever_ends_with_75_within_four_minutes_with_the_default_settings(hermes: Hermes) -> None:
    from tests.faults.hermes_process import QUICK
    from tests.server.scripted_server import refused_url

    hermes.url = refused_url()
    told = hermes.ask("Hello?", env=dict.fromkeys(QUICK), timeout=250)
    assert told.code == 75
    assert told.seconds < 240
    assert told.told.count("trying again") == 6


def test_a_context_error_compacts_once_and_the_answer_comes(hermes: Hermes, serve: Serve) -> None:
    calls = [Step(tool_calls=[Call("terminal", {"command": f"echo {'x' * 200} {n}"})]) for n in range(4)]
    server = serve(*calls, Step(context_error=True), refusal(503), Step(text="They echoed."), ANSWER)
    hermes.url = server.url
    told = hermes.ask("Echo four times.")
    assert (told.code, told.text) == (0, "The answer is 42.\n"), told.told
    assert "summarised" in told.told and "(503): scripted 503; trying again" in told.told
    assert len(server.requests) == 8
    session = hermes.session()
    assert len(session.history.entries) == 6, "the session keeps the full text"
    again = server.requests[-1].body["messages"]
    assert "They echoed." in str(again) and len(again) < len(server.requests[4].body["messages"])


def test_a_context_error_that_stays_ends_the_turn(hermes: Hermes, serve: Serve) -> None:
    calls = [Step(tool_calls=[Call("terminal", {"command": f"echo {n}"})]) for n in range(3)]
    server = serve(*calls, Step(context_error=True), Step(text="Summary."), Step(context_error=True))
    hermes.url = server.url
    told = hermes.ask("Echo.")
    assert told.code == 1 and "too long" in told.told
    assert len(server.requests) == 6
    assert len(hermes.session().history.rounds) == 3
