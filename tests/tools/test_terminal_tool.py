"""The tools `terminal` and `process`, called as the loop calls them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conversation.event import Event, ToolOutput
from model_tools import call_tool
from safety.gate import Gate, Mode
from sandboxes.local import LocalSandbox
from sandboxes.registry import SHARED
from sandboxes.sandbox import SandboxError
from settings import Settings, TerminalSettings
from tools.runtime import ToolReply, ToolRuntime
from tools.terminal_tool import check_terminal_requirements, cleanup_vm, process, terminal


class Task:
    """A task's runtime, and what it emitted."""

    def __init__(self, folder: Path, mode: Mode = "yolo") -> None:
        self.sandbox = LocalSandbox("t", str(folder), spill_dir=str(folder / ".spill"))
        self.events: list[Event] = []
        gate = Gate(mode, workspace=str(folder), explicit=True)
        self.runtime = ToolRuntime("t", self.sandbox, gate, self.events.append, call_id="call_7")

    def reply(self, tool: Any, **arguments: Any) -> ToolReply:
        return asyncio.run(call_tool(tool, arguments, self.runtime))

    def terminal(self, command: str, **more: Any) -> dict[str, Any]:
        return dict(json.loads(self.reply(terminal, command=command, **more).content))

    def process(self, action: str, **more: Any) -> dict[str, Any]:
        return dict(json.loads(self.reply(process, action=action, **more).content))


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Task]:
    made = Task(tmp_path)
    yield made
    asyncio.run(made.sandbox.close())


def test_a_usual_result_has_two_fields(task: Task) -> None:
    assert task.terminal("echo hi; exit 3") == {"output": "hi\n", "exit_code": 3}


def test_the_rest_is_told_only_when_it_matters(task: Task, tmp_path: Path) -> None:
    assert task.terminal("cd /usr") == {"output": "", "exit_code": 0, "cwd": "/usr"}
    assert task.terminal("pwd", workdir="/") == {"output": "/\n", "exit_code": 0}
    late = task.terminal("echo start; sleep 60", timeout=0.3)
    assert "0.3 s" in late.pop("note")
    assert late == {"output": "start\n", "exit_code": 124, "timed_out": True}
    long = task.terminal("seq 1 20000")
    assert long["total_bytes"] == 108_894 and Path(long["full_output"]).read_text().endswith("20000\n")
    assert "bg_1" in task.terminal("sleep 300 & echo x")["note"]
    assert task.terminal("cat", stdin="given ü")["output"] == "given ü"


def test_a_background_command_that_takes_no_input_is_still_known_by_its_id(task: Task) -> None:
    reply = task.terminal("exec <&-; sleep 300", background=True, stdin="x" * 1_000_000)
    assert reply["process_id"] == "bg_1" and "closed its input" in reply["note"]


def test_what_cannot_start_is_an_error_with_its_reason(task: Task) -> None:
    reply = task.reply(terminal, command="pwd", workdir="/nowhere")
    assert reply.status == "error" and "/nowhere does not exist" in reply.content
    assert task.reply(terminal, command=" ").status == "error"
    assert task.reply(terminal, command="", background=True).status == "error"


def test_timeouts_have_a_default_and_a_ceiling(task: Task) -> None:
    terminal_settings = TerminalSettings(timeout=0.3, max_timeout=0.5)
    task.runtime.settings = msgspec.structs.replace(Settings(), terminal=terminal_settings)
    assert task.terminal("sleep 60")["timed_out"]
    assert task.terminal("sleep 60", timeout=600)["timed_out"]
    assert task.terminal("sleep 0.1; echo done", timeout="0.4")["output"] == "done\n"


def test_output_is_streamed_and_harmless_to_the_screen(task: Task) -> None:
    task.terminal(r"printf 'one\033[3'; sleep 0.15; printf '1mtwo\033]0;evil\007\r\n\342\200\256three'")
    texts = [
        event.text for event in task.events if isinstance(event, ToolOutput) and event.call_id == "call_7"
    ]
    assert len(texts) >= 2
    assert "".join(texts) == "onetwo\n<U+202E>three"


