"""A command that goes on while the conversation does."""

from __future__ import annotations

import asyncio
import os
import time

from sandboxes.process_tree import wait_gone
from sandboxes.running_command import RunningCommand
from sandboxes.sandbox import BoundedOutput, SandboxError

KILL_GRACE = 1.0
"""Seconds between TERM and KILL."""
WRITE_TIMEOUT = 10.0
"""Seconds a process may leave its input unread before `write` gives up."""


class LocalProcess:
    """Fulfils `BackgroundProcess` for a command of the local sandbox.

    Args:
        output_limit: characters `new_output` and `log` give at most.
        stdin: the writing end of its input pipe, -1 if it has none; non-blocking, owned from here on.
        adopted: the shell that began it has ended, and what that left behind is the process.
    """

    def __init__(
        self, id: str, text: str, running: RunningCommand, output_limit: int, *, stdin: int = -1,
        adopted: bool = False,
    ) -> None:  # fmt: skip
        self.id = id
        self.command = text
        self.started = time.time()
        self.running = running
        self._limit = output_limit
        self._input = InputPipe(id, stdin)
        self._adopted = adopted
        running.capture.watch()

    @property
    def exit_code(self) -> int | None:
        """None while it runs. Of an adopted process only its shell's exit code is known."""
        if self._adopted and self.running.living():
            return None
        return self.running.exit_code

    def new_output(self) -> BoundedOutput:
        return self.running.capture.new_output(self._limit)

    def log(self, tail_bytes: int) -> BoundedOutput:
        return self.running.capture.tail(min(tail_bytes, self._limit))

    async def wait(self, timeout: float) -> int | None:
        if self._adopted:
            await wait_gone(self.running.living(), timeout)
            return self.exit_code
        return await self.running.wait(timeout)

    async def write(self, data: bytes, *, end: bool = False) -> None:
        """Send `data` to its input; `end` closes it. Raises SandboxError if it does not take it."""
        await self._input.write(data, end=end)

    async def kill(self, grace: float = KILL_GRACE) -> None:
        await self.running.end(grace)
        if not self._adopted:
            await self.running.wait(KILL_GRACE)
        self.close_input()

    async def result(self) -> BoundedOutput:
        return self.running.capture.result(self._limit)

    def close_input(self) -> None:
        self._input.close()


class InputPipe:
    """The writing end of a process's input; non-blocking, owned from here on. -1: it has none."""

    def __init__(self, id: str, descriptor: int) -> None:
        self._id = id
        self._descriptor = descriptor

    async def write(self, data: bytes, *, end: bool = False) -> None:
        """Send `data`; `end` closes it. Raises SandboxError if it is not taken."""
        if self._descriptor < 0:
            raise SandboxError(f"{self._id} has no open input")
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                while data:
                    data = await self._write_some(data)
        except BrokenPipeError:
            end = True
            raise SandboxError(f"{self._id} has closed its input") from None
        except TimeoutError:
            raise SandboxError(f"{self._id} does not read its input; {len(data)} bytes not sent") from None
        finally:
            if end:
                self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _write_some(self, data: bytes) -> bytes:
        try:
            return data[os.write(self._descriptor, data) :]
        except BlockingIOError:
            loop = asyncio.get_running_loop()
            writable = asyncio.Event()
            loop.add_writer(self._descriptor, writable.set)
            try:
                await writable.wait()
            finally:
                loop.remove_writer(self._descriptor)
            return data
