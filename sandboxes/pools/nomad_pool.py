"""Sandboxes on a Nomad cluster: one job, one allocation a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import Any

from configuration.sandbox_settings import NomadSettings
from sandboxes.leftovers import owner_is_dead, owner_label
from sandboxes.pools.contract import SandboxLost
from sandboxes.pools.executor_client import ExecutorClient
from sandboxes.pools.nomad_client import NomadClient, NomadError
from sandboxes.pools.nomad_job import (
    GROUP,
    executor_address,
    index_of,
    job_specification,
    why_it_ended,
    why_not_placed,
)
from sandboxes.pools.provider import ExecutorSandbox, PooledSandbox
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
from sandboxes.sandbox import SandboxError

START_SECONDS = 600.0
"""A node may have to pull the image first."""
ANSWER_SECONDS = 60.0
"""From the start of its task until the executor answers."""
STOP_SECONDS = 60.0
_ENDED = ("complete", "failed", "lost", "unknown")
_PREFIX = "hermes-pool-"


class NomadToolBackend(SlotPool):
    """Fulfils `ToolBackend` on a Nomad cluster.

    Args:
        token: Nomad's own, for its API; empty where ACLs are off.
        network: whether commands reach the network.
        limits: those of `settings` if None.
        job: its name in Nomad; a new one if empty.
    """

    def __init__(
        self,
        settings: NomadSettings,
        token: str = "",
        *,
        network: bool = False,
        limits: PoolLimits | None = None,
        job: str = "",
    ) -> None:
        self.provider = NomadProvider(settings, token, network=network, job=job)
        super().__init__(self.provider, limits or PoolLimits(settings.minimum, settings.maximum))


class NomadProvider:
    """Fulfils `SandboxProvider`. The job is registered with the first sandbox and scaled with the others."""

    name = "nomad"
    replaces = True

    def __init__(
        self, settings: NomadSettings, token: str = "", *, network: bool = False, job: str = ""
    ) -> None:
        self.job = job or f"{_PREFIX}{owner_label()}-{secrets.token_hex(4)}"
        self.client = NomadClient(
            settings.address, token, namespace=settings.namespace, region=settings.region
        )
        self._settings = settings
        self._network = network
        self.token = secrets.token_urlsafe(32)
        self._count = 0
        self._starting = 0
        self._stubs: list[dict[str, Any]] = []
        self._sandboxes: dict[str, NomadSandbox] = {}
        self._waiting: deque[asyncio.Future[dict[str, Any]]] = deque()
        self._seen: set[str] = set()
        self._watch: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    async def start_sandbox(self) -> NomadSandbox:
        """See `SandboxProvider`. Waits for the replacement where Nomad is about to start one."""
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._starting += 1
        try:
            await self._enough()
            self._learn_all()
            async with asyncio.timeout(START_SECONDS):
                stub = await waiter
            allocation = await self.client.allocation(str(stub["ID"]))
            address = executor_address(allocation)
            if not address:
                raise SandboxError(f"nomad: allocation {str(stub['ID'])[:8]} has no port for the executor")
            sandbox = NomadSandbox(self, stub, address, self.token)
            self._sandboxes[sandbox.id] = sandbox
        except TimeoutError as error:
            raise SandboxError(f"nomad: no sandbox came up within {START_SECONDS:.0f} s") from error
        finally:
            self._starting -= 1
            self._waiting.remove(waiter)
        await self._greet(sandbox)
        return sandbox

    def may_stop(self, sandbox: PooledSandbox) -> bool:
        """Nomad stops the one with the highest index first."""
        mine = self._sandboxes.get(sandbox.id)
        return mine is not None and mine.index == max(each.index for each in self._sandboxes.values())

    async def close(self, purge: bool) -> None:
        """Stop the job, and wait until Nomad has ended its allocations."""
        if self._watch is not None:
            watch, self._watch = self._watch, None
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self.client.deregister(self.job, purge=purge)
            with contextlib.suppress(TimeoutError, NomadError):  # gone with the record of the job
                async with asyncio.timeout(STOP_SECONDS):
                    await self._all_ended()
        await self.client.close()

    async def shrink(self) -> None:
        async with self._changing:
            self._count -= 1
            await self.client.scale(self.job, GROUP, self._count)

    def sandbox(self, id: str) -> NomadSandbox | None:
        """One that lives."""
        return self._sandboxes.get(id)

    def forget(self, id: str) -> None:
        self._sandboxes.pop(id, None)

    async def _enough(self) -> None:
        """Have Nomad run as many as are there or waited for. Raises SandboxError in the scheduler's words."""
        async with self._changing:
            if self._watch is None:
                await self._register()
            wanted = len(self._sandboxes) + self._starting
            if wanted <= self._count:
                return
            before, self._count = self._count, wanted
            evaluation = await self.client.evaluated(await self.client.scale(self.job, GROUP, wanted))
            if why := why_not_placed(evaluation):
                self._count = before
                await self.client.scale(self.job, GROUP, before)
                raise SandboxError(f"nomad: {why}")

    async def _register(self) -> None:
        if not self._settings.image:
            raise SandboxError(
                "nomad: no image is set; set nomad.image to one with bash, python3 and bubblewrap"
            )
        await self._remove_left()
        job = job_specification(self._settings, self.job, self.token, network=self._network)
        await self.client.register(job)
        self._watch = asyncio.ensure_future(self._follow())

    async def _remove_left(self) -> None:
        """Stop the jobs of owners on this machine that were killed."""
        try:
            jobs = await self.client.jobs(f"{_PREFIX}{owner_label().partition('.')[0]}.")
        except NomadError:
            return  # a token that may not list jobs may still submit one
        for job in jobs:
            id = str(job["ID"])
            owner = id.removeprefix(_PREFIX).rpartition("-")[0]
            if job.get("Status") != "dead" and owner_is_dead(owner):
                await self.client.deregister(id, purge=True)

    async def _follow(self) -> None:
        """For ever: learn from Nomad what becomes of the allocations."""
        index, pause = 0, 1.0
        while True:
            try:
                stubs, index = await self.client.allocations(self.job, index)
            except NomadError:
                # Sandboxes can go on without Nomad's servers, and are asked for their health.
                await asyncio.sleep(pause)
                pause = min(2 * pause, 30.0)
                continue
            pause = 1.0
            self._stubs = sorted(stubs, key=lambda stub: int(stub.get("CreateIndex", 0)))
            self._learn_all()

    def _learn_all(self) -> None:
        for stub in self._stubs:
            self._learn(stub)

    def _learn(self, stub: dict[str, Any]) -> None:
        id, status = str(stub["ID"]), stub["ClientStatus"]
        sandbox = self._sandboxes.get(id)
        if sandbox is not None and (status in _ENDED or stub.get("DesiredStatus") != "run"):
            sandbox.mark_dead(f"nomad: {why_it_ended(stub)}")
            self.forget(id)
        if id in self._seen or status not in ("running", *_ENDED):
            return
        waiting = next((each for each in self._waiting if not each.done()), None)
        if waiting is None:
            return
        self._seen.add(id)
        if status == "running" and stub.get("DesiredStatus") == "run":
            waiting.set_result(stub)
        elif status == "failed":
            waiting.set_exception(SandboxError(f"nomad: {why_it_ended(stub)}"))

    async def _greet(self, sandbox: NomadSandbox) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    # Nomad knows when the task has started, not when it listens.
                    with contextlib.suppress(SandboxLost):
                        await sandbox.greet()
                        return
                    if (await asyncio.wait([sandbox.died], timeout=0.1))[0]:
                        raise SandboxError(sandbox.died.result())
        except TimeoutError as error:
            await sandbox.replace()
            raise SandboxError(
                f"nomad: no executor answers at {sandbox.client.address}; can this machine reach the nodes?"
            ) from error
        except BaseException:
            self.forget(sandbox.id)
            sandbox.client.close("it did not come up")
            raise

    async def _all_ended(self) -> None:
        index = 0
        while True:
            stubs, index = await self.client.allocations(self.job, index)
            if all(stub["ClientStatus"] in _ENDED for stub in stubs):
                return


class NomadSandbox(ExecutorSandbox):
    def __init__(self, provider: NomadProvider, stub: dict[str, Any], address: str, token: str) -> None:
        self.index = index_of(stub)
        id = str(stub["ID"])
        super().__init__(id, ExecutorClient(address, token, f"nomad, allocation {id[:8]}"))
        self._provider = provider

    async def stop(self) -> None:
        """See `PooledSandbox.stop`. In the place of one that was lost Nomad starts another."""
        here = self.id in self._provider._sandboxes
        self.client.close(f"{self.client.name} was stopped")
        if here and self.died.done():
            await self.replace()
        elif here:
            self._provider.forget(self.id)
            await self._provider.shrink()

    async def replace(self) -> None:
        self._provider.forget(self.id)
        await self._provider.client.stop_allocation(self.id)
