"""A server that is started here: messages one a line on its stdin and stdout, everything else held off.

The SDK's own transport lets a line grow without end and reads what was printed by mistake as a fault; this
one gives the SDK's session what it expects and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from sandboxes.lifeline import Lifeline
from sandboxes.process_tree import MARKER, end_tree, find_tree, kill_tree, wait_gone
from tools.mcp.launch import Launch

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Incoming = MemoryObjectSendStream[SessionMessage | Exception]
    Outgoing = MemoryObjectReceiveStream[SessionMessage]

LONGEST_MESSAGE = 16_000_000
"""Bytes of one message; a longer one is not kept."""
KEPT_OF_STDERR = 64_000
LEAVE_WITHIN = 1.0
"""Seconds a server has once its stdin is closed."""
TERM_GRACE = 0.5
_CHUNK = 256 * 1024
_QUEUE = 256
_HEARD = frozenset({"notifications/tools/list_changed", "notifications/cancelled"})
"""Of what a server tells unasked; its logs and its progress are not listened to."""
_ID = re.compile(rb'"id"\s*:\s*(\d+)')


class ServerProcess:
    """One running server and its children. `on_end` is called once, when nothing more can come from it."""

    def __init__(self, launch: Launch, on_end: Callable[[], None]) -> None:
        self._launch = launch
        self._on_end = on_end
        self._identity = secrets.token_hex(16)
        self._process: asyncio.subprocess.Process | None = None
        self._lifeline: Lifeline | None = None
        self._stderr = bytearray()
        self._asked: dict[int, None] = {}
        self._is_over = False
        self.stray_lines = 0
        """Lines on stdout that are no message."""

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process is not None else None

    @property
    def stderr(self) -> str:
        """The end of what it wrote there, as it is: not for a screen, and not for a model."""
        return self._stderr.decode("utf-8", "replace")

    def kill(self) -> None:
        """At once, the whole tree; what still waits for it is woken."""
        if not self._is_over:  # later its group may be another's
            kill_tree(self._identity, self._groups())

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[Any, Any]]:
        """Start it. What is read from it and written to it, as the SDK's session takes them. OSError."""
        import anyio
        from mcp.shared.message import SessionMessage

        await self._start()
        incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](_QUEUE)
        write, outgoing = anyio.create_memory_object_stream[SessionMessage](_QUEUE)
        works = [
            asyncio.create_task(work)
            for work in (
                self._read_messages(incoming), self._write_messages(outgoing, incoming), self._read_stderr(),
                self._watch(incoming),
            )
        ]  # fmt: skip
        try:
            yield read, write
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await self._end()
                finally:
                    for work in works:
                        work.cancel()
                    await asyncio.gather(*works, return_exceptions=True)
                    for stream in (incoming, read, write, outgoing):
                        stream.close()

    async def _start(self) -> None:
        launch = self._launch
        environment = {**launch.environment, MARKER: self._identity}
        bash = shutil.which("bash", path=environment["PATH"]) or "/bin/bash"
        # Before the server: hermes may be killed at any moment from its start on.
        self._lifeline = Lifeline(bash, self._identity, environment["PATH"])
        self._lifeline.start()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *launch.argv, env=environment, cwd=launch.folder, start_new_session=True, limit=_CHUNK,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except BaseException:
            self.kill()
            self._lifeline.close()
            raise
        self._lifeline.watch(self._process.pid)

    async def _read_messages(self, incoming: Incoming) -> None:
        try:
            await self._read_lines(incoming)
        finally:
            self._ended(incoming)

    async def _read_lines(self, incoming: Incoming) -> None:
        assert self._process is not None and self._process.stdout is not None
        line, dropped, ends = bytearray(), False, b""
        while chunk := await self._process.stdout.read(_CHUNK):
            *whole, rest = chunk.split(b"\n")
            for piece in whole:
                line += piece
                if dropped:
                    await self._too_long(incoming, ends + line[-200:])
                else:
                    await self._take(bytes(line), incoming)
                line.clear()
                dropped = False
            line += rest
            if len(line) > LONGEST_MESSAGE or dropped:
                ends = ends if dropped else bytes(line[:200])
                dropped = True
                del line[:-200]

    async def _take(self, line: bytes, incoming: Incoming) -> None:
        from mcp.shared.message import SessionMessage
        from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCResponse, jsonrpc_message_adapter

        if not line.strip():
            return
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            self.stray_lines += 1
            return
        if isinstance(message, JSONRPCNotification) and message.method not in _HEARD:
            return
        if isinstance(message, (JSONRPCResponse, JSONRPCError)) and isinstance(message.id, int):
            self._asked.pop(message.id, None)
        await _pass_on(incoming, SessionMessage(message))

    async def _too_long(self, incoming: Incoming, ends: bytes) -> None:
        """Whoever waits for that answer is told, so that the connection can stay."""
        from mcp.shared.message import SessionMessage
        from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError

        named = [int(each) for each in _ID.findall(ends) if int(each) in self._asked]
        told = f"the answer is longer than {LONGEST_MESSAGE // 1_000_000} MB and was not read; ask for less"
        for number in named or list(self._asked):
            self._asked.pop(number, None)
            error = JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=INTERNAL_ERROR, message=told))
            await _pass_on(incoming, SessionMessage(error))

    async def _write_messages(self, outgoing: Outgoing, incoming: Incoming) -> None:
        from mcp_types import JSONRPCRequest

        assert self._process is not None and self._process.stdin is not None
        try:
            async for sent in outgoing:
                if isinstance(sent.message, JSONRPCRequest) and isinstance(sent.message.id, int):
                    self._asked[sent.message.id] = None
                data = sent.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                self._process.stdin.write(data)
                await self._process.stdin.drain()
        except (OSError, ValueError):
            self._ended(incoming)

    async def _read_stderr(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        while chunk := await self._process.stderr.read(_CHUNK):
            self._stderr += chunk
            del self._stderr[:-KEPT_OF_STDERR]

    async def _watch(self, incoming: Incoming) -> None:
        """A child that outlives the server may hold its stdout open, and nothing would come any more."""
        assert self._process is not None
        if hasattr(os, "pidfd_open"):
            await wait_gone([self._process.pid], 10.0**8)
            await asyncio.sleep(TERM_GRACE)  # what it has said before it died is read first
            self._ended(incoming)

    def _ended(self, incoming: Incoming) -> None:
        incoming.close()
        self._on_end()

    async def _end(self) -> None:
        process = self._process
        assert process is not None and process.stdin is not None and self._lifeline is not None
        try:
            process.stdin.close()
            await wait_gone([process.pid], LEAVE_WITHIN)
            if find_tree(self._identity, self._groups()):
                await end_tree(self._identity, self._groups(), TERM_GRACE)
        finally:
            self.kill()
            self._is_over = True
            self._lifeline.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TERM_GRACE):  # no pipe is held any more
                    await process.wait()
            _close_pipes(process)

    def _groups(self) -> tuple[int, ...]:
        return (self._process.pid,) if self._process is not None else ()


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    """Nothing public does; left open they are a warning when they are collected."""
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


async def _pass_on(incoming: Incoming, message: SessionMessage) -> None:
    import anyio

    with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        await incoming.send(message)
