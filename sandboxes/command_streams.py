"""What a command reads and where its output is told, in forms that are safe to hand over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable


def input_descriptor(data: bytes | None) -> int:
    """A descriptor from which a command reads `data`: of a file, so that nobody has to feed it."""
    if data is None:
        return subprocess.DEVNULL
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return os.dup(file.fileno())


def in_this_loop(on_output: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """`on_output`, called in this event loop whichever thread calls."""
    if on_output is None:
        return None
    loop = asyncio.get_running_loop()

    def deliver(text: str) -> None:
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody looks any more
            loop.call_soon_threadsafe(on_output, text)

    return deliver
