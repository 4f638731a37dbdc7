"""The workers of a run on a Ray cluster: asked for, given work, lost, replaced."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from batches.engine import EngineError
from batches.plan import RunPlan
from configuration.version import VERSION

FEWEST_AT_ONCE = 8
"""Conversations a worker should have before another one is worth its memory (some 100 MB)."""
PATIENCE = 30.0
"""Seconds for which the others leave its share to a worker that was asked for."""
FALSE_STARTS = 5
"""So many workers in a row that end before they can work: the cause is not chance."""
LEAVE_SECONDS = 5.0


class WorkerLost(Exception):
    """It is not known what came of the work. The text says how, in a line."""


class WorkerFault(Exception):
    """The worker lives, and cannot do this: an error of ours. The text says which, in a line."""


@dataclass(slots=True, eq=False)
class Worker:
    """`node` is "" until it is ready. `at_work` counts conversations; `late` is one long asked for."""

    actor: Any
    node: str = ""
    at_work: int = 0
    late: bool = False


class RayPool:
    """`tell` is told in a sentence what a person should know."""

    def __init__(self, ray: Any, plan: RunPlan, assignment: bytes, tell: Callable[[str], None]) -> None:
        self._ray = ray
        self._errors = ray.exceptions
        self._plan = plan
        self._assignment = assignment
        self._tell = tell
        self._workers: set[Worker] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._problem: EngineError | None = None
        self._false_starts = 0
        self._has_lost = False
        self._told_of_waiting = False
        self._kind = ray.remote(_actor_class())

    def start(self) -> None:
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        worthwhile = math.ceil(self._plan.concurrency / FEWEST_AT_ONCE)
        for _ in range(self._plan.workers or max(1, min(cores, worthwhile))):
            self._ask()

    async def place(self) -> Worker:
        """Reserve a free place, at the worker with the least to do.

        Raises:
            EngineError: there will be none.
        """
        while (worker := self._freest()) is None:
            self._changed.clear()
            await self._changed.wait()
        worker.at_work += 1
        return worker

    def leave(self, worker: Worker) -> None:
        """Give a place back."""
        worker.at_work -= 1
        self._changed.set()

    async def work(self, worker: Worker, task: bytes) -> bytes:
        """Have `task` done at the place that was reserved, and give the place back.

        Raises:
            WorkerLost: another worker is then on its way.
            WorkerFault: as named.
        """
        try:
            return bytes(await worker.actor.work.remote(task))
        except self._errors.RayTaskError as error:
            raise WorkerFault(_first_line(error.cause or error)) from error
        except self._errors.RayError as error:
            self._lose(worker, error)
            raise WorkerLost(f"{worker.node}: {_cause(error)}") from error
        finally:
            self.leave(worker)

    async def close(self) -> None:
        """End every worker and what it does."""
        for task in self._starting:
            task.cancel()
        last = {asyncio.ensure_future(self._farewell(worker)) for worker in self._workers if worker.node}
        if last := {*last, *self._starting}:
            await asyncio.wait(last, timeout=LEAVE_SECONDS)
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers.clear()

    async def _farewell(self, worker: Worker) -> None:
        with contextlib.suppress(self._errors.RayError):
            await worker.actor.leave.remote()

    def _ask(self) -> None:
        options = {"num_cpus": 1, "max_concurrency": self._plan.concurrency + 8, "max_restarts": 0}
        worker = Worker(self._kind.options(**options, scheduling_strategy="SPREAD").remote())
        self._workers.add(worker)
        starting = asyncio.create_task(self._start(worker))
        self._starting.add(starting)
        starting.add_done_callback(self._started)

    async def _start(self, worker: Worker) -> None:
        overdue = asyncio.get_running_loop().call_later(PATIENCE, self._overdue, worker)
        try:
            node, version = await worker.actor.look.remote()
            if version == VERSION:
                await worker.actor.prepare.remote(self._assignment)
        except self._errors.RayTaskError as error:
            self._drop(worker)
            self._give_up(f"A Ray worker cannot begin: {_first_line(error.cause or error)}")
        except self._errors.RayError as error:
            self._drop(worker)
            await self._again(error)
        else:
            if version == VERSION:
                worker.node, self._false_starts = node, 0
                self._changed.set()
            else:  # not replaced: Ray would choose the same node again
                self._drop(worker)
                found = f"hermes-agent {version}" if version else "no hermes-agent in the Python of Ray"
                fix = f"Run there: pip install hermes-agent=={VERSION}"
                self._give_up(f"The node {node} has {found}; here it is {VERSION}. {fix}")
        finally:
            overdue.cancel()

    def _started(self, starting: asyncio.Task[None]) -> None:
        self._starting.discard(starting)
        if not starting.cancelled() and (error := starting.exception()) is not None:
            self._problem = EngineError(f"a Ray worker could not be asked for: {_first_line(error)}")
            self._changed.set()

    async def _again(self, error: Exception) -> None:
        self._false_starts += 1
        if self._false_starts >= FALSE_STARTS:
            self._give_up(f"No Ray worker could be started in {FALSE_STARTS} attempts: {_cause(error)}")
            return
        await asyncio.sleep(2.0 ** (self._false_starts - 1))
        self._ask()

    def _give_up(self, said: str) -> None:
        """The whole run, if it has just begun or has no other worker: what is wrong from the first wants
        mending, not half a cluster."""
        if self._has_lost and any(worker.node for worker in self._workers):
            self._tell(f"{said}. The run goes on without that worker.")
        else:
            self._problem = EngineError(said)
        self._changed.set()

    def _lose(self, worker: Worker, error: Exception) -> None:
        """Once for each worker, though all its conversations say so."""
        if worker not in self._workers:
            return
        self._drop(worker)
        self._has_lost = True
        self._tell(
            f"A Ray worker on {worker.node} was lost ({_cause(error)}). "
            f"Its {worker.at_work} prompts go to others, and a new worker is asked for."
        )
        self._ask()

    def _drop(self, worker: Worker) -> None:
        self._workers.discard(worker)
        self._ray.kill(worker.actor)

    def _freest(self) -> Worker | None:
        """All have the same share, also those on their way, unless they are late. Raises the problem."""
        if self._problem is not None:
            raise self._problem
        ready = [worker for worker in self._workers if worker.node]
        if not ready:
            return None
        expected = sum(not worker.node and not worker.late for worker in self._workers)
        share = math.ceil(self._plan.concurrency / (len(ready) + expected))
        worker = min(ready, key=lambda each: each.at_work)
        return worker if worker.at_work < share else None

    def _overdue(self, worker: Worker) -> None:
        worker.late = True
        self._changed.set()
        if self._told_of_waiting or any(each.node for each in self._workers):
            return
        self._told_of_waiting = True
        have, free = (
            found.get("CPU", 0) for found in (self._ray.cluster_resources(), self._ray.available_resources())
        )
        self._tell(f"Waiting for a worker: the Ray cluster has {have:g} cores, {free:g} of them free.")


def _actor_class() -> type:
    """A class inside a function is sent as code: the node then need not have this hermes, or any."""

    class HermesWorker:
        async def look(self) -> tuple[str, str]:
            """The node, and the version of hermes that is installed there; "" is none."""
            try:
                from configuration.version import VERSION as found
            except ImportError:
                found = ""
            return import_module("ray").util.get_node_ip_address(), found

        async def prepare(self, assignment: bytes) -> None:
            from batches.ray_worker import RayWorker

            self._worker = RayWorker(assignment)

        async def work(self, task: bytes) -> bytes:
            return await self._worker.work(task)

        async def leave(self) -> None:
            await self._worker.leave()

    return HermesWorker


def _cause(error: Exception) -> str:
    """What Ray says about the end of a worker, without the identifiers around it."""
    text = " ".join(str(error).split())
    for mark in ("Worker exit detail: ", "The actor is dead because ", "RpcError: "):
        text = text.rpartition(mark)[2]
    return text.split(". ", 1)[0].removesuffix(".") or type(error).__name__


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
