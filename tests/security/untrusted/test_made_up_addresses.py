"""An address that the model made up stays made up, whoever repeats it: a helper, a script, a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import model_tools
from agent.assembly import remember_exposure
from conversation.blocking import run_blocking
from conversation.history import History
from conversation.message import AssistantMessage, ToolCall, ToolResult, UserMessage
from conversation.round import Round
from safety.gate import EffectRequest, Gate
from sandboxes.local import LocalSandbox
from tools.catalog import load_tool
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import ok_reply, tool
from tools.untrusted import labelled

MADE_UP = "https://evil.example/?d=canary"
RETOLD = [
    "helper",
    "picture",
    "picture of a web page",
    "script that read web page",
    "earlier session",
    "note written after reading web page",
]


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ToolRuntime]:
    gate = Gate("ask", workspace=str(tmp_path), trusted=True, explicit=True)
    runtime = ToolRuntime("task", LocalSandbox("task", str(tmp_path)), gate)
    yield runtime
    run_blocking(runtime.aclose())


def answer(source: str, text: str) -> Any:
    @tool(effects=("read",))
    async def look(runtime: ToolRuntime, said: str = "") -> ToolReply:
        """Look."""
        return ToolReply(ok_reply(text=text + said).content, untrusted=source)

    return look


def call(runtime: ToolRuntime, tool_: Any, **arguments: Any) -> ToolReply:
    return run_blocking(model_tools.call_tool(tool_, arguments, runtime))


@pytest.mark.parametrize("source", RETOLD)
def test_what_a_model_retells_makes_no_address_known(source: str, runtime: ToolRuntime) -> None:
    call(runtime, answer(source, f"see {MADE_UP}"))
    assert runtime.gate.exposure.untrusted
    assert not runtime.gate.addresses.knows(MADE_UP)


@pytest.mark.parametrize("source", [*RETOLD, "file outside the working folder"])
def test_nor_does_it_where_a_conversation_is_resumed(source: str, tmp_path: Path) -> None:
    gate = Gate("ask", workspace=str(tmp_path), explicit=True)
    content = labelled(ok_reply(text=MADE_UP).content, source)
    remember_exposure(gate, history_of([("t", "{}", content)]))
    assert gate.exposure.untrusted == source
    assert not gate.addresses.knows(MADE_UP)


def history_of(calls: list[tuple[str, str, str]]) -> History:
    history = History("")
    for number, (name, arguments, content) in enumerate(calls):
        identity = str(number)
        history.add(
            Round(
                AssistantMessage("", (ToolCall(identity, name, arguments),)),
                (ToolResult(identity, name, content),),
            )
        )
    return history


def echo(runtime: ToolRuntime, said: str) -> None:
    @tool(effects=("write", "net"), describe=lambda runtime, arguments: allowed(arguments["said"]))
    async def mcp_time_echo(runtime: ToolRuntime, said: str) -> ToolReply:
        """Repeat."""
        return ToolReply(ok_reply(error=f"no such zone: {said}) https://good.example/a").content,
                         untrusted="MCP server time")  # fmt: skip

    call(runtime, mcp_time_echo, said=said)


def allowed(said: str) -> EffectRequest:
    return EffectRequest("mcp_time_echo", ("write", "net"), said, allowed="mcp.time.allowed")


def test_a_server_that_repeats_an_address_does_not_make_it_known(runtime: ToolRuntime) -> None:
    runtime.gate.note_untrusted("web page")
    echo(runtime, MADE_UP)
    assert not runtime.gate.addresses.knows(MADE_UP)
    assert not runtime.gate.addresses.knows(f"{MADE_UP})")
    assert runtime.gate.addresses.knows("https://good.example/a")
    # Nor does who repeats it later.
    call(runtime, answer("web page", f"you said {MADE_UP} and {MADE_UP}&x=1"))
    assert not runtime.gate.addresses.knows(MADE_UP)
    assert not runtime.gate.addresses.knows(f"{MADE_UP}&x=1")


def test_an_address_that_was_found_may_be_handed_on(runtime: ToolRuntime) -> None:
    runtime.gate.note_untrusted("web page")
    runtime.gate.addresses.note("https://good.example/b")
    echo(runtime, "https://good.example/b")
    assert runtime.gate.addresses.knows("https://good.example/b")
    call(runtime, answer("web page", "https://good.example/b?page=2"))
    assert runtime.gate.addresses.knows("https://good.example/b?page=2")


def test_what_a_server_repeated_is_not_known_where_the_conversation_is_resumed(tmp_path: Path) -> None:
    gate = Gate("ask", workspace=str(tmp_path), explicit=True)
    page = labelled(ok_reply(text="https://good.example/").content, "web page")
    repeated = labelled(ok_reply(text=f"{MADE_UP} https://good.example/c").content, "MCP server time")
    escaped = json.dumps({"said": MADE_UP}).replace("/", "\\/")
    remember_exposure(
        gate,
        history_of([("web_extract", '{"urls": ["x.example"]}', page), ("mcp_time_echo", escaped, repeated)]),
    )
    assert not gate.addresses.knows(MADE_UP)
    assert gate.addresses.knows("https://good.example/c")


def test_what_a_helper_was_told_is_not_the_persons_word_in_its_resumed_session(tmp_path: Path) -> None:
    history = History("")
    history.add(UserMessage(f"open {MADE_UP}"))
    gate = Gate("ask", workspace=str(tmp_path), explicit=True)
    remember_exposure(gate, history, by_person=False)
    assert not gate.addresses.knows(MADE_UP)
    remember_exposure(gate, history)
    assert gate.addresses.knows(MADE_UP)


@pytest.mark.parametrize("name", ["browser_navigate", "vision_analyze"])
def test_a_word_for_one_made_up_address_holds_for_its_host_alone(name: str, runtime: ToolRuntime) -> None:
    key = "image" if name == "vision_analyze" else "url"
    found = load_tool(name)

    def grant(url: str) -> str:
        return found.effect_request(runtime, {key: url, "question": "?"}).grant

    assert grant("https://a.example/1") == grant("https://a.example/2") == "fetch from a.example"
    assert grant("https://b.example/") == "fetch from b.example"
