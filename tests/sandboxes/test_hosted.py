"""What hosts do to a sandbox at the worst of times: they go, come late, or lose what was said."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import shlex
import shutil
import subprocess
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

import sandboxes
from model_tools import call_tool
from safety.gate import Gate
from sandboxes.foothold import OWN_FOLDER
from sandboxes.host import Program
from sandboxes.hosted import HostedSandbox
from sandboxes.process_tree import find_tree
from sandboxes.reports import Reports
from sandboxes.sandbox import SandboxError
from tests.sandboxes.conformance.plain_host import PlainHost
from tools.catalog import load_tool
from tools.runtime import ToolRuntime

SCRIPTS = Path(sandboxes.__path__[0])


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


class Slow(PlainHost):
    """Takes its time to go."""

    async def stop(self) -> None:
        await asyncio.sleep(0.3)


class Fragile(PlainHost):
    """Goes with what is in it; nothing can be started in it then."""

    lasting = False

    def __init__(self, cwd: str) -> None:
        super().__init__(cwd)
        self.is_there = False
        self.refused = 0

    async def start(self, identity: str) -> None:
        self.is_there = True

    async def stop(self) -> None:
        self.is_there = False

    async def is_up(self) -> bool:
        return self.is_there

    async def launch(self, argv: Sequence[str], **how: Any) -> Program:
        if not self.is_there:
            self.refused += 1
            raise SandboxError("it is gone")
        return await super().launch(argv, **how)


class Falling(Fragile):
    """Goes while a program runs that is killed by that."""

    async def launch(self, argv: Sequence[str], **how: Any) -> Program:
        program = await super().launch(argv, **how)
        if "kill -9 $$" in argv:
            self.is_there = False
        return program


class Deaf(PlainHost):
    """Loses the connection when the first command has begun, and its word of that."""

    def __init__(self, cwd: str) -> None:
        super().__init__(cwd)
        self.lost = False
        self.was_lost = False

    async def launch(self, argv: Sequence[str], *, reports: Reports, **how: Any) -> Program:
        if self.was_lost or not any(word.endswith("supervise.sh") for word in argv):
            return await super().launch(argv, reports=reports, **how)
        self.lost = self.was_lost = True
        return await super().launch(argv, reports=Reports(), **how)

    async def is_up(self) -> bool:
        was, self.lost = self.lost, False
        return not was


@in_a_loop
async def test_who_stops_waiting_for_a_host_does_not_keep_it_from_others(tmp_path: Path) -> None:
    sandbox = HostedSandbox("t", Slow(str(tmp_path)))
    await sandbox.exec("true", timeout=10)
    going = asyncio.create_task(sandbox._foothold.down())
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(sandbox.exec("true", timeout=10))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await going
    assert (await asyncio.wait_for(sandbox.exec("echo on", timeout=10), 10)).output.text == "on\n"
    await sandbox.close()


@in_a_loop
async def test_that_a_place_is_new_is_told_by_the_next_command_whoever_found_out(tmp_path: Path) -> None:
    sandbox = HostedSandbox("t", Fragile(str(tmp_path)))
    await sandbox.exec("export KEPT=1", timeout=10)
    shutil.rmtree(sandbox._foothold.folder)
    await sandbox._foothold.down()
    await sandbox.write_file("a", b"1")
    result = await sandbox.exec('echo "${KEPT-gone}"', timeout=10)
    assert result.output.text == "gone\n"
    assert "started anew" in result.note
    assert (await sandbox.exec("true", timeout=10)).note == ""
    await sandbox.close()


@in_a_loop
async def test_a_command_whose_beginning_was_not_heard_of_is_not_run_a_second_time(tmp_path: Path) -> None:
    sandbox = HostedSandbox("t", Deaf(str(tmp_path)))
    result = await sandbox.exec("echo once >> count", timeout=10)
    assert (tmp_path / "count").read_text() == "once\n"
    assert result.exit_code != 0
    assert "had begun already" in result.note
    assert (await sandbox.exec("echo on", timeout=10)).output.text == "on\n"
    await sandbox.close()


@pytest.mark.parametrize("sent", [b"", b"touch half", b"touch half\0"])
def test_of_a_command_that_came_by_half_nothing_is_run(tmp_path: Path, sent: bytes) -> None:
    for name in ("supervise.sh", "shell_state.sh"):
        shutil.copy(SCRIPTS / name, tmp_path)
    words = [str(tmp_path / "supervise.sh"), "token", "1", "", "marker.", "", str(tmp_path), ""]
    subprocess.run(["bash", *words], input=sent, capture_output=True, timeout=10, check=False)
    assert (tmp_path / "half").exists() == sent.endswith(b"\0")


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_came_by_half_replaces_nothing(tmp_path: Path, there: bool) -> None:
    file = tmp_path / "file"
    if there:
        file.write_text("old")
    words = [str(SCRIPTS / "files.sh"), "write", str(file), "keep", "8"]
    done = subprocess.run(["bash", *words], input=b"half", capture_output=True, timeout=10, check=False)
    assert done.returncode == 1
    assert [each.read_text() for each in tmp_path.iterdir()] == (["old"] if there else [])


@in_a_loop
async def test_a_place_is_never_given_up_under_a_command(tmp_path: Path) -> None:
    host = Fragile(str(tmp_path))
    sandbox = HostedSandbox("t", host, lifetime=0.001)
    for _ in range(60):
        assert (await sandbox.exec("echo on", timeout=10)).output.text == "on\n"
        await asyncio.sleep(random.uniform(0, 0.003))
    assert host.refused == 0
    await sandbox.close()


@pytest.mark.parametrize("cwd", [OWN_FOLDER, ""])
@in_a_loop
async def test_the_first_call_already_knows_where_relative_paths_lead(tmp_path: Path, cwd: str) -> None:
    host = PlainHost(cwd)
    host.environment = {**host.environment, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    sandbox = HostedSandbox("t", host)
    gate = Gate("yolo", workspace=str(tmp_path), explicit=True)
    runtime = ToolRuntime("t", sandbox, gate)
    reply = await call_tool(load_tool("write_file"), {"path": "note.txt", "content": "x"}, runtime)
    assert reply.status == "ok"
    assert (await sandbox.exec("cat note.txt", timeout=10)).output.text == "x"
    assert Path(sandbox.cwd, "note.txt").is_relative_to(tmp_path)
    await sandbox.close()


@in_a_loop
async def test_what_a_program_would_have_said_is_not_taken_for_nothing_when_its_host_goes(
    tmp_path: Path,
) -> None:
    sandbox = HostedSandbox("t", Falling(str(tmp_path)))
    with pytest.raises(SandboxError, match="while bash ran"):
        await sandbox.run(["bash", "-c", "kill -9 $$"], timeout=10, max_bytes=100)
    assert await sandbox.run(["echo", "on"], timeout=10, max_bytes=100) == (0, b"on\n")
    await sandbox.close()


@pytest.mark.parametrize("word", ["a\0b", "a\ud800b"])
@in_a_loop
async def test_a_word_that_can_be_no_argument_is_refused_and_harms_nothing(tmp_path: Path, word: str) -> None:
    sandbox = HostedSandbox("t", Fragile(str(tmp_path)))
    await sandbox.exec("export KEPT=1", timeout=10)
    with pytest.raises(SandboxError, match="neither NUL nor half a character"):
        await sandbox.run(["echo", word], timeout=10, max_bytes=100)
    assert (await sandbox.exec("echo $KEPT", timeout=10)).output.text == "1\n"
    await sandbox.close()


@in_a_loop
async def test_closing_ends_also_what_ignores_being_asked(tmp_path: Path) -> None:
    sandbox = HostedSandbox("t", PlainHost(str(tmp_path)))
    script = "trap '' TERM; echo $$ > pid; exec sleep 60"
    await sandbox.exec(f"setsid bash -c {shlex.quote(script)} < /dev/null &> /dev/null &", timeout=10)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.02)
    await sandbox.close()
    assert not find_tree(f"{sandbox.identity}.", ())
