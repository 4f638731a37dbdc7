"""The whole hermes with a tool server: from the first request to what is left when it is killed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from tests.faults.hermes_process import Hermes, descendants_of_tasks, finish, wait_for
from tests.server.script import Call, Step
from tests.server.scripted_server import ScriptedServer, scripted_server
from tests.tools.mcp.counter import Counter, run, unruly

pytest.importorskip("mcp_types", reason="the MCP SDK is not installed")
pytestmark = pytest.mark.long


@pytest.fixture
def hermes(home: Path, tmp_path: Path) -> Hermes:
    folder = tmp_path / "work"
    folder.mkdir()
    return Hermes(home, folder)


def add(hermes: Hermes, how: str = "", *arguments: str) -> None:
    """A server `u` in the settings, approved."""
    counter = Counter(hermes.folder, {"u": unruly(how, *arguments)})
    run(counter, counter.approve("u"))
    settings = {"mcp": msgspec.to_builtins(counter.servers)}
    hermes.home.joinpath(".hermes", "config.yaml").write_text(json.dumps(settings), encoding="utf-8")


def tools_sent(server: ScriptedServer) -> set[str]:
    return {each["function"]["name"] for each in server.requests[0].body["tools"]}


def test_the_model_calls_a_tool_of_a_server_of_which_nothing_is_left(hermes: Hermes, tmp_path: Path) -> None:
    add(hermes, "stubborn", str(tmp_path / "pids"))
    call = Call("mcp_u_echo", {"text": "abc", "times": 2})
    with scripted_server(Step(tool_calls=[call]), Step(text="Done.")) as server:
        hermes.url = server.url
        done = hermes.ask("go")
    assert done.code == 0, done.told
    assert "mcp_u_echo" in tools_sent(server)
    result = json.loads(server.requests[1].body["messages"][-1]["content"])
    assert result == {"untrusted": "MCP server u", "result": "abcabc"}
    assert done.seconds < 30
    assert not descendants_of_tasks(hermes.home)


def test_without_a_word_of_the_person_nothing_is_started(hermes: Hermes, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    add(hermes, "stubborn", str(pids))
    pids.unlink()
    with scripted_server(Step(tool_calls=[Call("mcp_u_echo", {"text": "a"})]), Step(text="Done.")) as server:
        hermes.url = server.url
        done = hermes.run("-q", "go")
    assert done.code == 0, done.told
    assert "denied" in server.requests[1].body["messages"][-1]["content"]
    assert not pids.exists()


def test_nothing_is_left_of_a_server_when_hermes_is_killed(hermes: Hermes, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    add(hermes, "stubborn", str(pids))
    pids.unlink()
    steps = [Step(tool_calls=[Call("mcp_u_echo", {"text": "a"})]), Step(text="Done.", delay=60)]
    with scripted_server(*steps) as server:
        hermes.url = server.url
        process = hermes.start("-q", "go", "--yolo")
        wait_for(lambda: len(server.requests) == 2, 40)
        assert descendants_of_tasks(hermes.home)
        process.kill()
        finish(process)
        began = time.monotonic()
        wait_for(lambda: not descendants_of_tasks(hermes.home))
        assert time.monotonic() - began < 10


def test_a_session_tells_of_a_server_that_is_not_approved(hermes: Hermes) -> None:
    config = hermes.home / ".hermes" / "config.yaml"
    config.parent.mkdir()
    config.write_text("mcp:\n  u: {command: sh}\n", encoding="utf-8")
    with scripted_server(Step(text="Done.")) as server:
        hermes.url = server.url
        assert hermes.ask("go").code == 0
    assert not any(name.startswith("mcp_") for name in tools_sent(server))
