"""Hooks round a tool's call: what they are told, what their word counts, and what a broken one does."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from configuration.tool_settings import HookSettings
from conversation.event import Event, Notice
from model_tools import call_tool
from safety.gate import EffectRequest, Gate, Mode, PermissionAnswer
from sandboxes.local import LocalSandbox
from settings import Settings
from tools.catalog import load_tool
from tools.hooks.hook_process import HookEnd, run_hook_command
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings


class Bench:
    """A runtime with hooks in a folder; what was told to the person, and what they were asked."""

    def __init__(self, root: Path, *hooks: HookSettings, mode: Mode = "yolo", answer: str = "") -> None:
        self.root = root
        self.events: list[Event] = []
        self.asked: list[tuple[EffectRequest, str]] = []
        self.answer = answer
        gate = Gate(mode, workspace=str(root), ask=self._ask if answer else None, explicit=True)
        settings = Settings(hooks=list(hooks))
        environ = {**os.environ, "OPENAI_API_KEY": "sk-very-secret-0123456789"}
        self.runtime = ToolRuntime(
            "task_1", LocalSandbox("task_1", str(root)), gate, emit=self.events.append, settings=settings,
            call_id="call_1", around=Surroundings(settings, cwd=str(root), environ=environ),
        )  # fmt: skip

    async def _ask(self, request: EffectRequest, reason: str) -> PermissionAnswer:
        self.asked.append((request, reason))
        return self.answer  # type: ignore[return-value]

    def call(self, name: str, **arguments: Any) -> ToolReply:
        return asyncio.run(call_tool(load_tool(name), arguments, self.runtime))

    def write(self, text: str = "hello") -> ToolReply:
        return self.call("write_file", path="note.txt", content=text)

    @property
    def written(self) -> bool:
        return (self.root / "note.txt").exists()

    @property
    def notices(self) -> list[Notice]:
        return [event for event in self.events if isinstance(event, Notice)]


def before(command: str, **more: Any) -> HookSettings:
    return HookSettings("before_tool", command, **more)


def after(command: str, **more: Any) -> HookSettings:
    return HookSettings("after_tool", command, **more)


def error_of(reply: ToolReply) -> str:
    return str(json.loads(reply.content)["error"])


def test_a_hook_is_told_of_the_call_in_the_working_folder_and_sees_no_key(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("cat > told.json; env > seen.env; pwd > where"))
    bench.runtime.hooks.session_id = "s1"  # type: ignore[union-attr]
    assert bench.write("héllo").status == "ok"
    told = json.loads((tmp_path / "told.json").read_text())
    assert told == {
        "event": "before_tool", "session_id": "s1", "task_id": "task_1", "call_id": "call_1",
        "cwd": str(tmp_path), "tool": "write_file",
        "arguments": {"path": str(tmp_path / "note.txt"), "content": "héllo"},
    }  # fmt: skip
    seen = (tmp_path / "seen.env").read_text()
    assert "HERMES_SESSION_ID=s1\n" in seen
    assert "HERMES_EVENT=before_tool\n" in seen
    assert "sk-very-secret" not in seen
    assert (tmp_path / "where").read_text().strip() == str(tmp_path)


def test_exit_code_2_denies_with_the_first_lines_of_stderr(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("echo 'no notes today' >&2; echo second >&2; exit 2"))
    reply = bench.write()
    assert reply.status == "denied"
    assert "says no: no notes today second" in error_of(reply)
    assert not bench.written


@pytest.mark.parametrize("said", ['{"decision": "deny", "reason": "not here"}', '{"decision":"deny"}'])
def test_a_decision_on_stdout_denies(tmp_path: Path, said: str) -> None:
    bench = Bench(tmp_path, before(f"echo '{said}'"))
    reply = bench.write()
    assert reply.status == "denied"
    assert ("not here" if "not here" in said else "it gave no reason") in error_of(reply)
    assert not bench.written


def test_ask_has_the_person_asked_although_the_policy_allows(tmp_path: Path) -> None:
    said = """echo '{"decision": "ask", "reason": "is this wanted?"}'"""
    bench = Bench(tmp_path, before(said), mode="yolo", answer="session")
    for _ in range(2):
        reply = bench.write()
        assert (reply.status, reply.approval) == ("ok", "once")
    assert len(bench.asked) == 2  # no grant stands for what a hook asks for
    request, reason = bench.asked[0]
    assert "is this wanted?" in reason
    assert request.grant == ""


def test_ask_is_no_where_nobody_is_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("""echo '{"decision": "ask", "reason": "wanted?"}'"""), mode="yolo")
    reply = bench.write()
    assert reply.status == "denied"
    assert "nobody is here to approve it" in error_of(reply)
    assert not bench.written


def test_ask_does_not_open_what_the_policy_denies(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("""echo '{"decision": "ask"}'"""), mode="deny", answer="once")
    assert bench.write().status == "denied"
    assert bench.asked == []


def test_allow_widens_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("""echo '{"decision": "allow"}'"""), mode="ask")
    assert bench.write().status == "denied"
    assert not bench.written


def test_the_strictest_of_several_hooks_wins_and_a_no_ends_the_asking(tmp_path: Path) -> None:
    ask = before("""echo '{"decision": "ask", "reason": "first"}'""")
    allow = before("""echo '{"decision": "allow"}'""")
    deny = before("echo never >&2; exit 2")
    late = before("touch late")
    bench = Bench(tmp_path, allow, ask, allow, mode="yolo", answer="once")
    assert bench.write().status == "ok"
    assert len(bench.asked) == 1
    bench = Bench(tmp_path, ask, deny, late, mode="yolo", answer="once")
    assert "never" in error_of(bench.write())
    assert bench.asked == []
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("exit 1", "exit code 1"),
        ("echo broken >&2; exit 7", "exit code 7: broken"),
        ("no-such-program-anywhere", "exit code 127"),
        ("kill -9 $$", "exit code 137"),
        ("sleep 30", "did not end within 0.3 s"),
        ("echo fine, go on", "on stdout it may say nothing"),
        ('echo \'{"decision": "dney"}\'', "on stdout it may say nothing"),
        ("echo '{}'", "on stdout it may say nothing"),
        ("echo '[1]'", "on stdout it may say nothing"),
        ("yes", "wrote more than 64000 bytes"),
    ],
)
def test_a_broken_hook_closes_the_gate_if_it_is_required_and_is_a_warning_else(
    tmp_path: Path, command: str, word: str
) -> None:
    hook = before(command, timeout=0.3)
    bench = Bench(tmp_path, msgspec.structs.replace(hook, required=True))
    reply = bench.write()
    assert reply.status == "denied"
    assert word in error_of(reply)
    assert not bench.written
    bench = Bench(tmp_path, hook)
    assert bench.write().status == "ok"
    assert bench.write().status == "ok"
    (notice,) = bench.notices
    assert notice.level == "warning"
    assert word in notice.text


def test_a_hook_for_other_tools_is_not_asked(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, before("exit 2", tools=["terminal", "web_*"]), before("touch seen", tools=["write_*"])
    )
    assert bench.write().status == "ok"
    assert (tmp_path / "seen").exists()


def test_a_working_folder_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("true", required=True))
    assert bench.runtime.hooks is not None
    bench.runtime.hooks.around = replace(bench.runtime.around, cwd=str(tmp_path / "gone"))
    reply = bench.write()
    assert reply.status == "denied"
    assert "cannot be started" in error_of(reply)


def test_what_a_hook_started_is_ended_with_it_when_its_time_is_over(tmp_path: Path) -> None:
    script = "trap '' TERM; (trap '' TERM; setsid sleep 41.7) & echo $! > pid; sleep 41.7"
    bench = Bench(tmp_path, before(script, timeout=0.3, required=True))
    began = time.monotonic()
    assert bench.write().status == "denied"
    assert time.monotonic() - began < 5
    time.sleep(0.05)
    assert not living("41.7")


def test_a_hook_that_leaves_something_behind_does_not_hold_the_call(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("sleep 3.77 & echo $! > pid"), after("sleep 3.77 & exit 0"))
    began = time.monotonic()
    assert bench.write().status == "ok"
    assert time.monotonic() - began < 2
    assert living("3.77")  # it was started on purpose, and stays
    for pid in living("3.77"):
        os.kill(pid, 9)


def test_a_hook_that_no_descriptor_is_left_for_is_a_failure(tmp_path: Path) -> None:
    async def run() -> HookEnd:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return await run_hook_command("true", b"", cwd="/", environment={}, timeout=5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in taken:
                os.close(descriptor)

    assert asyncio.run(run()).problem == "it cannot be started: Too many open files"


def test_no_zombie_is_left(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("true"), before("sleep 9", timeout=0.1))
    for _ in range(3):
        bench.write()
    time.sleep(0.1)
    children = [stat for stat in stats() if int(stat[1]) == os.getpid()]
    assert [stat for stat in children if stat[0] == "Z"] == []


def stats() -> list[list[str]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                found.append((folder / "stat").read_text().rpartition(")")[2].split())
            except OSError:
                continue
    return found


def living(argument: str) -> list[int]:
    """Ids of `sleep ARGUMENT` processes."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argument.encode() in words:
            found.append(int(folder.name))
    return found


