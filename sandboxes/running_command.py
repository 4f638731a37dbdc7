"""A started program: its process group, its output, its end.

Each has a thread that reads its output and waits for its end, so nothing hangs on one event loop, a busy loop
does not slow the program down, and a slow reader holds it back (the pipe fills). It ends when the process
does, not when the pipe closes: asyncio's `wait()` and `communicate()` hang on a child that kept the pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sandboxes.bounded_output import OutputCapture
from sandboxes.process_tree import MARKER, end_tree, find_tree, group_exists
from sandboxes.reports import Reports
from sandboxes.text_relay import TextRelay

DRAIN = 0.05
"""Seconds the pipe may stay open after the end before a child is said to hold it."""
LATE = 0.5
"""The same where the end is told by a report, counted from the last output that came."""
_CHUNK = 64 * 1024
_LARGE_CHUNK = 1024 * 1024
_F_SETPIPE_SZ = 1031  # fcntl(2); the module names it only on Linux


class Started(Protocol):
    """A process that was started; `subprocess.Popen` is one, and says the same of its end."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...


class RunningCommand:
    """Starts `argv` in a session of its own, stdout and stderr in one pipe; raises OSError as Popen does, and
    where a word can be no argument.

    Args:
        marker: value of the variable that names the process tree; ends with ".".
        stdin: a descriptor, or `subprocess.DEVNULL`.
        stderr: `subprocess.STDOUT` or `subprocess.DEVNULL`.
        on_text: called from the reading thread with pieces of output until the program ends.
        stop_after: bytes of output after which the program is killed.
        reports: takes what is written to stderr, and says when the command that the program stands for has
            ended: the program itself, a client of a container, may go on with what that left behind.
        opening: what comes before these bytes is not its output, but e.g. a login shell's greeting.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        marker: str,
        capture: OutputCapture,
        stdin: int = subprocess.DEVNULL,
        stderr: int = subprocess.STDOUT,
        on_text: Callable[[str], None] | None = None,
        stop_after: int | None = None,
        reports: Reports | None = None,
        opening: bytes = b"",
    ) -> None:
        self.marker = marker
        self.capture = capture
        self.exit_code: int | None = None
        self.is_open = False
        """Whether, at its end or since, somebody still held its output."""
        self.children_left: set[int] = set()
        """Set when the program ended: the processes it started that go on."""
        self._stop_after = stop_after
        self._reports = reports
        self._opening = opening
        self._before = bytearray()
        self._relay = TextRelay(on_text)
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] = []
        self._buffer = bytearray(_CHUNK)
        if not all(map(_can_be_given, argv)):
            raise OSError(errno.EINVAL, "an argument can hold neither NUL nor half a character")
        self._pipe, writer = os.pipe()
        self._said, errors = os.pipe() if reports is not None else (-1, stderr)
        try:
            os.set_blocking(self._pipe, False)
            self._popen = self._launch(
                argv, env={**env, MARKER: marker}, cwd=cwd, stdin=stdin, stdout=writer, stderr=errors
            )
        except BaseException:
            self._close_pipes()
            raise
        finally:
            os.close(writer)
            if reports is not None:
                os.close(errors)
        self.pid = self._popen.pid
        try:
            self._ended = self._watch()
            threading.Thread(target=self._pump, name=f"command-{self.pid}", daemon=True).start()
        except (OSError, RuntimeError) as error:  # no descriptor or no thread to be had
            self._kill_group()
            self._popen.wait()
            self._close_pipes()
            raise OSError(errno.EAGAIN, f"nothing can watch over it: {error}") from error

    def stand_for(
        self,
        capture: OutputCapture,
        reports: Reports,
        on_text: Callable[[str], None] | None,
        stop_after: int | None,
    ) -> None:
        """Of a program that was started ahead and waits for its input: whose it is from now on."""
        self.capture = capture
        self._reports = reports
        self._relay = TextRelay(on_text)
        self._stop_after = stop_after

    async def wait(self, timeout: float | None) -> int | None:
        """The exit code (128 + signal for a killed program), or None if `timeout` seconds passed first."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def wake() -> None:
            if not ended.done():
                ended.set_result(None)

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(wake)

        self.when_ended(notify)
        try:
            async with asyncio.timeout(timeout):
                await ended
        except TimeoutError:
            return self.exit_code
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._waiting.remove(notify)
        return self.exit_code

    def when_ended(self, notify: Callable[[], None]) -> None:
        """Call `notify` once, from some thread, when the program has ended (now, if it has)."""
        with self._lock:
            if self.exit_code is None:
                self._waiting.append(notify)
                return
        notify()

    async def end(self, grace: float) -> None:
        """TERM to the whole tree, KILL after `grace` seconds; at once if this is cancelled."""
        await end_tree(self.marker, self.groups(), grace)

    def living(self) -> set[int]:
        """What of the tree is alive."""
        return find_tree(self.marker, self.groups())

    def groups(self) -> tuple[int, ...]:
        """The program's process group as long as it is certain that its number means no other."""
        if self.exit_code is None or any(_group_of(pid) == self.pid for pid in self.children_left):
            return (self.pid,)
        return ()

    def kill(self) -> None:
        """KILL to its process group, at once."""
        with contextlib.suppress(ProcessLookupError):
            if self._popen.poll() is None:
                self._kill_group()

    # A subclass has these where it is not this process that starts the program.

    def _launch(self, argv: Sequence[str], **how: Any) -> Started:
        return subprocess.Popen(argv, start_new_session=True, **how)

    def _watch(self) -> int:
        """A descriptor that becomes readable when the program has ended; it is closed in the end."""
        return _exit_descriptor(self._popen)

    def _kill_group(self) -> None:
        os.killpg(self.pid, signal.SIGKILL)

    def _pump(self) -> None:
        poller = select.poll()
        poller.register(self._pipe, select.POLLIN)
        poller.register(self._ended, select.POLLIN)
        if self._reports is not None:
            poller.register(self._said, select.POLLIN)
        is_open = True
        try:
            while True:
                ready = {descriptor for descriptor, _ in poller.poll(self._relay.wait())}
                if self._pipe in ready and not self._read():
                    poller.unregister(self._pipe)
                    is_open = False
                self._relay.flush()
                if self._said in ready and not self._hear():
                    poller.unregister(self._said)
                if self._ended in ready or (self._reports is not None and self._reports.ended):
                    break
            self._end(is_open)
        finally:
            os.close(self._ended)
            self._close_pipes()

    def _end(self, is_open: bool) -> None:
        if self._reports is None:
            code, quiet, most = self._popen.wait(), DRAIN, DRAIN
        else:
            if not self._reports.ended:
                self._popen.wait()
                while self._hear():
                    pass
            code = self._popen.wait() if self._reports.exit_code is None else self._reports.exit_code
            # The record may have come before the last of the output, which went another way.
            quiet, most = (LATE / 5 if self._reports.left else LATE), 4 * LATE
        is_open = is_open and self._drain(quiet, most)
        self._announce(128 - code if code < 0 else code, is_open)
        if is_open:
            self._read_on()
        self._popen.wait()

    def _hear(self) -> bool:
        """Read of stderr once; False at its end."""
        data = os.read(self._said, _CHUNK)
        if self._reports is not None:
            self._reports.feed(data)
        return bool(data)

    def _close_pipes(self) -> None:
        os.close(self._pipe)
        if self._said >= 0:
            os.close(self._said)

    def _announce(self, code: int, is_open: bool) -> None:
        if self._opening and self._reports is not None:
            self._reports.feed(bytes(self._before))  # it never came: that may say why
        self._relay.flush(final=True)
        self._relay = TextRelay(None)
        if not is_open:
            self.capture.finish()
        self.is_open = is_open
        # Asked before anybody learns of the end: right after it the group cannot be somebody else's.
        if self._reports is None and (is_open or group_exists(self.pid)):
            self.children_left = find_tree(self.marker, (self.pid,))
        with self._lock:
            self.exit_code = code
            waiting, self._waiting = self._waiting, []
        for notify in waiting:
            notify()

    def _read_on(self) -> None:
        """A child kept the pipe: read what it writes, or it would be stopped or killed by its own output."""
        os.set_blocking(self._pipe, True)
        while self._read():
            pass
        self.is_open = False
        self.capture.finish()

    def _drain(self, quiet: float, most: float) -> bool:
        """Read what is in the pipe, until `quiet` seconds after the last of it and for `most` at the longest;
        True if somebody still holds its other end."""
        left = _waiting_bytes(self._pipe)
        poller = select.poll()
        poller.register(self._pipe, select.POLLIN)
        end = time.monotonic() + most
        until = min(time.monotonic() + quiet, end)
        while left > 0 or (now := time.monotonic()) < until:
            if not poller.poll(0 if left > 0 else (until - now) * 1000):
                left = 0
            elif size := self._read():
                left -= size
                if self._reports is not None:
                    until = min(time.monotonic() + quiet, end)
            else:
                return False
        return True

    def _read(self) -> int:
        """Read once and keep it; the number of bytes, 0 at the end."""
        try:
            size = os.readv(self._pipe, [self._buffer])
        except BlockingIOError:
            return 1
        chunk = memoryview(self._buffer)[:size]
        if self._opening:
            chunk = self._after_opening(chunk)
        self.capture.feed(chunk)
        self._relay.feed(chunk)
        if size == _CHUNK == len(self._buffer):
            self._widen()
        if self._stop_after is not None and self.capture.total >= self._stop_after:
            self._stop_after = None
            self.kill()
        return size

    def _after_opening(self, chunk: memoryview) -> memoryview:
        self._before += chunk
        end = self._before.find(self._opening)
        if end < 0:
            del self._before[:-_CHUNK]
            return memoryview(b"")
        rest = bytes(self._before[end + len(self._opening) :])
        self._opening = b""
        self._before.clear()
        return memoryview(rest)

    def _widen(self) -> None:
        """Much is coming: fewer, larger reads."""
        self._buffer = bytearray(_LARGE_CHUNK)
        if sys.platform == "linux":
            # Refused where the user's pipes use up their share; the small pipe works as well.
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._pipe, _F_SETPIPE_SZ, _LARGE_CHUNK)


def _can_be_given(word: str) -> bool:
    try:
        return b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:
        return False


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _waiting_bytes(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


def _exit_descriptor(popen: Started) -> int:
    """A descriptor that becomes readable when the process has ended."""
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(popen.pid)
    reader, writer = os.pipe()

    def wait() -> None:
        popen.wait()
        os.close(writer)

    threading.Thread(target=wait, daemon=True).start()
    return reader