def test_an_interrupted_command_leaves_the_session_usable(task: Task) -> None:
    async def interrupt() -> None:
        work = asyncio.create_task(call_tool(terminal, {"command": "export A=1; sleep 60"}, task.runtime))
        await asyncio.sleep(0.3)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(interrupt())
    assert task.terminal("echo again $A")["output"] == "again 1\n"


def test_a_background_command_through_its_life(task: Task) -> None:
    assert task.terminal("echo up; read x; echo got $x; read y", background=True) == {"process_id": "bg_1"}
    text = ""
    while "up" not in text:
        text += task.process("wait", id="bg_1", timeout=0.05)["output"]
    listed = task.process("list")["processes"]
    assert [(each["id"], each["exit_code"]) for each in listed] == [("bg_1", None)]
    assert listed[0]["command"].startswith("echo up")
    text += task.process("write", id="bg_1", data="it\n")["output"]
    while "got it" not in text:
        text += task.process("wait", id="bg_1", timeout=0.05)["output"]
    assert task.process("poll", id="bg_1") == {"output": "", "exit_code": None}
    assert task.process("kill", id="bg_1")["exit_code"] == 143
    assert task.process("log", id="bg_1") == {"output": "up\ngot it\n", "exit_code": 143}
    assert "bg_1" in task.process("poll", id="bg_9")["error"]


def test_a_background_command_can_be_given_its_input(task: Task) -> None:
    task.terminal("cat; echo end", background=True, stdin="all of it\n")
    assert task.process("wait", id="bg_1", timeout=5) == {"output": "all of it\nend\n", "exit_code": 0}


def test_looking_at_processes_is_reading_and_touching_them_is_not(tmp_path: Path) -> None:
    task = Task(tmp_path, "deny")
    asyncio.run(task.sandbox.spawn("sleep 300"))
    for action in ("list", "poll", "log", "wait"):
        assert task.reply(process, action=action, id="bg_1", timeout=0).status == "ok"
    for action in ("write", "kill"):
        assert task.reply(process, action=action, id="bg_1").status == "denied"
    assert task.reply(terminal, command="touch x").status == "denied"
    asyncio.run(task.sandbox.close())


def test_a_person_sees_all_that_decides_about_the_effect(task: Task) -> None:
    arguments = {"command": "python3\n-", "stdin": "import os", "workdir": "sub", "background": True}
    request = terminal.effect_request(task.runtime, arguments)
    assert request.summary == (
        f"python3\n-\nin {task.sandbox.cwd}/sub\nin the background\nwith the input:\nimport os"
    )
    assert (request.effects, request.grant) == (("exec",), "")
    asyncio.run(task.sandbox.spawn("cat"))
    request = process.effect_request(task.runtime, {"action": "write", "id": "bg_1", "data": "secret"})
    assert request.summary == "write to bg_1: cat\nsecret"


def test_the_schemas_are_small_and_say_what_persists() -> None:
    schemas = [terminal.schema(), process.schema()]
    assert len(json.dumps(schemas)) / 4 < 330
    assert "persist between calls" in terminal.description


def test_bash_is_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_terminal_requirements() == ""
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "install it" in check_terminal_requirements()


def test_cleaning_up_a_task_ends_its_sandbox(tmp_path: Path) -> None:
    sandbox = SHARED.get("task-to-clean", lambda task_id: LocalSandbox(task_id, str(tmp_path)))
    asyncio.run(sandbox.spawn("sleep 300"))
    cleanup_vm("task-to-clean")
    assert SHARED.find("task-to-clean") is None
    with pytest.raises(SandboxError, match="closed"):
        asyncio.run(sandbox.exec("true", timeout=5))
    cleanup_vm("task-to-clean")
