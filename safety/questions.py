"""A person is asked one thing at a time, and the time they take is known."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator


class Questions:
    """Whoever wants to ask enters `one`; the others wait for their turn.

    Attributes:
        open: how many ask, or wait to.
    """

    def __init__(self) -> None:
        self.open = 0
        self._seconds = 0.0
        self._since = 0.0
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock, asyncio.Event] | None = None

    @property
    def seconds(self) -> float:
        """How long, in all and up to now, somebody waited for an answer."""
        return self._seconds + (time.monotonic() - self._since if self.open else 0.0)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        lock, none_open = self._of_this_loop()
        if self.open == 0:
            self._since = time.monotonic()
        self.open += 1
        none_open.clear()
        try:
            async with lock:
                yield
        finally:
            self.open -= 1
            if self.open == 0:
                self._seconds += time.monotonic() - self._since
                none_open.set()

    async def answered(self) -> None:
        """Returns when nothing is asked."""
        if self.open:
            await self._of_this_loop()[1].wait()

    def _of_this_loop(self) -> tuple[asyncio.Lock, asyncio.Event]:
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock(), asyncio.Event())
        return self._turn[1:]
