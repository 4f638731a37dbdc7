"""The browser of a task, kept from one call to the next by a thread of its own.

A thread, because the browser outlives the event loop of a call: the proxy it speaks through, and the clock
that closes it when nobody uses it, have to go on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakSet

from tools.browser.failures import BrowserError, BrowserGone
from tools.browser.session import BrowserSession
from tools.surroundings import Surroundings

log = logging.getLogger("hermes.browser")

Value = TypeVar("Value")
NO_PAGE = "no page is open: call browser_navigate first"
_LOST = "It was closed, and its tabs and logins are gone; browser_navigate starts another"
_END_SECONDS = 20.0


class TaskBrowser:
    """For `ToolRuntime.store`: it ends with the task."""

    def __init__(self) -> None:
        self.session: BrowserSession | None = None
        self._lost = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._steps: asyncio.Lock | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending: asyncio.Future[None] | None = None
        self._working: set[asyncio.Task[Any]] = set()

    async def use(
        self,
        around: Surroundings,
        task_id: str,
        work: Callable[[BrowserSession], Awaitable[Value]],
        *,
        start: bool = False,
    ) -> tuple[Value, str]:
        """What `work` gives, and what happened to an earlier browser ("" if nothing).

        Args:
            start: start a browser if none runs.

        Raises:
            BrowserError: also where there is none and `start` is False.
        """
        if start:
            OPEN.note(task_id, self)
        elif self.session is None:
            raise BrowserError(self.why_none())
        return await asyncio.wrap_future(self._submit(self._use(around, work, start)))

    def why_none(self) -> str:
        """Why no page is open, and what to do."""
        return f"{self._lost}. {NO_PAGE}" if self._lost else NO_PAGE

    async def aclose(self) -> None:
        """End the browser and its thread."""
        if self._thread is not None:
            await asyncio.shield(asyncio.wrap_future(self._submit(self._close())))
            self._end_thread()

    def close(self) -> None:
        """As `aclose`, from any other thread, whatever it runs."""
        if self._thread is not None:
            self._submit(self._close()).result(_END_SECONDS)
            self._end_thread()

    async def _use(
        self, around: Surroundings, work: Callable[[BrowserSession], Awaitable[Value]], start: bool
    ) -> tuple[Value, str]:
        task = asyncio.current_task()
        assert self._steps is not None and task is not None
        self._working.add(task)
        try:
            return await self._take_turn(around, work, start)
        finally:
            self._working.discard(task)

    async def _take_turn(
        self, around: Surroundings, work: Callable[[BrowserSession], Awaitable[Value]], start: bool
    ) -> tuple[Value, str]:
        assert self._steps is not None
        async with self._steps:
            self._stop_clock()
            try:
                session, told = await self._session(around, start)
                return await work(session), told
            except BrowserGone as gone:
                await self._end(str(gone))
                raise BrowserError(f"{gone}. {_LOST}") from None
            finally:
                self._start_clock(around.settings.browser.idle)

    async def _session(self, around: Surroundings, start: bool) -> tuple[BrowserSession, str]:
        if self.session is not None and (ended := self.session.ended):
            await self._end(f"the browser has ended ({ended})")
        if self.session is None:
            if not start:
                raise BrowserError(self.why_none())
            self.session = await _started(around)
        told, self._lost = self._lost, ""
        return (
            self.session,
            f"{told}; a new one was started, without the tabs and logins of before" if told else "",
        )

    async def _close(self) -> None:
        assert self._steps is not None
        for task in self._working:
            if not task.cancelling():  # one that is cancelled already is just clearing up
                task.cancel()
        async with self._steps:
            await self._end("")

    async def _end(self, why: str) -> None:
        self._stop_clock()
        session, self.session, self._lost = self.session, None, why
        if session is not None:
            try:
                await session.end()
            except (BrowserError, OSError) as error:
                log.warning("the browser did not close well: %s", error)

    def _start_clock(self, seconds: float) -> None:
        if self.session is not None and self._loop is not None:
            self._clock = self._loop.call_later(seconds, self._idle, seconds)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _idle(self, seconds: float) -> None:
        self._clock = None
        self._ending = asyncio.ensure_future(self._end_idle(seconds))

    async def _end_idle(self, seconds: float) -> None:
        assert self._steps is not None
        async with self._steps:
            if self._clock is None:  # no step came in between
                await self._end(f"the browser was closed after {seconds:g} s without a step")

    def _submit(self, work: Coroutine[Any, Any, Value]) -> Any:
        with self._lock:
            if self._thread is None:
                ready = threading.Event()
                self._thread = threading.Thread(
                    target=asyncio.run, args=(self._live(ready),), name="hermes-browser", daemon=True
                )
                self._thread.start()
                ready.wait()
            assert self._loop is not None
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _live(self, ready: threading.Event) -> None:
        self._loop, self._stop, self._steps = asyncio.get_running_loop(), asyncio.Event(), asyncio.Lock()
        ready.set()
        await self._stop.wait()

    def _end_thread(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None and self._loop is not None and self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
                thread.join(_END_SECONDS)


async def _started(around: Surroundings) -> BrowserSession:
    session = BrowserSession(around)
    try:
        await session.start()
    except BrowserGone as gone:
        raise BrowserError(str(gone)) from None
    return session


class OpenBrowsers:
    """Which task has which browsers, for those who know a task only by its id."""

    def __init__(self) -> None:
        self._browsers: dict[str, WeakSet[TaskBrowser]] = {}
        self._lock = threading.Lock()

    def note(self, task_id: str, browser: TaskBrowser) -> None:
        with self._lock:
            self._browsers.setdefault(task_id, WeakSet()).add(browser)

    def close(self, task_id: str) -> None:
        with self._lock:
            found = list(self._browsers.pop(task_id, ()))
        for browser in found:
            browser.close()


OPEN = OpenBrowsers()
