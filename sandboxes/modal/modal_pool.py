"""Pools at Modal: many slots in few `modal.Sandbox`es, of several profiles at once.

A slot is an account of its own in a sandbox, with a folder that no other may enter; what it leaves, processes
and files, is found and removed by that account.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandboxes.bounded_output import OutputCapture
from sandboxes.executor.tools import FILE_LIMIT, OUTPUT_LIMIT, BadCall, wanted
from sandboxes.hosted import HostedSandbox
from sandboxes.modal.modal_host import ModalHost
from sandboxes.modal.modal_program import ModalProgram
from sandboxes.modal.modal_service import ModalOrder, modal_order
from sandboxes.pools.contract import SandboxLost, Slot, ToolCall, ToolResult
from sandboxes.pools.provider import RESET_SECONDS
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
from sandboxes.reports import Reports
from sandboxes.sandbox import SandboxError
from settings import Settings

_ACCOUNTS = 20_000
_FOLDER = "/slots"
_SCRIPT = Path(__file__).with_name("modal_slots.sh")
_NAME = "modal pool"


@dataclass(frozen=True, slots=True)
class ProfileLimits:
    """How much of one profile: `slots` in each sandbox, so many sandboxes at least and at most."""

    slots: int = 10
    minimum: int = 1
    maximum: int = 10


class ModalToolBackend:
    """Fulfils `ToolBackend`. Each profile has a pool of its own.

    Args:
        profiles: by name, as in `modal.profiles`; "" is the section's own values. Only the one that
            `modal.profile` names if None.
        environ: of hermes, for the tokens.

    Raises SandboxError if there is no such profile.
    """

    def __init__(
        self,
        settings: Settings,
        profiles: Mapping[str, ProfileLimits] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        chosen = profiles or {settings.modal.profile: ProfileLimits()}
        self._usual = settings.modal.profile if settings.modal.profile in chosen else next(iter(chosen))
        self.pools: dict[str, SlotPool] = {}
        for name, limits in chosen.items():
            provider = ModalProvider(modal_order(settings, environ, name), name, limits.slots, environ)
            self.pools[name] = SlotPool(provider, PoolLimits(limits.minimum, limits.maximum))

    async def start(self) -> None:
        """See `ToolBackend.start`."""
        try:
            await asyncio.gather(*(pool.start() for pool in self.pools.values()))
        except BaseException:
            await self.stop()
            raise

    async def stop(self, purge: bool = False) -> None:
        """See `ToolBackend.stop`."""
        await asyncio.gather(*(pool.stop(purge) for pool in self.pools.values()))

    async def acquire(self, task_id: str, profile: str | None = None) -> Slot:
        """See `ToolBackend.acquire`. `profile`: one of those this was made with; the usual one if None."""
        name = self._usual if profile is None else profile
        if name not in self.pools:
            known = ", ".join(sorted(self.pools))
            raise SandboxError(f"{_NAME}: it has no profile {name!r}; it has: {known}")
        return await self.pools[name].acquire(task_id)

    async def release(self, slot: Slot, reset: bool = True) -> None:
        """See `ToolBackend.release`."""
        await self._pool(slot).release(slot, reset)

    async def execute_batch(
        self, calls: Sequence[ToolCall], timeout: float
    ) -> list[ToolResult | SandboxLost]:
        """See `ToolBackend.execute_batch`."""
        results: dict[int, ToolResult | SandboxLost] = {}

        async def in_one(pool: SlotPool) -> None:
            mine = [index for index, call in enumerate(calls) if self._pool(call[0]) is pool]
            if mine:
                found = await pool.execute_batch([calls[index] for index in mine], timeout)
                results.update(zip(mine, found, strict=True))

        await asyncio.gather(*(in_one(pool) for pool in self.pools.values()))
        return [results[index] for index in range(len(calls))]

    def _pool(self, slot: Slot) -> SlotPool:
        return self.pools[slot.sandbox_id.rpartition("/")[0]]


class ModalProvider:
    """Fulfils `SandboxProvider` for one profile."""

    name = _NAME
    replaces = False

    def __init__(self, order: ModalOrder, profile: str, slots: int, environ: Mapping[str, str]) -> None:
        self._order = order
        self._profile = profile
        self._slots = slots
        self._environ = environ

    async def start_sandbox(self) -> ModalPooledSandbox:
        """See `SandboxProvider`."""
        host = ModalHost(self._order, f"pool-{self._profile}", self._environ)
        sandbox = ModalPooledSandbox(f"{self._profile}/{secrets.token_hex(6)}", host, self._slots)
        try:
            await host.start("")
            await sandbox.prepare(range(self._slots))
        except BaseException:
            await sandbox.stop()
            raise
        return sandbox

    def may_stop(self, sandbox: object) -> bool:
        return True

    async def close(self, purge: bool) -> None:
        """Nothing is shared by its sandboxes."""


class ModalPooledSandbox:
    """Fulfils `PooledSandbox`."""

    def __init__(self, id: str, host: ModalHost, slots: int) -> None:
        self.id = id
        self.slots = slots
        self.died: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._host = host
        self._tasks: dict[int, _SlotTask] = {}
        loop = asyncio.get_running_loop()

        def gone(why: str) -> None:
            with contextlib.suppress(RuntimeError):  # the pool's loop is closed
                loop.call_soon_threadsafe(self._die, why)

        host.on_gone = gone

    def lease(self, number: int) -> str:
        return self._tasks[number].lease

    async def prepare(self, numbers: Sequence[int]) -> None:
        """Make slots as if nobody had ever used them. Raises SandboxLost."""
        for number in numbers:
            if (task := self._tasks.pop(number, None)) is not None:
                await task.sandbox.close()
        script = await asyncio.to_thread(_SCRIPT.read_text, "utf-8")
        places = [each for number in numbers for each in (str(_ACCOUNTS + number), f"{_FOLDER}/{number}")]
        reports = Reports()
        program = await self._host.launch(
            ["bash", "--noprofile", "--norc", "-c", script, "bash", *places],
            stdin=subprocess.DEVNULL, capture=OutputCapture(None), reports=reports, marker="",
        )  # fmt: skip
        try:
            code = await program.wait(RESET_SECONDS)
        finally:
            program.kill()
        if code != 0:
            raise SandboxLost(f"{_NAME}: a slot cannot be made: {reports.other or 'it took too long'}")
        for number in numbers:
            self._tasks[number] = _SlotTask(_SlotHost(self._host, number))

    async def execute(self, calls: Sequence[ToolCall], timeout: float) -> list[ToolResult | SandboxLost]:
        """See `PooledSandbox`."""
        results: dict[int, ToolResult | SandboxLost] = {}

        async def in_one(number: int) -> None:
            for index, (slot, tool, args) in enumerate(calls):
                if slot.number == number:
                    results[index] = await self._one(slot, tool, args, timeout)

        await asyncio.gather(*(in_one(number) for number in {call[0].number for call in calls}))
        return [results[index] for index in range(len(calls))]

    async def reset(self, number: int) -> None:
        """See `PooledSandbox`."""
        await self.prepare([number])

    async def check(self) -> None:
        """See `PooledSandbox`."""
        if not await self._host.is_up():
            raise SandboxLost(f"{_NAME}: {self._host.why_gone()}")

    async def stop(self) -> None:
        """See `PooledSandbox`."""
        await self._host.stop()
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            await task.sandbox.close()

    async def _one(
        self, slot: Slot, tool: str, args: Mapping[str, Any], timeout: float
    ) -> ToolResult | SandboxLost:
        task = self._tasks.get(slot.number)
        if task is None or task.lease != slot.lease:
            return SandboxLost(f"{_NAME}: the slot has been reset; acquire another")
        id = secrets.token_hex(16)
        try:
            result = await task.call(tool, dict(args), timeout, id)
        except BadCall as error:
            return ToolResult(False, "", str(error), id)
        except OSError as error:
            result = ToolResult(False, "", error.strerror or str(error), id, {"errno": error.errno})
        except SandboxError as error:
            return SandboxLost(f"{_NAME}: {error}")
        if self._host.is_gone:
            return SandboxLost(f"{_NAME}: {self._host.why_gone()}")
        return result

    def _die(self, why: str) -> None:
        if not self.died.done():
            self.died.set_result(f"{_NAME}: {why}")


class _SlotHost:
    """Fulfils `Host`: the sandbox, as the account of one slot."""

    name = "modal"
    cwd = ""
    lasting = True
    on_death: Sequence[str] = ()

    def __init__(self, host: ModalHost, number: int) -> None:
        self.confinement = replace(host.confinement)
        self.environment = host.environment
        self._host = host
        account, home = str(_ACCOUNTS + number), f"{_FOLDER}/{number}"
        self._line = [
            "setpriv", "--reuid", account, "--regid", account, "--clear-groups", "--no-new-privs",
            "env", f"HOME={home}", f"TMPDIR={home}/.tmp", "USER=slot", "LOGNAME=slot",
        ]  # fmt: skip

    async def start(self, identity: str) -> None:
        """See `Host.start`. One that is lost stays so: the pool has others."""
        if self._host.is_gone:
            raise SandboxError(self._host.why_gone())

    async def launch(
        self,
        argv: Sequence[str],
        *,
        stdin: int,
        capture: OutputCapture,
        reports: Reports,
        marker: str,
        on_text: Callable[[str], None] | None = None,
        stop_after: int | None = None,
    ) -> ModalProgram:
        """See `Host.launch`."""
        return await self._host.launch(
            [*self._line, *argv], stdin=stdin, capture=capture, reports=reports, marker=marker,
            on_text=on_text, stop_after=stop_after,
        )  # fmt: skip

    async def is_up(self) -> bool:
        return await self._host.is_up()

    def why_gone(self) -> str:
        return self._host.why_gone()

    async def stop(self) -> None:
        """It stays, for the other slots."""


class _SlotTask:
    """The tools of one life of a slot; see contract.ToolCall."""

    def __init__(self, host: _SlotHost) -> None:
        self.lease = secrets.token_hex(8)
        self.sandbox = HostedSandbox("slot", host, output_limit=OUTPUT_LIMIT)

    async def call(self, tool: str, args: dict[str, Any], timeout: float, id: str) -> ToolResult:
        """Raises BadCall, OSError, SandboxError."""
        tools = {"bash": self._bash, "read_file": self._read, "write_file": self._write}
        if tool not in tools:
            raise BadCall(f"there is no tool {tool!r}; there are {', '.join(sorted(tools))}")
        return await tools[tool](args, timeout, id)

    async def _bash(self, args: dict[str, Any], timeout: float, id: str) -> ToolResult:
        command = wanted(args, "command", str)
        stdin = wanted(args, "stdin", str, "").encode()
        limit = min(wanted(args, "output_limit", int, OUTPUT_LIMIT), OUTPUT_LIMIT)
        if "\0" in command:
            raise BadCall("the command contains a NUL character; write it as \\0 instead")
        began = time.monotonic()
        result = await self.sandbox.exec(command, timeout=timeout, stdin=stdin or None)
        seconds = time.monotonic() - began
        text, cut = result.output.text, result.output.truncated
        if len(text) > limit:
            capture = OutputCapture(None)
            capture.feed(text.encode())
            text, cut = capture.result(limit).text, True
        error = f"ended after {timeout:g} s, with all it had started" if result.timed_out else result.note
        return ToolResult(
            result.exit_code == 0, text, error, id,
            {"exit_code": result.exit_code, "timed_out": result.timed_out, "seconds": seconds,
             "cwd": result.cwd, "total_bytes": result.output.total, "truncated": cut},
        )  # fmt: skip

    async def _read(self, args: dict[str, Any], timeout: float, id: str) -> ToolResult:
        path = wanted(args, "path", str)
        offset, size = wanted(args, "offset", int, 0), wanted(args, "size", int, FILE_LIMIT)
        if offset < 0 or not 0 <= size <= FILE_LIMIT:
            raise BadCall(f"offset is 0 or more and size at most {FILE_LIMIT}")
        data = await self.sandbox.read_file(path, offset=offset, size=size + 1)
        facts = {"truncated": len(data) > size, "total_bytes": min(len(data), size)}
        encoded = args.get("encoding") == "base64"
        text = base64.b64encode(data[:size]).decode() if encoded else data[:size].decode("utf-8", "replace")
        return ToolResult(True, text, "", id, facts)

    async def _write(self, args: dict[str, Any], timeout: float, id: str) -> ToolResult:
        path, content = wanted(args, "path", str), wanted(args, "content", str)
        try:
            encoded = args.get("encoding") == "base64"
            data = base64.b64decode(content, validate=True) if encoded else content.encode()
        except (binascii.Error, UnicodeEncodeError) as error:
            raise BadCall(f"content is not what its encoding says: {error}") from error
        if not args.get("append"):
            await self.sandbox.write_file(path, data)
            return ToolResult(True, "", "", id, {"total_bytes": len(data)})
        command = f"command cat >> {shlex.quote(self.sandbox.resolve(path))}"
        done = await self.sandbox.exec(command, timeout=timeout, stdin=data)
        return ToolResult(done.exit_code == 0, "", done.output.text, id, {"total_bytes": len(data)})
