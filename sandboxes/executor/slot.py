"""One slot from its start to its reset: a bubblewrap with a holder in it, and the programs it runs."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandboxes.executor.bubblewrap import INSIDE, Walls
from sandboxes.executor.holder import MESSAGE
from sandboxes.process_tree import MARKER, find_tree, kill_tree, signal_tree

START_TIMEOUT = 30.0
GRACE = 1.0
"""Seconds between TERM and KILL, and between KILL and giving the slot up."""
DRAIN = 0.05
"""Seconds the output may stay open after the end before a child is said to hold it."""
_CHUNK = 64 * 1024


class SlotLost(Exception):
    """The slot ended under a program, or before. `str` says why."""


@dataclass
class Ended:
    """How a program ended. `code` is 128 + signal for a killed one; `folder` is where it ran."""

    code: int
    seconds: float
    folder: str
    timed_out: bool = False


@dataclass
class Streams:
    """Descriptors of one program, closed here once it has them."""

    stdin: int
    stdout: int
    stderr: int

    def close(self) -> None:
        for descriptor in {self.stdin, self.stdout, self.stderr}:
            os.close(descriptor)


@dataclass
class _Request:
    marker: str
    ended: asyncio.Future[Ended] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Slot:
    """Started by `start`, ended by `end`, after which `folder` may be removed. Not to be used again."""

    def __init__(self, number: int, lease: str, folder: Path, walls: Walls, inside: Path) -> None:
        self.number = number
        self.lease = lease
        self.folder = folder
        self.lost = ""
        """Why it can no longer be used."""
        self._walls = walls
        self._inside = inside
        self._requests: dict[str, _Request] = {}
        self._count = 0
        self._leftovers: list[OutputPipe] = []
        self._popen: subprocess.Popen[bytes] | None = None
        self._init: int | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Raises SlotLost in bubblewrap's own words."""
        for name in ("work", "tmp", "shm", "state"):
            (self.folder / name).mkdir(parents=True)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        info, info_writer = os.pipe()
        words = self.folder / "words"
        try:
            with words.open("wb") as stderr:
                self._popen = subprocess.Popen(
                    [*self._walls.argv(self.folder, self._inside, info_writer),
                     *_interpreter(), f"{INSIDE}/holder.py", str(theirs.fileno())],
                    env={name: os.environ[name] for name in ("PATH", MARKER) if name in os.environ},
                    pass_fds=(theirs.fileno(), info_writer),
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                )  # fmt: skip
        finally:
            theirs.close()
            os.close(info_writer)
        asyncio.get_running_loop().add_reader(self._channel, self._receive)
        try:
            await asyncio.wait_for(self._ready, START_TIMEOUT)
            self._init = os.pidfd_open(json.loads(os.read(info, 4096))["child-pid"])
        except (asyncio.TimeoutError, SlotLost, OSError, ValueError) as error:  # noqa: UP041 - Python 3.10
            await self.end()
            told = words.read_text(errors="replace").strip()
            raise SlotLost(told or str(error) or "its first process did not start in time") from error
        finally:
            os.close(info)

    async def run(
        self, kind: str, folder: str, fields: Sequence[str], streams: Streams, timeout: float, marker: str
    ) -> Ended:
        """Ask the holder for `kind` (see holder.py) and wait for its end. After `timeout` seconds, or when
        this is cancelled, its whole tree is ended. Closes `streams`.

        Raises:
            OSError: it could not be started, or the file not be worked on.
            SlotLost
        """
        self._count += 1
        id = str(self._count)
        message = os.fsencode("\0".join((id, kind, folder, *fields)))
        request = self._requests[id] = _Request(marker)
        try:
            if self.lost:
                raise SlotLost(self.lost)
            # Where nobody waits for it any more, its error is nobody's business.
            request.ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            if len(message) > MESSAGE:
                raise OSError(7, f"arguments of {len(message)} bytes; {MESSAGE} are the most")
            socket.send_fds(self._channel, [message], [streams.stdin, streams.stdout, streams.stderr])
        except BaseException as error:
            del self._requests[id]
            if isinstance(error, BlockingIOError | BrokenPipeError | ConnectionError):
                raise SlotLost(f"its first process does not answer: {error}") from error
            raise
        finally:
            streams.close()
        try:
            return await self._supervise(request, timeout)
        finally:
            self._requests.pop(id, None)

    async def _supervise(self, request: _Request, timeout: float) -> Ended:
        try:
            done, _ = await asyncio.wait([request.ended], timeout=timeout)
            if done:
                return request.ended.result()
        except asyncio.CancelledError:
            await self._end_tree(request, 0.25)
            raise
        await self._end_tree(request, GRACE)
        done, _ = await asyncio.wait([request.ended], timeout=GRACE)
        if not done:
            self._lose("a program in it cannot be ended")
            raise SlotLost(self.lost)
        ended = request.ended.result()
        ended.timed_out = True
        return ended

    async def _end_tree(self, request: _Request, grace: float) -> None:
        # Children of the holder are found by the marker in their environment, whatever their process group.
        signal_tree(sorted(find_tree(request.marker)), (), signal.SIGTERM)
        try:
            await asyncio.wait([request.ended], timeout=grace)
        finally:
            kill_tree(request.marker, ())

    def keep(self, pipe: OutputPipe) -> None:
        """A child still holds it: go on reading what it writes until the slot ends."""
        self._leftovers = [each for each in self._leftovers if each.is_open]
        self._leftovers.append(pipe)

    async def end(self) -> None:
        """End every process of it; when this returns none is left."""
        self._lose("it was reset")
        for pipe in self._leftovers:
            pipe.close()
        if self._popen is not None:
            if self._init is not None:
                # With the first process the kernel ends all; bubblewrap outside waits until that is done.
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._init, signal.SIGKILL)
                os.close(self._init)
                self._init = None
            else:
                self._popen.kill()
            await _exited(self._popen)
        self._channel.close()

    def _receive(self) -> None:
        try:
            data = self._channel.recv(MESSAGE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"its first process cannot be heard: {error}")
            return
        if not data:
            self._lose("its first process has ended, perhaps for want of memory")
        elif data == b"ready":
            if not self._ready.done():
                self._ready.set_result(None)
        else:
            self._answer(os.fsdecode(data).split("\0"))

    def _answer(self, fields: list[str]) -> None:
        # From here on it is the word of what runs in the slot: believed on the slot, on nothing else.
        try:
            id, kind, *told = fields
            request = self._requests.get(id)
            if request is None or request.ended.done():
                return
            if kind == "exit":
                request.ended.set_result(Ended(int(told[0]), float(told[1]), told[2]))
            else:
                request.ended.set_exception(OSError(int(told[0]), told[1]))
        except (ValueError, IndexError):
            self._lose("its first process talks nonsense")

    def _lose(self, why: str) -> None:
        if self.lost:
            return
        self.lost = why
        asyncio.get_running_loop().remove_reader(self._channel)
        if not self._ready.done():
            self._ready.set_exception(SlotLost(why))
        for request in self._requests.values():
            if not request.ended.done():
                request.ended.set_exception(SlotLost(why))


