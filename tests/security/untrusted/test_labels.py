"""Text that nobody vouches for bears its source in the reply, once and short; other text bears none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import model_tools
from conversation.blocking import run_blocking
from safety.gate import EffectRequest, Gate
from sandboxes.local import LocalSandbox
from tools.catalog import load_tool
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import error_reply, ok_reply, tool
from tools.untrusted import OUTSIDE, labelled
from tools.web.backend import WebError
from tools.web.direct_backend import DirectBackend


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ToolRuntime]:
    (tmp_path / "work").mkdir()
    gate = Gate("ask", workspace=str(tmp_path / "work"), trusted=True)
    runtime = ToolRuntime("task", LocalSandbox("task", str(tmp_path / "work")), gate)
    yield runtime
    run_blocking(runtime.aclose())


def call(runtime: ToolRuntime, name: str, **arguments: Any) -> dict[str, Any]:
    reply = run_blocking(model_tools.call_tool(load_tool(name), arguments, runtime))
    read: dict[str, Any] = json.loads(reply.content)
    return read


def test_a_file_from_outside_the_working_folder_bears_its_source_first(
    runtime: ToolRuntime, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.md").write_text("run this\n")
    reply = call(runtime, "read_file", path=str(tmp_path / "elsewhere.md"))
    assert next(iter(reply)) == "untrusted" and reply["untrusted"] == OUTSIDE
    assert reply["content"] == "1|run this"
    found = call(runtime, "search_files", pattern="this", path=str(tmp_path))
    assert found["untrusted"] == OUTSIDE
    assert runtime.gate.exposure.untrusted.endswith("elsewhere.md")


def test_a_link_that_leads_outside_is_outside(runtime: ToolRuntime, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.md").write_text("run this\n")
    (tmp_path / "work" / "inside.md").symlink_to(tmp_path / "elsewhere.md")
    assert call(runtime, "read_file", path="inside.md")["untrusted"] == OUTSIDE


def test_a_file_of_a_trusted_folder_bears_none(runtime: ToolRuntime, tmp_path: Path) -> None:
    (tmp_path / "work" / "notes.md").write_text("mine\n")
    assert "untrusted" not in call(runtime, "read_file", path="notes.md")
    assert runtime.gate.exposure.untrusted == ""


def test_a_tool_names_the_source_of_what_it_fetched(runtime: ToolRuntime) -> None:
    @tool(effects=("read",))
    async def fetch(runtime: ToolRuntime) -> ToolReply:
        """Fetch."""
        return ToolReply('{"text": "hello"}', untrusted="web page")

    reply = run_blocking(model_tools.call_tool(fetch, {}, runtime))
    assert reply.content == '{"untrusted": "web page", "text": "hello"}'
    assert runtime.gate.exposure.untrusted == "web page"


@pytest.mark.parametrize("content", ["{}", '{"a": 1}', "[1, 2]", '"text"', '{ "a": "}" }', "null"])
def test_a_labelled_reply_is_json_with_all_that_was_in_it(content: str) -> None:
    read = json.loads(labelled(content, 'MCP server "x"'))
    assert read.pop("untrusted") == 'MCP server "x"'
    plain = json.loads(content)
    assert read == (plain if isinstance(plain, dict) else {"result": plain})


def test_a_source_costs_few_characters() -> None:
    assert len(labelled(ok_reply(a=1).content, "web page")) - len(ok_reply(a=1).content) < 30


@tool(effects=("read", "net"))
async def their_look(runtime: ToolRuntime, ends: str) -> ToolReply:
    """A tool of a package, which says nothing of whose text it brings."""
    if ends == "raises":
        raise ValueError("404 do as I say")
    if ends == "stopped":
        await asyncio.sleep(30)
    return error_reply("404 do as I say") if ends == "fails" else ok_reply(text="do as I say")


@pytest.mark.parametrize("ends", ["well", "fails", "raises"])
def test_a_look_at_the_web_that_names_no_source_brought_text_of_others_however_it_ended(
    runtime: ToolRuntime, ends: str
) -> None:
    reply = run_blocking(model_tools.call_tool(their_look, {"ends": ends}, runtime))
    assert runtime.gate.exposure.untrusted == "what came from their_look"
    assert ("untrusted" in json.loads(reply.content)) == (ends == "well")


def test_a_look_that_is_interrupted_may_have_told_something(runtime: ToolRuntime) -> None:
    async def interrupted() -> None:
        call = asyncio.create_task(model_tools.call_tool(their_look, {"ends": "stopped"}, runtime))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    run_blocking(interrupted())
    assert runtime.gate.exposure.untrusted == "what came from their_look"


def test_a_search_that_reached_nobody_has_read_nothing(
    runtime: ToolRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreached(*_: Any) -> list[Any]:
        raise WebError("the search engines cannot be reached", ours=True)

    monkeypatch.setattr(DirectBackend, "search", unreached)
    reply = call(runtime, "web_search", query="ferns")
    assert "cannot be reached" in reply["error"] and "untrusted" not in reply
    assert runtime.gate.exposure.untrusted == ""
    made_up = EffectRequest("web_extract", ("read", "net"), "look", urls=("https://a.example/",))
    assert runtime.gate.decide(made_up).verdict == "allow"
