"""Hooks where sessions begin and end, and that no way to a tool leads round them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configuration.tool_settings import HookSettings
from conversation.event import Event, TurnFinished, TurnStarted
from model_tools import handle_function_call
from models.scripted import ScriptedModel
from run_agent import AIAgent
from settings import GateSettings, Settings, trust
from tests.agent.bench_tools import calls, text
from tools.terminal_tool import cleanup_vm

_MADE: list[AIAgent] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while _MADE:
        _MADE.pop().close()


def agent_with(folder: Path, *hooks: HookSettings, steps: Any = (), **more: Any) -> AIAgent:
    model = ScriptedModel(steps or [text("Hi.")])
    _MADE.append(AIAgent(chat_model=model, settings=Settings(hooks=list(hooks)), cwd=str(folder), **more))
    return _MADE[-1]


def noting(event: Any, **more: Any) -> HookSettings:
    return HookSettings(event, "cat >> log; echo >> log", **more)


def log_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_session_starts_with_its_first_turn_and_ends_once_saved(tmp_path: Path) -> None:
    agent = agent_with(tmp_path, noting("session_start"), noting("session_end"))
    assert log_of(tmp_path) == []
    agent.chat("Hello")
    agent.chat("Again")
    session = agent.session_id
    assert [(each["event"], each["session_id"]) for each in log_of(tmp_path)] == [("session_start", session)]
    agent.close()
    agent.close()
    end = log_of(tmp_path)[1:]
    assert [(each["event"], each["session_id"]) for each in end] == [("session_end", session)]
    saved = Path(end[0]["session_file"])
    assert saved.stem == session
    assert saved.exists()


def test_a_session_in_which_nothing_was_said_has_neither(tmp_path: Path) -> None:
    agent_with(tmp_path, noting("session_start"), noting("session_end")).close()
    assert log_of(tmp_path) == []


def test_a_new_session_of_the_same_agent_begins_and_ends_too(tmp_path: Path) -> None:
    agent = agent_with(tmp_path, noting("session_start"), noting("session_end"))

    async def talk() -> tuple[str, str]:
        await agent.achat("Hello")
        first = agent.session_id
        await agent.new_session()
        await agent.achat("Hello")
        second = agent.session_id
        await agent.aclose()
        return first, second

    first, second = asyncio.run(talk())
    assert [(each["event"], each["session_id"]) for each in log_of(tmp_path)] == [
        ("session_start", first), ("session_end", first),
        ("session_start", second), ("session_end", second),
    ]  # fmt: skip


def test_a_required_start_that_fails_refuses_the_turn_until_it_is_mended(tmp_path: Path) -> None:
    agent = agent_with(
        tmp_path,
        HookSettings("session_start", "test -e ready || { echo not ready >&2; exit 5; }", required=True),
    )

    async def say() -> list[Event]:
        return [event async for event in agent.events("Hello")]

    async def talk() -> None:
        started, finished = await say()
        assert isinstance(started, TurnStarted)
        assert isinstance(finished, TurnFinished)
        assert finished.outcome == "failed"
        assert "exit code 5: not ready" in finished.reason
        assert "session_start hook" in finished.reason
        assert finished.hint
        assert len(agent.history.entries) == 0
        assert agent.session_path is not None and not agent.session_path.exists()
        (tmp_path / "ready").touch()
        assert (await say())[-1].outcome == "done"  # type: ignore[union-attr]
        await agent.aclose()

    asyncio.run(talk())


def test_a_start_that_is_not_required_is_a_warning(tmp_path: Path) -> None:
    agent = agent_with(
        tmp_path, HookSettings("session_start", "exit 5"), HookSettings("session_end", "exit 6")
    )

    async def talk() -> tuple[list[Event], list[str]]:
        events = [event async for event in agent.events("Hello")]
        return events, await agent.aclose()

    events, unheard = asyncio.run(talk())
    assert events[-1].outcome == "done"  # type: ignore[union-attr]
    assert any("exit code 5" in getattr(event, "text", "") for event in events)
    assert any("exit code 6" in each for each in unheard)


def test_a_turn_interrupted_in_its_start_hook_ends_in_good_order(tmp_path: Path) -> None:
    agent = agent_with(tmp_path, HookSettings("session_start", "touch here; sleep 30", required=True))

    async def talk() -> list[Event]:
        events: list[Event] = []

        async def stop() -> None:
            while not (tmp_path / "here").exists():
                await asyncio.sleep(0.01)
            agent.interrupt()

        stopping = asyncio.create_task(stop())
        events += [event async for event in agent.events("Hello")]
        await stopping
        await agent.aclose()
        return events

    began = time.monotonic()
    finished = asyncio.run(talk())[-1]
    assert isinstance(finished, TurnFinished)
    assert finished.outcome == "interrupted"
    assert time.monotonic() - began < 5


def test_a_hook_refuses_calls_of_the_loop_and_the_model_reads_why(tmp_path: Path) -> None:
    no = HookSettings("before_tool", "echo 'no files today' >&2; exit 2", tools=["read_file"])
    agent = agent_with(tmp_path, no, steps=[calls(("read_file", {"path": "a"})), text("Well.")])
    result = agent.run_conversation("Read a.")
    (told,) = [each for each in result["messages"] if each["role"] == "tool"]
    assert "denied" in told["content"]
    assert "no files today" in told["content"]


def test_a_call_by_its_name_alone_passes_through_the_hooks_of_the_settings(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".hermes").mkdir()
    (home / ".hermes" / "config.yaml").write_text(
        "hooks:\n  - {event: before_tool, command: 'echo stop >&2; exit 2', tools: [todo]}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert "says no: stop" in json.loads(handle_function_call("todo", {}, task_id="hooked"))["error"]
    cleanup_vm("hooked")


def test_the_hooks_of_a_folder_count_only_where_it_is_trusted(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".hermes").mkdir()
    (tmp_path / ".hermes" / "config.yaml").write_text(
        "hooks:\n  - {event: before_tool, command: 'touch ran; exit 2'}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert "error" not in json.loads(handle_function_call("todo", {}, task_id="untrusted"))
    assert not (tmp_path / "ran").exists()
    cleanup_vm("untrusted")
    trust(tmp_path)
    assert "denied" in json.loads(handle_function_call("todo", {}, task_id="trusted"))["error"]
    assert (tmp_path / "ran").exists()
    cleanup_vm("trusted")


@pytest.mark.parametrize("mode", ["yolo", "auto-edit"])
def test_a_tool_cannot_change_the_hooks_unasked(home: Path, tmp_path: Path, mode: str) -> None:
    """Neither those of the person, in no mode, nor those of the folder, but where everything is allowed."""
    own = home / ".hermes" / "config.yaml"
    theirs = tmp_path / ".hermes" / "config.yaml"
    writes = [("write_file", {"path": str(path), "content": "hooks: []"}) for path in (own, theirs)]
    agent = AIAgent(
        chat_model=ScriptedModel([calls(*writes), text("Done.")]),
        settings=Settings(gate=GateSettings(mode=mode)), cwd=str(tmp_path),  # type: ignore[arg-type]
    )  # fmt: skip
    _MADE.append(agent)
    result = agent.run_conversation("Take the hooks away.")
    told = [each["content"] for each in result["messages"] if each["role"] == "tool"]
    assert "agent's own configuration" in told[0]
    assert not own.exists()
    if mode == "auto-edit":
        assert "denied" in told[1]
        assert not theirs.exists()


def test_the_environment_of_a_hook_is_that_of_the_agent_without_its_keys(tmp_path: Path) -> None:
    environ = {**os.environ, "MY_API_KEY": "sk-0123456789abcdef", "LANG": "C.UTF-8"}
    agent = agent_with(tmp_path, HookSettings("session_start", "env > seen"), environ=environ)
    agent.chat("Hello")
    seen = (tmp_path / "seen").read_text()
    assert "LANG=C.UTF-8" in seen
    assert "MY_API_KEY" not in seen
    assert f"HERMES_SESSION_ID={agent.session_id}" in seen


def test_calls_from_a_script_pass_through_the_hooks(tmp_path: Path) -> None:
    no = HookSettings("before_tool", "echo 'nothing is written' >&2; exit 2", tools=["write_file"])
    seen = HookSettings("after_tool", "cat >> log; echo >> log")
    script = (
        "from hermes_tools import read_file, write_file\n"
        "read_file(path='b.txt')\nprint('went on')\nwrite_file(path='a.txt', content='x')\n"
    )
    (tmp_path / "b.txt").write_text("seven")
    agent = AIAgent(
        chat_model=ScriptedModel([calls(("execute_code", {"code": script})), text("Done.")]),
        settings=Settings(hooks=[no, seen], gate=GateSettings(mode="yolo")), cwd=str(tmp_path),
    )  # fmt: skip
    _MADE.append(agent)
    agent.run_conversation("Write.")
    assert not (tmp_path / "a.txt").exists()
    assert [each["tool"] for each in log_of(tmp_path)] == ["read_file", "execute_code"]
    assert "nothing is written" in log_of(tmp_path)[1]["content"]


def test_helpers_have_the_hooks_of_who_made_them(tmp_path: Path) -> None:
    no = HookSettings("before_tool", "echo 'nothing is written' >&2; exit 2", tools=["write_file"])
    write = calls(("write_file", {"path": "a.txt", "content": "x"}))
    steps = [calls(("delegate_task", {"task": "Write a.txt."})), write, text("It is refused."), text("Well.")]
    agent = AIAgent(
        chat_model=ScriptedModel(steps), cwd=str(tmp_path),
        settings=Settings(hooks=[no, noting("session_start")], gate=GateSettings(mode="yolo")),
    )  # fmt: skip
    _MADE.append(agent)
    agent.run_conversation("Have it written.")
    assert not (tmp_path / "a.txt").exists()
    sessions = [each["session_id"] for each in log_of(tmp_path)]
    assert len(sessions) == len(set(sessions)) == 2
    assert sessions[0] == agent.session_id
