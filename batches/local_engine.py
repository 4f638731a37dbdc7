"""The local engine: worker processes on this machine, replaced when they are lost."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from batches.engine import EngineError
from batches.frames import frame, read_frame
from batches.plan import RunPlan
from batches.task import PromptTask, TaskResult
from batches.worker import WorkerStart

STOP_GRACE = 8.0
"""Seconds a worker gets to break off its conversations and tidy up; then it is killed."""
MOST_LOSSES = 3
"""How often a prompt's worker may be lost before the prompt itself is held to be the reason."""
TROUBLE_EVERY = 30.0
"""Seconds between two sentences about requests that fail and are sent again."""
_LARGE = 1024 * 1024


class LocalEngine:
    """Fulfils `Engine`. Tasks get their folders in `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    async def run(
        self, plan: RunPlan, tasks: AsyncIterator[PromptTask], tell: Callable[[str], None]
    ) -> AsyncGenerator[TaskResult, None]:
        """See `Engine.run`."""
        crew = _Crew(plan, tasks, tell, self._scratch)
        workers = min(plan.workers, plan.concurrency)
        seats = [plan.concurrency // workers + (n < plan.concurrency % workers) for n in range(workers)]
        tending = [asyncio.create_task(crew.tend(count)) for count in seats]
        for each in tending:
            each.add_done_callback(crew.ended)
        try:
            left = len(tending)
            while left:
                result = await crew.results.get()
                if isinstance(result, TaskResult):
                    yield result
                elif result is None:
                    left -= 1
                else:
                    raise result
        finally:
            for each in tending:
                each.cancel()
            await asyncio.gather(*tending, return_exceptions=True)


class _Crew:
    """What the workers of one run share: where tasks come from and results go to."""

    def __init__(
        self, plan: RunPlan, tasks: AsyncIterator[PromptTask], tell: Callable[[str], None], scratch: Path
    ) -> None:
        self.results: asyncio.Queue[TaskResult | BaseException | None] = asyncio.Queue()
        self._start = frame(WorkerStart(plan, str(scratch)))
        self._tasks = tasks
        self._taking = asyncio.Lock()
        self._tell = tell
        self._losses: Counter[int] = Counter()
        self._trouble_told = -math.inf

    def ended(self, tending: asyncio.Task[None]) -> None:
        self.results.put_nowait(None if tending.cancelled() else tending.exception())

    async def tend(self, seats: int) -> None:
        """Keep one worker process busy with `seats` tasks at once, and replace it when it is lost.

        Where there is nothing to do, none is started.
        """
        lost: list[PromptTask] = []
        stillborn = 0
        while first := lost or await self._some():
            worker = _Worker(seats, first, self._next, self._hear)
            await worker.hold(self._start)
            if worker.finished:
                return
            stillborn = 0 if worker.ready else stillborn + 1
            if stillborn >= MOST_LOSSES:
                raise EngineError(
                    f"no worker process can be started ({worker.end}); what it said stands above"
                )
            if worker.ready:
                self._tell(
                    f"a worker process was lost ({worker.end}); another takes over what it had in hand"
                )
            lost = [*worker.in_hand.values(), *worker.first]
            if worker.ready:
                lost = [task for task in lost if task.index not in worker.in_hand or self._may_go_on(task)]

    def _hear(self, said: TaskResult | str) -> None:
        """A result, or a word about trouble: that is the same for many, and told now and then."""
        if not isinstance(said, str):
            self.results.put_nowait(said)
        elif (now := time.monotonic()) - self._trouble_told >= TROUBLE_EVERY:
            self._trouble_told = now
            self._tell(said)

    def _may_go_on(self, task: PromptTask) -> bool:
        """False, and the task has failed, where it was in hand each time that a worker was lost."""
        self._losses[task.index] += 1
        if self._losses[task.index] < MOST_LOSSES:
            return True
        reason = f"its worker process was lost {MOST_LOSSES} times while it worked on this prompt"
        self.results.put_nowait(TaskResult(task.index, "failed", reason, kind="worker"))
        return False

    async def _some(self) -> list[PromptTask]:
        task = await self._next()
        return [] if task is None else [task]

    async def _next(self) -> PromptTask | None:
        async with self._taking:
            return await anext(self._tasks, None)


class _Worker:
    """One process. `in_hand` are its tasks without a result; `first` those it is to begin with.

    `ready`: it came as far as to take tasks.
    """

    def __init__(
        self,
        seats: int,
        first: list[PromptTask],
        take: Callable[[], Awaitable[PromptTask | None]],
        give: Callable[[TaskResult | str], None],
    ) -> None:
        self.in_hand: dict[int, PromptTask] = {}
        self.first = first
        self.ready = False
        self.end = ""
        self._free = asyncio.Semaphore(seats)
        self._take = take
        self._give = give
        self._no_more = False

    @property
    def finished(self) -> bool:
        """There was no more to do: the process ended because it was told to."""
        return self._no_more and not self.in_hand and not self.first

    async def hold(self, start: bytes) -> None:
        """Start the process, feed it, take its results, until it ends."""
        process = await _start_process()
        assert process.stdin is not None
        assert process.stdout is not None
        feeding = asyncio.create_task(self._feed(process.stdin, start))
        try:
            self.ready = await read_frame(process.stdout) is not None
            while (data := await read_frame(process.stdout)) is not None:
                result = msgspec.json.decode(data, type=TaskResult | str)
                if isinstance(result, str):
                    self._give(result)
                    continue
                if self.in_hand.pop(result.index, None) is None:
                    continue
                self._give(result)
                self._free.release()
                if self.finished:
                    process.stdin.close()
        finally:
            feeding.cancel()
            await _end_process(process)
        if feeding.done() and not feeding.cancelled() and (fault := feeding.exception()) is not None:
            raise fault
        code = process.returncode or 0
        self.end = f"signal {-code}" if code < 0 else f"exit code {code}"

    async def _feed(self, stdin: asyncio.StreamWriter, start: bytes) -> None:
        try:
            stdin.write(start)
            while True:
                await self._free.acquire()
                task = self.first.pop(0) if self.first else await self._take()
                if task is None:
                    break
                self.in_hand[task.index] = task
                stdin.write(frame(task))
                await stdin.drain()
            self._no_more = True
            if self.finished:
                stdin.close()
        except ConnectionError:
            return  # the process has ended, and whoever reads knows by now
        except Exception:
            stdin.close()  # the process ends with it, so that whoever reads comes to know
            raise


async def _start_process() -> asyncio.subprocess.Process:
    root = str(Path(__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {root!r}); from batches.worker import main; main()"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", code,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LARGE,
        start_new_session=True,  # Ctrl-C is for the run, which lets its workers finish
    )  # fmt: skip


async def _end_process(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_GRACE):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
    await process.wait()
