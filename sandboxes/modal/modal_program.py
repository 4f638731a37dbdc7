"""A program in a sandbox at Modal; the service's client carries its streams."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from sandboxes.bounded_output import OutputCapture
from sandboxes.reports import Reports
from sandboxes.text_relay import TextRelay

LATE = 2.0
"""Seconds that the last of the output may come after word of the end."""
LEFT = 0.3
"""The same where something still holds the output, counted from the last that came."""
KILLED = 137
LOST = 255
_CHUNK = 256 * 1024
Started: TypeAlias = Any
"""A modal.container_process.ContainerProcess[bytes]."""


class ModalProgram:
    """Fulfils `Program`. Made in the event loop of the service's thread, and asked from any other.

    Args:
        start: starts it at the service.
        stdin: a descriptor that it may keep and closes, or `subprocess.DEVNULL`.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[Started]],
        stdin: int,
        capture: OutputCapture,
        reports: Reports,
        on_text: Callable[[str], None] | None,
        stop_after: int | None,
    ) -> None:
        self.capture = capture
        self.exit_code: int | None = None
        self.is_open = False
        self._stdin = stdin
        self._reports = reports
        self._relay = TextRelay(on_text)
        self._flushing: asyncio.TimerHandle | None = None
        self._stop_after = stop_after
        self._why = ""
        self._begun = False
        self._unwanted = False
        self._announcing = False
        self._waiting: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        self._last = 0.0
        self.task = asyncio.ensure_future(self._run(start))

    async def wait(self, timeout: float | None) -> int | None:
        """See `Program.wait`."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_done, ended)

        self.when_ended(notify)
        try:
            async with asyncio.timeout(timeout):
                await ended
        except TimeoutError:
            pass  # None says so
        return self.exit_code

    def when_ended(self, notify: Callable[[], None]) -> None:
        """See `Program.when_ended`."""
        self._waiting.append(notify)
        if self.exit_code is not None:
            self._notify()

    def kill(self) -> None:
        """See `Program.kill`."""
        with contextlib.suppress(RuntimeError):  # the service's loop is closed, and it ended with that
            self._loop.call_soon_threadsafe(self._break_off)

    def lose(self, why: str) -> None:
        """Its sandbox is gone. Called in its own loop."""
        self._why = self._why or why
        self._break_off()

    def _break_off(self) -> None:
        first, self._unwanted = not self._unwanted, True
        # One that has not begun, or just says that it ended, would not get to say so.
        if first and self._begun and not self._announcing:
            self.task.cancel()

    async def _run(self, start: Callable[[], Awaitable[Started]]) -> None:
        tasks: list[asyncio.Task[Any]] = []
        self._begun = True
        try:
            if self._unwanted:
                raise asyncio.CancelledError
            process = await start()
            tasks = [
                asyncio.ensure_future(work)
                for work in (
                    self._read(process.stdout), self._hear(process.stderr), process.wait.aio(),
                    self._feed(process.stdin),
                )
            ]  # fmt: skip
            code = await self._end_of(*tasks[:3])
            await self._announce(code, is_open=not tasks[0].done())
            if self.is_open and not self._unwanted:
                await tasks[0]
        except asyncio.CancelledError:
            await self._announce(LOST if self._why else KILLED, is_open=False)
        except Exception as error:  # noqa: BLE001 - whatever the client raises, it is about this program alone
            self._why = self._why or f"the connection to Modal broke: {error or type(error).__name__}"
            await self._announce(LOST, is_open=False)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._close()

    async def _end_of(
        self, output: asyncio.Task[None], said: asyncio.Task[None], over: asyncio.Task[int]
    ) -> int:
        """Wait for the end, as the reports or the service tell it, and for the output that belongs to it."""
        told = asyncio.ensure_future(self._told.wait())
        try:
            watched = {output, said, over, told}
            while not (told.done() or over.done()):
                done, watched = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a stream that broke is an error
            if not told.done():
                await asyncio.wait({said, told}, timeout=LATE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
        await self._drain(output)
        return over.result() if self._reports.exit_code is None else self._reports.exit_code

    async def _drain(self, output: asyncio.Task[None]) -> None:
        """Until the output's end, or for a moment after the last of it if something holds it."""
        end = self._loop.time() + LATE
        while not output.done():
            until = min(end, max(self._last, end - LATE) + LEFT) if self._reports.left else end
            rest = until - self._loop.time()
            if rest <= 0:
                break
            await asyncio.wait({output}, timeout=rest)
        if output.done():
            output.result()

    async def _read(self, stream: AsyncIterator[bytes]) -> None:
        async for chunk in stream:
            self.capture.feed(chunk)
            self._last = self._loop.time()
            self._relay.feed(memoryview(chunk))
            self._flush_later()
            if self._stop_after is not None and self.capture.total >= self._stop_after:
                self._break_off()
        if self.is_open:
            self.is_open = False
            await asyncio.to_thread(self.capture.finish)

    async def _hear(self, stream: AsyncIterator[bytes]) -> None:
        async for chunk in stream:
            self._reports.feed(chunk)
            if self._reports.ended:
                self._told.set()

    async def _feed(self, stream: Any) -> None:
        """Send what can be read from the descriptor; then its end."""
        more = self._stdin != subprocess.DEVNULL
        file = more and stat.S_ISREG(os.fstat(self._stdin).st_mode)
        while more:
            if not file:
                await self._readable()
            data = os.read(self._stdin, _CHUNK)
            more = bool(data) and not (file and len(data) < _CHUNK)
            if data:
                stream.write(data)
            if more:
                await stream.drain.aio()
        stream.write_eof()
        await stream.drain.aio()

    async def _readable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_reader(self._stdin, _done, ready)
        try:
            await ready
        finally:
            self._loop.remove_reader(self._stdin)

    def _flush_later(self) -> None:
        pause = self._relay.wait()
        if pause is not None and self._flushing is None:
            self._flushing = self._loop.call_later(pause / 1000, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._relay.flush()
        self._flush_later()

    async def _announce(self, code: int, *, is_open: bool) -> None:
        """Let it be known, once. What comes after is read, but not shown."""
        if self.exit_code is not None:
            return
        self._announcing = True
        if self._why:
            self._reports.feed(f"{self._why}\n".encode())
        self._relay.flush(final=True)
        self._relay = TextRelay(None)
        if not is_open:
            await asyncio.to_thread(self.capture.finish)
        self._announcing = False
        self.is_open = is_open
        self.exit_code = code
        self._notify()

    def _notify(self) -> None:
        while self._waiting:
            with contextlib.suppress(IndexError):  # another thread was faster
                self._waiting.pop()()

    def _close(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        if self.is_open:
            self.is_open = False
            self.capture.finish()
        if self._stdin != subprocess.DEVNULL:
            os.close(self._stdin)
            self._stdin = subprocess.DEVNULL


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
