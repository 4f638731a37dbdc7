"""Calls that a server leaves in the text: they become calls of the answer, and are never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conversation.event import Answer, Superseded, ToolCallDelta
from conversation.message import AssistantMessage
from models.chat_model import ModelEvent
from models.openai_model import OpenAIChatModel
from models.providers import Endpoint
from models.stream_assembly import StreamAssembly
from models.text_calls import call_reader
from settings import ModelSettings
from tests.models.asking import QUICK, TERMINAL, answer, ask, client, failure, shown
from tests.server.scripted_server import Call, Step, scripted_server

HERMES = '<tool_call>\n{"name": "terminal", "arguments": {"command": "ls"}}\n</tool_call>'
GLM = "<tool_call>terminal\n<arg_key>command</arg_key>\n<arg_value>ls</arg_value>\n</tool_call>"
CODER = "<tool_call>\n<function=terminal>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
KIMI = (
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.terminal:0<|tool_call_argument_begin|>"
    '{"command": "ls"}<|tool_call_end|><|tool_calls_section_end|>'
)
DEEPSEEK = (
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>terminal<｜tool▁sep｜>{"command": "ls"}'
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
)
HARMONY = (
    "<|channel|>analysis<|message|>Which?<|end|><|start|>assistant<|channel|>final<|message|>Now.\n<|end|>"
    '<|start|>assistant<|channel|>commentary to=functions.terminal<|message|>{"command": "ls"}<|call|>'
)
MISTRAL = '[TOOL_CALLS][{"name": "terminal", "arguments": {"command": "ls"}}]'
LLAMA = '{"name": "terminal", "parameters": {"command": "ls"}}'
FAMILIES = {
    "hermes": ("Hermes-3-Llama-3.2-3B", "Now.\n" + HERMES),
    "qwen3_coder": ("Qwen3-Coder-30B-A3B-Instruct", "Now.\n" + CODER),
    "llama3_json": ("Llama-3.1-8B-Instruct", "Now.\n" + LLAMA),
    "mistral": ("Mistral-Nemo-Instruct-2407", "Now.\n" + MISTRAL),
    "kimi_k2": ("Kimi-K2-Instruct", "Now.\n" + KIMI),
    "deepseek_v31": ("DeepSeek-V3.1", "Now.\n" + DEEPSEEK),
    "glm45": ("GLM-4.5-Air", "Now.\n" + GLM),
    "gpt_oss": ("gpt-oss-20b", HARMONY),
}


def model(url: str, name: str, **settings: Any) -> OpenAIChatModel:
    return OpenAIChatModel(ModelSettings(name=name, **settings), Endpoint("custom", url), retry=QUICK)


def message_of(events: list[ModelEvent]) -> AssistantMessage:
    last = events[-1]
    assert isinstance(last, Answer)
    return last.message


def called(message: AssistantMessage) -> list[tuple[str, Any]]:
    assert all(call.id for call in message.tool_calls)
    return [(call.name, json.loads(call.arguments)) for call in message.tool_calls]


def assembled(*pieces: str, name: str = "", tools: Any = (TERMINAL,), **choice: Any) -> AssistantMessage:
    """What comes of text in these pieces, without a server."""
    assembly = StreamAssembly(call_reader("auto", name, tools))
    for piece in pieces:
        assembly.feed({"choices": [{"delta": {"content": piece}, **choice}]})
    assembly.finish()
    return assembly.message()


@pytest.mark.parametrize("how", ["stream", "whole"])
@pytest.mark.parametrize("parser", ["auto", "named"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("chunk", [1, 3, 17, 0])
def test_a_call_in_the_text_becomes_a_call_of_the_answer(
    family: str, chunk: int, parser: str, how: str
) -> None:
    name, text = FAMILIES[family]
    settings = {"stream": how == "stream", "tool_call_parser": "auto" if parser == "auto" else family}
    with scripted_server(Step(text=text, chunk=chunk)) as server:
        events = ask(model(server.url, name if parser == "auto" else "some-model", **settings))
    message = message_of(events)
    assert called(message) == [("terminal", {"command": "ls"})]
    assert (message.content, message.finish_reason) == ("Now.", "tool_calls")
    assert shown(events)[0].strip() == "Now."
    assert [event for event in events if isinstance(event, ToolCallDelta)] == [
        ToolCallDelta(0, "terminal", len(message.tool_calls[0].arguments))
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_it_does_not_matter_where_the_stream_is_cut(family: str) -> None:
    name, text = FAMILIES[family]
    for at in range(len(text) + 1):
        message = assembled(text[:at], text[at:], name=name)
        assert (called(message), message.content) == ([("terminal", {"command": "ls"})], "Now."), at


@pytest.mark.parametrize("text", [HERMES, CODER, MISTRAL, KIMI, DEEPSEEK, GLM])
def test_tags_are_enough_where_the_model_name_tells_nothing(text: str) -> None:
    for at in range(len(text) + 1):
        assert called(assembled(text[:at], text[at:], name="my-tune")) == [("terminal", {"command": "ls"})]


@pytest.mark.parametrize(
    "text",
    [
        f"Like this:\n```\n{HERMES}\n```\nThat is all.",
        f"Write `{LLAMA}` or {LLAMA} yourself.",
        "Or as Python: [terminal(command='ls')]",
        'The form is <tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>.',
        f"It begins `{HERMES}`, with one tick.",
        "<tool_call>",
        "Generics: list<function=x> and <tool_call> in a sentence, <tool_calls> too.",
    ],
)
def test_an_answer_about_calls_stays_text(text: str) -> None:
    for at in range(len(text) + 1):
        message = assembled(text[:at], text[at:], name="my-tune")
        assert (message.tool_calls, message.content, message.finish_reason) == ((), text, "stop")


@pytest.mark.parametrize("name", ["Llama-3.1-8B", "xLAM-2-8b", "ToolACE-2-8B"])
@pytest.mark.parametrize("call", ['{"name": "Ann", "parameters": {"age": 3}}', "[f(x=1)]", '[{"name": "b"}]'])
def test_bare_text_of_a_model_that_writes_bare_calls_must_name_a_tool(name: str, call: str) -> None:
    text = f"For instance {call} as you said: [1, 2] {{x}}."
    assert assembled(*text, name=name).tool_calls == ()
    assert assembled(*text, name=name).content == text


def test_a_model_named_after_its_base_may_write_another_format() -> None:
    assert called(assembled(*HERMES, name="llama-3.1-8b-my-tune")) == [("terminal", {"command": "ls"})]


@pytest.mark.parametrize("stream", [True, False])
def test_off_leaves_text_text_and_so_does_a_request_without_tools(stream: bool) -> None:
    with scripted_server(Step(text=HERMES)) as server:
        off = answer(client(server.url, stream=stream, tool_call_parser="off"))
        without = answer(client(server.url, stream=stream), tools=[])
    assert (off.content, off.tool_calls) == (HERMES, ())
    assert (without.content, without.tool_calls) == (HERMES, ())


@pytest.mark.parametrize("stream", [True, False])
def test_calls_that_the_server_gives_win(stream: bool) -> None:
    step = Step(text=f"Now.\n{HERMES}", tool_calls=[Call("terminal", {"command": "pwd"}, id="c1")], chunk=5)
    with scripted_server(step) as server:
        message = answer(client(server.url, stream=stream))
    assert called(message) == [("terminal", {"command": "pwd"})]
    assert message.tool_calls[0].id == "c1"


@pytest.mark.parametrize("shape", ["think", "reasoning_content", "reasoning"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_call_in_reasoning_is_none(shape: Any, stream: bool) -> None:
    step = Step(
        text=f"Done.\n{HERMES}", reasoning=f"Perhaps {CODER}{HERMES}?", reasoning_shape=shape, chunk=3
    )
    with scripted_server(step) as server:
        message = answer(model(server.url, "qwen3", stream=stream))
    assert called(message) == [("terminal", {"command": "ls"})]
    assert (message.content, message.reasoning) == ("Done.", step.reasoning)


def test_a_call_in_reasoning_that_began_in_the_prompt_is_none() -> None:
    step = Step(text=f"Perhaps {HERMES}?\n</think>\n\n{HERMES.replace('ls', 'pwd')}", chunk=4)
    with scripted_server(step) as server:
        events = ask(model(server.url, "qwen3"))
    message = message_of(events)
    assert called(message) == [("terminal", {"command": "pwd"})]
    assert (message.content, message.reasoning) == ("", f"Perhaps {HERMES}?")
    assert any(isinstance(event, Superseded) for event in events)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_call_that_is_cut_off_is_none(family: str) -> None:
    name, text = FAMILIES[family]
    for end in range(text.index("terminal"), text.index("ls") + 3):
        message = assembled(text[:end], name=name, finish_reason="length")
        assert (message.tool_calls, message.finish_reason) == ((), "length"), text[:end]


def test_what_is_complete_before_a_cut_is_a_call() -> None:
    message = assembled(HERMES, HERMES[:40], finish_reason="length")
    assert called(message) == [("terminal", {"command": "ls"})]
    assert (message.content, message.finish_reason) == (HERMES[:40], "length")


def test_a_setting_that_names_no_parser_says_which_there_are() -> None:
    with scripted_server() as server:
        error = failure(client(server.url, tool_call_parser="nobody"))
    assert error.kind == "bad_request"
    assert "hermes" in str(error) and "tool_call_parser" in error.hint


def test_several_calls_come_in_order_with_ids_of_their_own() -> None:
    text = f"One.\n{HERMES}\n{HERMES.replace('ls', 'pwd')}\nAfter."
    message = assembled(*text)
    assert called(message) == [("terminal", {"command": "ls"}), ("terminal", {"command": "pwd"})]
    assert len({call.id for call in message.tool_calls}) == 2
    assert message.content.split() == ["One.", "After."]
