"""Work on many machines: Ray workers, each with many conversations at once, lost and replaced.

Everything is written here, by whoever runs the engine: a prompt counts as done when its result has arrived,
so one whose worker is lost is held again by another, and no result is ever there twice.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import msgspec

from batches.engine import EngineError
from batches.plan import RunPlan
from batches.ray_pool import RayPool, Worker, WorkerFault, WorkerLost
from batches.ray_worker import Assignment
from batches.task import PromptTask, TaskResult

MOST_LOSSES = 3
"""A prompt that loses so many workers may be what kills them."""
KNOCK_SECONDS = 10.0

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "(?s)^",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Ray reads these when it is imported. Without the second it prints every lost worker on the screen, whatever
its logging is told."""


class RayEngine:
    """`address` is a Ray cluster's; "" takes the one that RAY_ADDRESS names or that runs on this machine, and
    starts one here if there is none. `environ` is where the keys are that the workers are given.

    `plan.workers` 0 means one for each core of the cluster, as far as there is work for it.
    """

    def __init__(self, address: str = "", *, environ: Mapping[str, str] = os.environ) -> None:
        self._address = address
        self._environ = environ

    async def run(
        self, plan: RunPlan, tasks: AsyncIterator[PromptTask], tell: Callable[[str], None]
    ) -> AsyncGenerator[TaskResult, None]:
        """See `batches.engine.Engine`."""
        ray, ours = await asyncio.to_thread(_connect, self._address)
        done: asyncio.Queue[TaskResult | Exception | None] = asyncio.Queue(plan.concurrency)
        for warning in _warnings(ray, plan, self._environ):
            tell(warning)
        pool = RayPool(ray, plan, _assignment(plan, self._environ), tell)
        feeding = asyncio.create_task(_feed(pool, plan, tasks, done))
        try:
            while (result := await done.get()) is not None:
                if isinstance(result, Exception):
                    raise result
                yield result
        finally:
            feeding.cancel()
            await asyncio.wait({feeding})
            await pool.close()
            if ours:
                await asyncio.to_thread(ray.shutdown)


async def _feed(
    pool: RayPool,
    plan: RunPlan,
    tasks: AsyncIterator[PromptTask],
    done: asyncio.Queue[TaskResult | Exception | None],
) -> None:
    room = asyncio.Semaphore(plan.concurrency)

    async def hold(task: PromptTask, worker: Worker) -> None:
        await done.put(await _outcome(pool, task, worker))
        room.release()

    end: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            pool.start()
            while True:
                await room.acquire()
                worker = await pool.place()
                task = await anext(tasks, None)
                if task is None:
                    pool.leave(worker)
                    break
                group.create_task(hold(task, worker))
    except ExceptionGroup as errors:
        end = errors.exceptions[0]
    await done.put(end)


async def _outcome(pool: RayPool, task: PromptTask, worker: Worker) -> TaskResult:
    told = msgspec.json.encode(task)
    reason = ""
    for attempt in range(MOST_LOSSES):
        if attempt:
            worker = await pool.place()
        try:
            return msgspec.json.decode(await pool.work(worker, told), type=TaskResult)
        except WorkerLost as lost:
            reason = str(lost)
        except WorkerFault as fault:
            return TaskResult(task.index, "failed", str(fault), kind="internal")
    reason = f"the Ray worker that held it was lost {MOST_LOSSES} times; the last time: {reason}"
    return TaskResult(task.index, "failed", reason, kind="worker")


def _connect(address: str) -> tuple[Any, bool]:
    """The module `ray`, connected, and whether that was done here."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        ray = import_module("ray")
    except ModuleNotFoundError:
        raise EngineError("--engine ray needs Ray. Run: pip install 'hermes-agent[ray]'") from None
    if ray.is_initialized():
        return ray, False
    import logging

    if address.startswith("ray://"):
        raise EngineError("hermes is a node of the Ray cluster or starts one: give --ray-address HOST:6379")
    address = address or os.environ.get("RAY_ADDRESS", "")
    try:
        _knock(address)
        ray.init(address=address or None, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ValueError, RuntimeError, OSError) as error:
        where = f"the Ray cluster at {address}" if address else "a Ray cluster"
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        advice = "The machine that runs hermes must be a node of the cluster: see `ray status` there"
        raise EngineError(f"{where} cannot be reached: {first}. {advice}") from error
    return ray, True


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()


def _warnings(ray: Any, plan: RunPlan, environ: Mapping[str, str]) -> Iterator[str]:
    from configuration.home import read_secrets
    from models.providers import resolve_endpoint

    endpoint = resolve_endpoint(plan.settings, read_secrets(environ))
    nodes = sum(bool(node["Alive"]) for node in ray.nodes())
    if endpoint.is_loopback and nodes > 1:
        yield (
            f"The model's address is {endpoint.host}: each of the {nodes} Ray nodes will ask itself there. "
            "If one server is meant, give its address in the network (--base-url)."
        )
    if plan.keep_folders:
        yield "The tasks work on the Ray nodes, and their folders go with the workers: none are kept."


def _assignment(plan: RunPlan, environ: Mapping[str, str]) -> bytes:
    """The plan, and the keys that it needs: the model's, those of hermes's own .env file, and the variables
    that `terminal.env_pass` spells out. What else is in the environment stays here."""
    from configuration.home import read_secrets
    from models.providers import resolve_endpoint

    secrets = read_secrets(environ)
    home = {"HERMES_HOME": environ.get("HERMES_HOME", ""), "HOME": environ.get("HOME", "")}
    own = read_secrets({name: value for name, value in home.items() if value})
    wanted = {resolve_endpoint(plan.settings, secrets).key_env, *own}
    given = {name: secrets[name] for name in wanted if name in secrets}
    passed = {name: environ[name] for name in plan.settings.terminal.env_pass if environ.get(name)}
    return msgspec.json.encode(Assignment(plan, {**given, **passed}))
