"""One run of a script: started in the sandbox, its calls answered, ended in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import secrets
import shlex
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conversation.event import ToolOutput
from safety.terminal_text import StreamCleaner
from sandboxes.sandbox import BackgroundProcess, BoundedOutput, SandboxError
from tools.code_execution.frames import TOO_LARGE, Frames
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import error_reply

MOST_CALLS = 50
MOST_REQUESTS = 2_000
"""Calls that are answered at all, be it with an error; a script that makes more is ended."""
MOST_ARGUMENTS = 8 * 1024 * 1024
"""Bytes of one call's arguments."""
KILL_GRACE = 0.25
NEVER_INSIDE = ("execute_code", "delegate_task", "clarify")
PREVIEW = 80
SHOWN_EVERY = 0.05
"""Seconds between two pieces of output on the screen."""
SHOWN = 16 * 1024
TIMED_OUT = 124
_INSIDE = Path(__file__).with_name("inside.py")
_BOOT = """import os, sys
if sys.path[:1] == [""]: del sys.path[0]
text = b""
while len(text) < {size}:
  piece = os.read(0, {size} - len(text))
  if not piece: sys.exit(130)
  text += piece
exec(compile(text, "hermes_tools", "exec"), {{"__name__": "hermes_tools"}})
"""


_SEARCH = """mapfile -t found < <(type -aP python3)
for python in "${found[@]}"; do "$python" -c '' 2> /dev/null && exec "$python" "$@"; done; exit 127"""
NOT_STARTED = (126, 127)


class NoPythonError(SandboxError):
    """Python did not start in the sandbox; what ended instead with `code`, and what it said."""

    def __init__(self, code: int, said: str) -> None:
        there = "where commands run"
        if code == 127:
            super().__init__(f"there is no python3 {there}; install it there, or use the terminal")
        else:
            said = said[-500:].strip()
            super().__init__(f"python3 (3.7 or newer) does not start {there}; it ended with {code}: {said}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Ended:
    """How a script ended. `exit_code` as of a command; `calls` by tool; `untrusted` as in `ToolReply`."""

    output: BoundedOutput
    exit_code: int
    timed_out: bool
    calls: Mapping[str, int]
    untrusted: str


@dataclass(slots=True)
class FoundPython:
    """Whether the first python3 on the PATH of a place does not start there: it may need what is hidden."""

    searched_for: bool = False

    def command(self, *arguments: str) -> str:
        words = " ".join(map(shlex.quote, arguments))
        return f"set -- {words}\n{_SEARCH}" if self.searched_for else f"exec python3 {words}"


@dataclass(slots=True)
class ScriptRun:
    """`seconds` is the most it may take, without the time in which a person was asked."""

    runtime: ToolRuntime
    code: str
    seconds: float
    calls: Counter[str] = field(default_factory=Counter)
    sources: list[str] = field(default_factory=list)
    problem: str = ""
    _requests: int = 0
    _answering: set[asyncio.Task[None]] = field(default_factory=set)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _process: BackgroundProcess | None = None
    _begun: bool = False

    async def run(self) -> Ended:
        """Raises SandboxError; NoPythonError where there is no python3."""
        python = self.runtime.store(FoundPython)
        try:
            return await self._try(python)
        except NoPythonError as error:
            if python.searched_for or error.code not in NOT_STARTED:
                raise
            python.searched_for = True
            try:
                return await self._try(python)
            except NoPythonError:
                python.searched_for = False
                raise error from None

    async def _try(self, python: FoundPython) -> Ended:
        token = secrets.token_hex(16)
        in_loop = _in_this_loop()
        frames = Frames(token, lambda *call: in_loop(self._hear, *call), MOST_ARGUMENTS)
        shown = _Shown(self.runtime, in_loop)
        program = _INSIDE.read_bytes() + b"\nmain()\n"
        start = json.dumps({"token": token, "code": self.code, "tools": tools_inside(self.runtime)}).encode()
        process = self._process = await self.runtime.sandbox.spawn(
            python.command("-c", _BOOT.format(size=len(program))),
            sift=lambda piece: shown.add(frames.sift(piece)),
        )
        code: int | None = None
        try:
            code = await self._supervise(process, b"%s%d\n%s" % (program, len(start), start))
        finally:
            await self._end(process)
            shown.flush()
        output = await process.result()
        if not self._begun and code is not None:
            raise NoPythonError(code, output.text)
        if self.problem:
            raise SandboxError(self.problem)
        untrusted = " and ".join(dict.fromkeys(self.sources))
        return Ended(output, TIMED_OUT if code is None else code, code is None, self.calls, untrusted)

    async def _supervise(self, process: BackgroundProcess, start: bytes) -> int | None:
        """Its exit code, None if its time was over."""
        began, questions = time.monotonic(), self.runtime.gate.questions
        asked = questions.seconds
        ended = asyncio.create_task(process.wait(math.inf))
        try:
            await self._write(start)
            while not ended.done():
                left = self.seconds - (time.monotonic() - began) + (questions.seconds - asked)
                if left <= 0:
                    return None
                await asyncio.wait({ended}, timeout=left)
                if questions.open and not ended.done():
                    answered = asyncio.create_task(questions.answered())
                    await asyncio.wait({ended, answered}, return_when=asyncio.FIRST_COMPLETED)
                    answered.cancel()
            return ended.result()
        finally:
            ended.cancel()

    async def _end(self, process: BackgroundProcess) -> None:
        """Nothing of it goes on: neither what it started nor the calls it made."""
        answering = list(self._answering)
        for task in answering:
            task.cancel()
        await asyncio.gather(process.kill(KILL_GRACE), *answering, return_exceptions=True)

    def _hear(self, number: int, payload: bytes) -> None:
        if number == 0:
            self._begun = True
            return
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            if self.problem or self._process is None:
                return
            self.problem = f"the script made more than {MOST_REQUESTS:,} calls"
            work: Coroutine[Any, Any, None] = self._process.kill(KILL_GRACE)
        else:
            work = self._answer(number, payload)
        task = asyncio.get_running_loop().create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, number: int, payload: bytes) -> None:
        reply = await self._reply_to(payload)
        if reply.untrusted:
            self.sources.append(reply.untrusted)
        body = reply.content.encode("utf-8", "replace")
        await self._write(b"%d %s %d\n%s" % (number, reply.status.encode(), len(body), body))

    async def _reply_to(self, payload: bytes) -> ToolReply:
        if payload == TOO_LARGE:
            return error_reply(f"the arguments of a call may have {MOST_ARGUMENTS:,} bytes at most")
        try:
            request = json.loads(payload)
            name, arguments = str(request["name"]), dict(request["arguments"])
        except (ValueError, TypeError, KeyError, RecursionError):
            self._tell("call: is no call")
            return error_reply("the call is not one that hermes_tools makes")
        if self.calls.total() >= MOST_CALLS:
            return error_reply(
                f"{MOST_CALLS} calls are the most a script can make; begin another for the rest"
            )
        call_tool = self.runtime.call_tool
        if call_tool is None or name in NEVER_INSIDE:
            return error_reply(f"{name} cannot be called from a script")
        self.calls[name] += 1
        self._tell(f"{name}: {_preview(arguments)}")
        reply = await call_tool(name, arguments)
        if reply.status != "ok":
            self._tell(f"{name}: {_said(reply)}")
        return reply

    async def _write(self, data: bytes) -> None:
        assert self._process is not None
        async with self._writing:
            try:
                await self._process.write(data)
            except SandboxError as error:
                if self._process.exit_code is None:  # it does not read: it cannot go on either
                    self.problem = f"the script does not take what its calls gave: {error}"
                    await self._process.kill(KILL_GRACE)

    def _tell(self, line: str) -> None:
        self.runtime.emit(ToolOutput(self.runtime.call_id, f"{line}\n"))


