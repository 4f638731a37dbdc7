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
    """The work could not be done; the text says why, for a model to read."""


async def in_child(
    job: str, body: bytes = b"", *, seconds: float, environ: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """Do `job` (see `_job`) with `body` and what else it takes; it is told `seconds` and ended soon after.

    Raises:
        ChildError: it gave up, took too long or died.
    """
    path = json.dumps([os.path.abspath(each) for each in sys.path])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", _START, path,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=dict(environ or {}), start_new_session=True,
    )  # fmt: skip
    header = json.dumps({"job": job, "seconds": seconds, **more}).encode() + b"\n"
    try:
        async with asyncio.timeout(seconds + _GRACE):
            out, _ = await process.communicate(header + body)
    except TimeoutError:
        raise ChildError(f"it took longer than {seconds:.0f} seconds") from None
    finally:
        await _end(process)
    try:
        result: dict[str, Any] = json.loads(out)
    except ValueError:
        raise ChildError(f"the process that worked on it died (code {process.returncode})") from None
    if problem := result.get("problem"):
        raise ChildError(problem)
    return result


async def _end(process: asyncio.subprocess.Process) -> None:
    # Not process.kill(): it would reap a process that has just ended, behind asyncio's back.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def main() -> None:
    """The child: a JSON line and the body on stdin, a JSON object on stdout."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no part of the answer
    header = json.loads(sys.stdin.buffer.readline())
    _limit(header["seconds"])
    try:
        result = _job(header.pop("job"), sys.stdin.buffer.read(), header)
    except MemoryError:
        result = {"problem": "it needs more memory than it may have"}
    except Exception as error:  # noqa: BLE001 - parsers of others fail in many ways; each is told
        result = {"problem": f"{type(error).__name__}: {error}"[:500]}
    with out:
        out.write(json.dumps(result).encode())
    os._exit(0)  # no waiting for threads of a library


def _limit(seconds: float) -> None:
    """For a parent that dies before it can end this process, too."""
    import resource

    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, int(seconds + _GRACE) + 1)):
        with contextlib.suppress(ValueError, OSError):  # a lower one holds already, or the system has none
            resource.setrlimit(kind, (most, most))


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