def test_a_cancelled_call_ends_its_hook_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("sleep 43.1"))

    async def cancel() -> None:
        task = asyncio.create_task(
            call_tool(load_tool("write_file"), {"path": "note.txt", "content": "x"}, bench.runtime)
        )
        while not living("43.1"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert not living("43.1")
    assert not bench.written


def test_a_result_stands_though_its_after_hook_is_interrupted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, after("sleep 44.2"))
    kept: list[ToolReply] = []

    async def work() -> None:
        kept.append(
            await call_tool(load_tool("write_file"), {"path": "note.txt", "content": "x"}, bench.runtime)
        )
        await asyncio.sleep(30)

    async def cancel() -> None:
        task = asyncio.create_task(work())
        while not living("44.2"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.monotonic()
    asyncio.run(cancel())
    assert time.monotonic() - began < 5
    assert kept[0].status == "ok"
    assert not living("44.2")


def test_an_after_hook_is_told_the_result_and_changes_nothing(tmp_path: Path) -> None:
    noisy = after('cat > told.json; echo \'{"decision": "deny"}\'; echo rubbish', tools=["read_file"])
    bench = Bench(tmp_path, noisy)
    (tmp_path / "big.txt").write_text("line of text\n" * 5_000)
    plain = Bench(tmp_path).call("read_file", path="big.txt", limit=2000)
    reply = bench.call("read_file", path="big.txt", limit=2000)
    assert reply.content == plain.content
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["event"], told["tool"], told["status"]) == ("after_tool", "read_file", "ok")
    assert told["content"] == reply.content[:20_000]
    assert told["cut"] == (len(reply.content) > 20_000)
    assert told["seconds"] >= 0
    assert bench.notices == []


