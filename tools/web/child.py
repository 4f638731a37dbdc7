"""Work on what others wrote, done in a process of its own: it can be ended, and its memory is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

MEMORY = 1_500_000_000
"""Bytes of address space that a child may have."""
_GRACE = 5.0
"""Seconds beyond its own limit after which a child is ended."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tools.web.child import main; main()"


class ChildError(Exception):
    """The work could not be done; the text says why, for a model to read. `ours`: as of `WebError`."""

    def __init__(self, text: str, *, ours: bool = False) -> None:
        super().__init__(text)
        self.ours = ours


class Children:
    """Child processes that each do one job after the other, as many as there are jobs at a time.

    They see `environ` and nothing else. Close them.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(environ or {})
        self._idle: list[asyncio.subprocess.Process] = []

    async def do(self, job: str, body: bytes = b"", *, seconds: float, **more: Any) -> dict[str, Any]:
        """The result of `job` (see `_job`) with `body` and what else it takes.

        It is told `seconds`, and its process ended soon after; at a cancellation, at once.

        Raises:
            ChildError: it gave up, took too long or died.
        """
        process = self._idle.pop() if self._idle else await self._start()
        header = {"job": job, "seconds": seconds, "size": len(body), **more}
        kept = False
        try:
            async with asyncio.timeout(seconds + _GRACE):
                result = await _exchange(process, json.dumps(header).encode() + b"\n" + body)
            kept = "problem" not in result
        except TimeoutError:
            raise ChildError(f"it took longer than {seconds:g} seconds", ours=True) from None
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            raise ChildError("the process that worked on it died; it may be built to do that") from None
        finally:
            if kept:
                self._idle.append(process)
            else:
                await _end(process)
        if problem := result.get("problem"):
            raise ChildError(problem, ours=result.get("ours") is True)
        return result

    async def aclose(self) -> None:
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_end(process) for process in idle))

    async def _start(self) -> asyncio.subprocess.Process:
        path = json.dumps([os.path.abspath(each) for each in sys.path])
        return await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", _START, path, env=self._environ, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip


async def _exchange(process: asyncio.subprocess.Process, message: bytes) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(message)
    await process.stdin.drain()
    size = int(await process.stdout.readline())
    result: dict[str, Any] = json.loads(await process.stdout.readexactly(size))
    return result


async def _end(process: asyncio.subprocess.Process) -> None:
    # Not process.kill(): it would reap a process that has just ended, behind asyncio's back.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


def main() -> None:
    """The child. A job is a JSON line and as many bytes as its `size` says; an answer, its size and JSON."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no part of the answer
    while line := sys.stdin.buffer.readline():
        header = json.loads(line)
        _limit(header["seconds"])
        try:
            result = _job(header.pop("job"), sys.stdin.buffer.read(header.pop("size")), header)
        except MemoryError:
            result = {"problem": "it needs more memory than it may have"}
        except Exception as error:  # noqa: BLE001 - parsers of others fail in many ways; each is told
            result = {"problem": f"{type(error).__name__}: {error}"[:500]}
        answer = json.dumps(result).encode()
        out.write(b"%d\n%s" % (len(answer), answer))
        out.flush()
    os._exit(0)  # no waiting for threads of a library


def _limit(seconds: float) -> None:
    """For a parent that dies before it can end this process, too."""
    import resource
    import time

    used = int(time.process_time() + seconds + _GRACE) + 1
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, used)):
        with contextlib.suppress(ValueError, OSError):  # the system has none, or a lower one holds already
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _job(name: str, body: bytes, header: dict[str, Any]) -> dict[str, Any]:
    match name:
        case "html":
            from tools.web.html_page import html_page

            return html_page(body.decode("utf-8", "replace"), header["url"], header["seconds"])
        case "pdf":
            from tools.web.pdf_text import pdf_text

            return pdf_text(body, header["seconds"])
        case "search":
            from tools.web.search_engines import engine_hits

            return engine_hits(header["query"], header["limit"], header["engines"], header["seconds"])
    raise ValueError(f"no job {name!r}")