class _Shown:
    """Output on its way to the screen, from the thread that reads it."""

    def __init__(self, runtime: ToolRuntime, in_loop: Callable[..., None]) -> None:
        self._runtime = runtime
        self._in_loop = in_loop
        self._cleaner = StreamCleaner()
        self._pending = bytearray()
        self._waits = False

    def add(self, piece: bytes) -> bytes:
        if piece:
            self._in_loop(self._keep, piece[-SHOWN:])
        return piece

    def _keep(self, piece: bytes) -> None:
        self._pending += piece
        del self._pending[:-SHOWN]
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(SHOWN_EVERY, self.flush)

    def flush(self) -> None:
        self._waits = False
        text = self._cleaner.feed(self._pending.decode("utf-8", "replace"))
        self._pending.clear()
        if text:
            self._runtime.emit(ToolOutput(self._runtime.call_id, text))


def _in_this_loop() -> Callable[..., None]:
    """Calls what it is given in this event loop, whichever thread calls it."""
    loop = asyncio.get_running_loop()

    def call(what: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits for it any more
            loop.call_soon_threadsafe(what, *arguments)

    return call


def tools_inside(runtime: ToolRuntime) -> list[dict[str, Any]]:
    """The tools that a script can call: name, names of its parameters, what it is for."""
    functions: Sequence[dict[str, Any]] = [each["function"] for each in runtime.definitions]
    return [
        {
            "name": each["name"],
            "parameters": list(each["parameters"].get("properties", {})),
            "about": each.get("description", ""),
        }
        for each in functions
        if each["name"] not in NEVER_INSIDE
    ]


def _preview(arguments: Mapping[str, Any]) -> str:
    first = next((value for value in arguments.values() if isinstance(value, str) and value), "")
    line = " ".join(first[: PREVIEW * 2].split())
    return line if len(line) <= PREVIEW else line[: PREVIEW - 1] + "…"


def _said(reply: ToolReply) -> str:
    try:
        said = json.loads(reply.content)["error"]
    except (ValueError, KeyError, TypeError):
        said = reply.status
    return " ".join(str(said).split())[:200]