def test_an_after_hook_is_told_of_a_failed_call_and_not_of_a_denied_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, after("cat >> told"), mode="deny")
    assert bench.write().status == "denied"
    assert not (tmp_path / "told").exists()
    assert bench.call("read_file", path="missing.txt").status == "error"
    assert json.loads((tmp_path / "told").read_text())["status"] == "error"


def test_a_failing_after_hook_is_told_of_each_time_if_required_and_once_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path, after("exit 3", required=True), after("exit 4"))
    for _ in range(2):
        assert bench.write().status == "ok"
    assert [notice.level for notice in bench.notices] == ["error", "warning", "error"]
    assert "exit code 3" in bench.notices[0].text


def test_arguments_that_do_not_fit_reach_no_hook(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("touch seen"))
    assert bench.call("write_file", path="note.txt").status == "error"
    assert not (tmp_path / "seen").exists()


def test_a_large_call_reaches_a_hook_whole_and_one_that_does_not_read_it_is_fine(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before("true"), before("wc -c > size"))
    assert bench.write("x" * 3_000_000).status == "ok"
    assert int((tmp_path / "size").read_text()) > 3_000_000


def test_hostile_text_of_a_hook_is_made_harmless(tmp_path: Path) -> None:
    bench = Bench(tmp_path, before(r"printf '\033]0;owned\007no\n' >&2; exit 2"))
    assert "\x1b" not in error_of(bench.write())


def test_without_hooks_none_of_it_is_imported() -> None:
    code = (
        "import sys, run_agent, model_tools; from tools.runtime import ToolRuntime; "
        "from safety.gate import Gate; from sandboxes.local import LocalSandbox; "
        "ToolRuntime('t', LocalSandbox('t', '/'), Gate('ask', workspace='/')); "
        "print([name for name in sys.modules if name.startswith('tools.hooks')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
