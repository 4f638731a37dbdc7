"""Many slots in few long-lived sandboxes: given out in turn, reset in between, replaced when they die."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandboxes.pools.contract import SandboxLost, Slot, ToolCall, ToolResult
from sandboxes.pools.provider import PooledSandbox, SandboxProvider
from sandboxes.sandbox import SandboxError


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """
    Args:
        minimum: sandboxes that are always there.
        maximum: the most there may be.
        idle_seconds: after which an idle sandbox above `minimum` is stopped.
        failures: that many starts in a row that failed, within `window` seconds, are a crash loop.
        health_seconds: between two questions to a sandbox from which nothing else was heard.
    """

    minimum: int = 1
    maximum: int = 10
    idle_seconds: float = 60.0
    failures: int = 3
    window: float = 60.0
    health_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum or self.maximum < 1:
            raise ValueError("a pool has 0 or more sandboxes at least, and no fewer at most")


@dataclass(slots=True, eq=False)
class _Member:
    """A sandbox of the pool."""

    sandbox: PooledSandbox
    free: deque[int]
    slots: int
    served: bool = False
    idle: asyncio.TimerHandle | None = None
    watch: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return len(self.free) == self.slots


@dataclass(slots=True)
class _Failures:
    """Starts that failed since the last that did not."""

    times: deque[float] = field(default_factory=deque)
    words: str = ""

    def add(self, words: str) -> None:
        self.times.append(time.monotonic())
        self.words = words

    def count(self, window: float) -> int:
        while self.times and self.times[0] < time.monotonic() - window:
            self.times.popleft()
        return len(self.times)


class SlotPool:
    """Fulfils `ToolBackend` over any provider. Belongs to the event loop it was started in."""

    def __init__(self, provider: SandboxProvider, limits: PoolLimits | None = None) -> None:
        self._provider = provider
        self._limits = limits or PoolLimits()
        self._members: dict[str, _Member] = {}
        self._waiting: deque[tuple[str, asyncio.Future[Slot]]] = deque()
        self._held: dict[str, Slot] = {}
        self._asked: dict[str, asyncio.Future[Slot]] = {}
        self._failures = _Failures()
        self._starting = 0
        self._resetting = 0
        self._slots_each = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._is_open = False
        self._first: asyncio.Future[None] | None = None

    @property
    def sandboxes(self) -> int:
        """How many are up."""
        return len(self._members)

    async def start(self) -> None:
        """See `ToolBackend.start`: returns when the first sandbox is up; the others follow."""
        if self._is_open:
            return
        self._is_open = True
        self._first = asyncio.get_running_loop().create_future()
        if self._limits.minimum == 0:
            self._first.set_result(None)
        self._adjust()
        try:
            await asyncio.shield(self._first)
        except BaseException:
            await self.stop()
            raise

    async def stop(self, purge: bool = False) -> None:
        """See `ToolBackend.stop`."""
        self._is_open = False
        if self._retry is not None:
            self._retry.cancel()
        self._fail_waiting(SandboxError(f"{self._provider.name}: the pool was stopped"))
        starting = list(self._tasks)
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        members, self._members = list(self._members.values()), {}
        self._held.clear()
        for member in members:
            self._end(member)
        while self._endings:
            await asyncio.wait(self._endings)
        await self._provider.close(purge)

    async def acquire(self, task_id: str) -> Slot:
        """See `ToolBackend.acquire`. Asked for twice at once for one task, both get the same slot."""
        if not self._is_open:
            raise SandboxError(f"{self._provider.name}: the pool is not running; start it first")
        if (held := self._held.get(task_id)) is not None:
            return held
        while (asked := self._asked.get(task_id)) is not None:
            await asyncio.wait([asked])
            if not asked.cancelled():
                return asked.result()
        waiter: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._asked[task_id] = waiter
        self._waiting.append((task_id, waiter))
        self._adjust()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                await self.release(waiter.result(), reset=False)  # nobody ever used it
            raise
        finally:
            self._waiting = deque(each for each in self._waiting if each[1] is not waiter)
            del self._asked[task_id]

    async def release(self, slot: Slot, reset: bool = True) -> None:
        """See `ToolBackend.release`."""
        if self._held.get(slot.task_id) != slot:
            return
        del self._held[slot.task_id]
        member = self._members.get(slot.sandbox_id)
        if member is None:
            return
        if reset:
            self._resetting += 1
            self._see_out(self._reset(member, slot.number))
        else:
            self._free(member, slot.number)

    async def execute(self, slot: Slot, tool: str, args: dict[str, Any], timeout: float) -> ToolResult:
        """One call. Raises SandboxLost."""
        (result,) = await self.execute_batch([(slot, tool, args)], timeout)
        if isinstance(result, SandboxLost):
            raise result
        return result

    async def execute_batch(
        self, calls: Sequence[ToolCall], timeout: float
    ) -> list[ToolResult | SandboxLost]:
        """See `ToolBackend.execute_batch`."""
        results: list[ToolResult | SandboxLost | None] = [None] * len(calls)
        by_sandbox: dict[str, list[int]] = {}
        for index, (slot, _, _) in enumerate(calls):
            if self._held.get(slot.task_id) == slot and slot.sandbox_id in self._members:
                by_sandbox.setdefault(slot.sandbox_id, []).append(index)
            else:
                results[index] = SandboxLost(
                    f"{self._provider.name}: the slot of task {slot.task_id} was lost with its sandbox, or "
                    "released; acquire another"
                )

        async def in_one(sandbox_id: str, indices: list[int]) -> None:
            member = self._members[sandbox_id]
            found = await member.sandbox.execute([calls[index] for index in indices], timeout)
            for index, result in zip(indices, found, strict=True):
                results[index] = result
            await self._look_at(member, [calls[index][0] for index in indices], found)

        if len(by_sandbox) == 1:
            await in_one(*by_sandbox.popitem())
        else:
            await asyncio.gather(*(in_one(*each) for each in by_sandbox.items()))
        return [result for result in results if result is not None]

    # -- losing ------------------------------------------------------------------------------------------

    async def _look_at(
        self, member: _Member, slots: Sequence[Slot], results: Sequence[ToolResult | SandboxLost]
    ) -> None:
        """A call that was lost says that its slot is gone, and makes one ask whether its sandbox is too."""
        lost = {slot for slot, result in zip(slots, results, strict=True) if isinstance(result, SandboxLost)}
        if not lost and not member.served:
            member.served = True
            self._failures.times.clear()
        for slot in lost:
            if self._held.get(slot.task_id) == slot:
                del self._held[slot.task_id]
                self._resetting += 1
                self._see_out(self._reset(member, slot.number))

    async def _watch(self, member: _Member) -> None:
        """Until the sandbox dies: it says so itself, or no longer answers."""
        sandbox = member.sandbox
        while True:
            done, _ = await asyncio.wait([sandbox.died], timeout=self._limits.health_seconds)
            if done:
                why = sandbox.died.result()
                break
            try:
                await sandbox.check()
            except SandboxError as error:
                why = str(error)
                break
        self._lose(member, why)

    def _lose(self, member: _Member, why: str) -> None:
        if self._members.pop(member.sandbox.id, None) is None:
            return
        self._held = {task: slot for task, slot in self._held.items() if slot.sandbox_id != member.sandbox.id}
        if not member.served:
            self._failures.add(why)
        if not member.sandbox.died.done():
            member.sandbox.died.set_result(why)
        self._end(member)
        if self._provider.replaces and self._is_open:
            self._grow()
        self._adjust()

    async def _reset(self, member: _Member, number: int) -> None:
        try:
            await member.sandbox.reset(number)
        except SandboxError as error:
            self._resetting -= 1
            # A slot that cannot be made clean is never given out; the sandbox has others who work in it.
            await self._drop_slot(member, number, str(error))
            return
        except BaseException:
            self._resetting -= 1
            raise
        self._resetting -= 1
        self._free(member, number)

    async def _drop_slot(self, member: _Member, number: int, why: str) -> None:
        member.slots -= 1
        try:
            await member.sandbox.check()
        except SandboxError as error:
            self._lose(member, str(error))
            return
        if member.slots == 0:
            self._lose(member, f"none of its slots can be reset: {why}")
        self._adjust()

    # -- growing, shrinking, giving out ------------------------------------------------------------------

    def _adjust(self) -> None:
        """Give out what is free, start what is wanted, stop what is not."""
        if not self._is_open:
            return
        self._give_out()
        broken = self._failures.count(self._limits.window) >= self._limits.failures
        if broken and not self._members and not self._starting:
            self._give_up()
            return
        wanted = max(self._limits.minimum - len(self._members), 0)
        missing = len(self._waiting) - self._resetting
        wanted = max(wanted, -(-missing // (self._slots_each or 1)))
        room = self._limits.maximum - len(self._members)
        # Until one has come up it is not known that any can, nor how many slots it has.
        at_once = room if self._slots_each else 1
        for _ in range(min(wanted, room, at_once) - self._starting):
            if not broken:
                self._grow()
        if broken:
            self._later()

    def _grow(self) -> None:
        self._starting += 1
        self._begin(self._start_one())

    async def _start_one(self) -> None:
        pause = 0.1 * 2 ** self._failures.count(self._limits.window) if self._failures.times else 0.0
        try:
            await asyncio.sleep(min(pause, 5.0))
            sandbox = await self._provider.start_sandbox()
        except SandboxError as error:
            self._starting -= 1
            self._failures.add(str(error))
            self._adjust()
            return
        except BaseException:
            self._starting -= 1
            raise
        self._starting -= 1
        self._slots_each = sandbox.slots
        member = _Member(sandbox, deque(range(sandbox.slots)), sandbox.slots)
        self._members[sandbox.id] = member
        member.watch = self._begin(self._watch(member))
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        self._adjust()
        self._rest(member)

    def _give_out(self) -> None:
        while self._waiting:
            while self._waiting and self._waiting[0][1].done():
                self._waiting.popleft()  # cancelled
            able = [
                member for member in self._members.values() if member.free and not member.sandbox.died.done()
            ]
            if not self._waiting or not able:
                return
            # The fullest one, so that others fall idle and can be stopped.
            member = min(able, key=lambda each: len(each.free))
            task_id, waiter = self._waiting.popleft()
            number = member.free.popleft()
            if member.idle is not None:
                member.idle.cancel()
                member.idle = None
            slot = Slot(task_id, member.sandbox.id, number, member.sandbox.lease(number))
            self._held[task_id] = slot
            waiter.set_result(slot)

    def _free(self, member: _Member, number: int) -> None:
        if self._members.get(member.sandbox.id) is not member:
            return
        member.free.append(number)
        self._adjust()
        self._rest(member)

    def _rest(self, member: _Member) -> None:
        """Begin to count the time a sandbox is idle, if it is and is not needed."""
        if (
            member.is_idle
            and member.idle is None
            and self._is_open
            and len(self._members) > self._limits.minimum
        ):
            loop = asyncio.get_running_loop()
            member.idle = loop.call_later(self._limits.idle_seconds, self._shrink, member)

    def _shrink(self, member: _Member) -> None:
        member.idle = None
        if not member.is_idle or self._members.get(member.sandbox.id) is not member or self._waiting:
            return
        if len(self._members) <= self._limits.minimum:
            return
        if not self._provider.may_stop(member.sandbox):
            self._rest(member)
            return
        del self._members[member.sandbox.id]
        self._end(member)

    def _give_up(self) -> None:
        """A crash loop: say so to all who wait, and look again when it has passed."""
        error = SandboxError(
            f"{self._provider.name}: {self._limits.failures} sandboxes in a row did not come up; the last "
            f"one said: {self._failures.words}"
        )
        self._fail_waiting(error)
        self._later()

    def _later(self) -> None:
        if self._retry is None and self._failures.times:
            until = self._failures.times[0] + self._limits.window - time.monotonic() + 0.01
            self._retry = asyncio.get_running_loop().call_later(max(until, 0.01), self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._adjust()

    def _fail_waiting(self, error: SandboxError) -> None:
        while self._waiting:
            _, waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)
        if self._first is not None and not self._first.done():
            self._first.set_exception(error)
            self._first.exception()

    def _end(self, member: _Member) -> None:
        """Stop a sandbox that is no longer of the pool; `stop` waits for it."""
        if member.idle is not None:
            member.idle.cancel()
        if member.watch is not None and member.watch is not asyncio.current_task():
            member.watch.cancel()
        self._see_out(member.sandbox.stop())

    def _see_out(self, work: Coroutine[Any, Any, None]) -> None:
        """What is not broken off; `stop` waits for it."""
        task = asyncio.ensure_future(work)
        self._endings.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._endings.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.words = str(error)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
