"""A server without tools, whose model writes its calls as text: hermes runs them all the same."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.faults.hermes_process import Hermes
from tests.server.scripted_server import ScriptedServer, Step

Serve = Callable[..., ScriptedServer]

CALL = '<tool_call>\n{"name": "terminal", "arguments": {"command": "echo one-%d"}}\n</tool_call>'
TWO = Step(text=f"Let me see.\n{CALL % 1}\n{CALL % 2}", chunk=3)
DONE = Step(text="It says one.", chunk=2)


@pytest.mark.parametrize("how", [[], ["--no-stream"]], ids=["streamed", "whole"])
@pytest.mark.parametrize("model", ["my-own-tune", "Hermes-3-Llama-3.1-8B"])
def test_calls_in_the_text_are_run_and_kept_as_calls(
    how: list[str], model: str, hermes: Hermes, serve: Serve
) -> None:
    server = serve(TWO, DONE)
    hermes.url = server.url
    told = hermes.ask("Look, please.", "--json", "--model", model, *how)
    assert told.code == 0, told
    shown = "".join(event["text"] for event in told.events if event["type"] == "text_delta")
    assert "tool_call" not in shown and "echo" not in shown
    assert [event["status"] for event in told.events if event["type"] == "tool_finished"] == ["ok", "ok"]

    user, asked, *results = server.last["messages"][1:]
    assert (user["content"], asked["content"]) == ("Look, please.", "Let me see.")
    commands = [json.loads(call["function"]["arguments"])["command"] for call in asked["tool_calls"]]
    assert commands == ["echo one-1", "echo one-2"]
    ids = [call["id"] for call in asked["tool_calls"]]
    assert [result["tool_call_id"] for result in results] == ids
    assert all(f"one-{n}" in result["content"] for n, result in enumerate(results, 1))

    messages = [round_.assistant for round_ in hermes.session().history.rounds if round_.results]
    assert [call.id for call in messages[0].tool_calls] == ids
    (row,) = hermes.rows()
    said = [turn["from"] for turn in row["conversations"]]
    assert said == ["system", "human", "gpt", "tool", "gpt"]
    asking = row["conversations"][2]["value"]
    assert asking.count("<tool_call>") == 2 and asking.count("Let me see.") == 1


@pytest.mark.parametrize(
    "text", ['Let me <tool_call>\n{"name": "terminal", "argu', "<function=terminal>\n<para"]
)
def test_a_broken_call_is_no_answer_although_the_server_says_so(
    text: str, hermes: Hermes, serve: Serve
) -> None:
    server = serve(Step(text=text), TWO, DONE)
    hermes.url = server.url
    told = hermes.ask("Look, please.")
    assert (told.code, told.text.strip()) == (0, "It says one."), told
    assert "not whole" in server.requests[1].body["messages"][-1]["content"]
    (row,) = hermes.rows()
    assert text not in json.dumps(row["conversations"][2:])
    assert row["left_out"]["flawed"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "Use <function=foo> in the terminal.",
        "<|channel|> is a token, and so is [TOOL_CALLS]. See read_file.",
        'I would write <tool_call> {"name": …} there',
    ],
)
def test_prose_about_tags_stands(text: str, hermes: Hermes, serve: Serve) -> None:
    server = serve(Step(text=text))
    hermes.url = server.url
    told = hermes.ask("How?")
    assert (told.code, told.text.strip()) == (0, text), told
    assert len(server.requests) == 1


def test_an_answer_that_explains_how_calls_are_written_stands(hermes: Hermes, serve: Serve) -> None:
    text = (
        f"Between <tool_call> and </tool_call> stands JSON, as `<tool_call>{{}}`:\n\n```\n{CALL % 1}\n```\n"
    )
    server = serve(Step(text=text))
    hermes.url = server.url
    told = hermes.ask("How are calls written?")
    assert (told.code, told.text.strip()) == (0, text.strip()), told
    assert len(server.requests) == 1


def test_a_call_that_was_cut_off_is_asked_for_again_and_not_run(hermes: Hermes, serve: Serve) -> None:
    server = serve(Step(text=(CALL % 1)[:60], finish_reason="length"), TWO, DONE)
    hermes.url = server.url
    told = hermes.ask("Look, please.", "--json")
    assert told.code == 0, told
    notice = server.requests[1].body["messages"][-1]
    assert "tool call" in notice["content"] and "cut off" in notice["content"]
    started = [event for event in told.events if event["type"] == "tool_started"]
    assert [json.loads(event["arguments"])["command"] for event in started] == ["echo one-1", "echo one-2"]


def test_the_parser_can_be_turned_off(hermes: Hermes, serve: Serve) -> None:
    hermes.url = serve(TWO).url
    told = hermes.ask("Look, please.", env={"HERMES_MODEL_TOOL_CALL_PARSER": "off"})
    assert (told.code, told.text.strip()) == (0, TWO.text)