class OutputPipe:
    """Gives what comes out of a pipe to `feed`, in the event loop, until `finish`; then drops it."""

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        self.is_open = True
        self._feed = feed
        self.ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.reader, self._read)

    async def finish(self) -> bool:
        """The program has ended: take what it wrote. False if a child goes on and holds the pipe."""
        if self.is_open:
            try:
                await asyncio.wait_for(self.ended.wait(), DRAIN)
            except asyncio.TimeoutError:  # noqa: UP041 - Python 3.10
                left = int.from_bytes(fcntl.ioctl(self.reader, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
                while left > 0 and (size := self._read()):
                    left -= size
        self._feed = _drop
        return not self.is_open

    def pause(self) -> None:
        """Leave what comes in the pipe; who fills it has to wait."""
        if self.is_open:
            asyncio.get_running_loop().remove_reader(self.reader)

    def resume(self) -> None:
        if self.is_open:
            asyncio.get_running_loop().add_reader(self.reader, self._read)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            asyncio.get_running_loop().remove_reader(self.reader)
            os.close(self.reader)
            self.ended.set()

    def _read(self) -> int:
        if not self.is_open:
            return 0
        try:
            chunk = os.read(self.reader, _CHUNK)
        except BlockingIOError:
            return 0
        if chunk:
            self._feed(chunk)
        else:
            self.close()
        return len(chunk)


def _drop(chunk: bytes) -> None:
    """Nobody looks any more."""


def marked(environment: dict[str, str], marker: str) -> list[str]:
    return [f"{name}={value}" for name, value in {**environment, MARKER: marker}.items()]


def _interpreter() -> list[str]:
    own = getattr(sys, "_base_executable", None) or sys.executable
    # Without site: a slot is started anew for each task.
    return [os.path.realpath(own), "-I", "-S"]


async def _exited(popen: subprocess.Popen[bytes]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(popen.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    popen.wait()
