"""One run of a hook's command: fed, bounded, and ended in time with all that it started."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from sandboxes.bounded_output import OutputCapture
from sandboxes.process_tree import kill_tree
from sandboxes.running_command import RunningCommand

SHELL = "/bin/sh"
MOST_OUTPUT = 64_000
"""Bytes of stdout; a hook that writes more is ended."""
MOST_SAID = 4_000
"""Bytes of stderr that are kept, the first ones."""
_GRACE = 0.5
"""Seconds between TERM and KILL."""
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class HookEnd:
    """How it ended. `problem`: why not by itself; "" if it did. `code` is 128 + N where signal N ended it."""

    code: int = 0
    output: str = ""
    said: str = ""
    problem: str = ""


async def run_hook_command(
    command: str, given: bytes, *, cwd: str, environment: Mapping[str, str], timeout: float
) -> HookEnd:
    """Run `command` by the shell with `given` on its stdin, at most `timeout` seconds.

    What it leaves running in the background after its own end is left alone. If this is cancelled, everything
    is killed at once.
    """
    capture = OutputCapture(None, MOST_OUTPUT)
    marker = f"hook-{secrets.token_hex(12)}."
    try:
        reader, writer = os.pipe()
    except OSError as error:
        return HookEnd(problem=f"it cannot be started: {error.strerror}")
    said = _FirstBytes(reader)
    try:
        with tempfile.TemporaryFile() as stdin:  # a pipe would block, or break, where nobody reads it
            stdin.write(given)
            stdin.seek(0)
            running = RunningCommand(
                [SHELL, "-c", command], env=environment, cwd=cwd, marker=marker, capture=capture,
                stdin=stdin.fileno(), stderr=writer, stop_after=MOST_OUTPUT + 1,
            )  # fmt: skip
    except OSError as error:
        said.close()
        where = f": {error.filename}" if error.filename else ""
        return HookEnd(problem=f"it cannot be started: {error.strerror or error}{where}")
    finally:
        os.close(writer)
    said.listen()
    try:
        code = await running.wait(timeout)
        if code is None:
            await running.end(_GRACE)
    except asyncio.CancelledError:
        kill_tree(marker, running.groups())
        raise
    finally:
        said.close()
    problem = ""
    if capture.total > MOST_OUTPUT:
        problem = f"it wrote more than {MOST_OUTPUT} bytes to stdout"
    elif code is None:
        problem = f"it did not end within {timeout:g} s"
    return HookEnd(code or 0, capture.head.decode("utf-8", "replace"), said.text, problem)


class _FirstBytes:
    """Reads a pipe to its end and keeps how it begins."""

    def __init__(self, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._kept = bytearray()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    def listen(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pipe, self._read)

    def close(self) -> None:
        """What is in the pipe still counts; what somebody may write to it later does not."""
        if self._loop is not None:
            self._loop.remove_reader(self._pipe)
            for _ in range(4):
                self._read()
        os.close(self._pipe)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return
        if not data and self._loop is not None:
            self._loop.remove_reader(self._pipe)
        self._kept += data[: MOST_SAID - len(self._kept)]
