"""The backend nomad: a task works in a slot of a sandbox on a Nomad cluster, beside other tasks of ours.

All tasks of one process share a pool, and with it one job; the job goes with the last of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from configuration.sandbox_settings import NomadSettings
from safety.confinement import Confinement
from sandboxes.executor.bubblewrap import WORKSPACE
from sandboxes.host import CommandLineHost
from sandboxes.pools.contract import Slot
from sandboxes.pools.nomad_pool import NomadSandbox, NomadToolBackend
from sandboxes.sandbox import SandboxError
from settings import Settings

Value = TypeVar("Value")
_RELAY = Path(__file__).parent / "pools" / "relay.py"
_FAREWELL = (
    "import os, sys, urllib.request as web\n"
    "token = {'X-Nomad-Token': os.environ['NOMAD_TOKEN']}\n"
    "request = web.Request(sys.argv[1], method='DELETE', headers=token)\n"
    "web.build_opener(web.ProxyHandler({})).open(request, timeout=20)\n"
)


def make_nomad_host(settings: Settings, task_id: str, environ: Mapping[str, str]) -> NomadHost:
    """The host of a task. Raises SandboxError where a setting cannot be kept."""
    if not settings.nomad.image:
        raise SandboxError("nomad: no image is set; set nomad.image to one with bash, python3 and bubblewrap")
    pool = SHARED.pool(settings.nomad, environ.get("NOMAD_TOKEN", ""), bool(settings.terminal.network))
    return NomadHost(pool, task_id, environ)


class PoolThread:
    """A pool that tasks in any thread and event loop share. While it has users it has a loop of its own."""

    def __init__(self, settings: NomadSettings, token: str, network: bool) -> None:
        self.token = token
        self.network = network
        self.settings = settings
        self.backend = NomadToolBackend(settings, token, network=network)
        self.job = self.backend.provider.job
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0
        self._lock = threading.Lock()
        self._started: asyncio.Task[None] | None = None

    async def acquire(self, name: str) -> Slot:
        """See `ToolBackend.acquire`; begins a use of the pool."""
        with self._lock:
            self._users += 1
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="nomad-pool", daemon=True).start()
        try:
            await self.call(self._start())
            return await self.call(self.backend.acquire(name))
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """End a use; with the last the job goes."""
        with self._lock:
            self._users -= 1
            loop = self._loop
            if self._users or loop is None:
                return
            backend, self._loop, self._started = self.backend, None, None
            self.backend = NomadToolBackend(self.settings, self.token, network=self.network, job=self.job)
        future = asyncio.run_coroutine_threadsafe(backend.stop(purge=True), loop)
        try:
            await asyncio.wrap_future(future)
        finally:
            loop.call_soon_threadsafe(loop.stop)

    async def call(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run `work` in the pool's loop."""
        assert self._loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def job_address(self) -> str:
        """Of the job in Nomad's API; to DELETE it ends the pool."""
        where = f"purge=true&namespace={self.settings.namespace}"
        where += f"&region={self.settings.region}" if self.settings.region else ""
        return f"{self.settings.address.rstrip('/')}/v1/job/{self.job}?{where}"

    async def _start(self) -> None:
        if self._started is None:
            self._started = asyncio.ensure_future(self.backend.start())
        try:
            await asyncio.shield(self._started)
        except SandboxError:
            self._started = None
            raise


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


class _SharedPools:
    """One pool for each cluster and kind of sandbox."""

    def __init__(self) -> None:
        self._pools: dict[str, PoolThread] = {}
        self._lock = threading.Lock()

    def pool(self, settings: NomadSettings, token: str, network: bool) -> PoolThread:
        key = repr((settings, token, network))
        with self._lock:
            if key not in self._pools:
                self._pools[key] = PoolThread(settings, token, network)
            return self._pools[key]


SHARED = _SharedPools()
"""The tasks of a process know nothing of each other, and are to share what is costly to start."""


class NomadHost(CommandLineHost):
    """Fulfils `Host` with a slot."""

    name = "nomad"
    cwd = WORKSPACE
    lasting = False

    def __init__(self, pool: PoolThread, task_id: str, environ: Mapping[str, str]) -> None:
        self.confinement = Confinement(kind="nomad", network=pool.network, writable=(), keys=False)
        self.environment: Mapping[str, str] = {
            "PATH": environ.get("PATH", os.defpath), "NOMAD_TOKEN": pool.token
        }  # fmt: skip
        self.on_death: Sequence[str] = (sys.executable, "-I", "-S", "-c", _FAREWELL, pool.job_address())
        self._pool = pool
        self._task_id = task_id
        self._slot: Slot | None = None
        self._address = ""
        self._why = ""

    async def start(self, identity: str) -> None:
        """See `Host.start`."""
        if self._slot is not None:
            await self.stop()
        slot = await self._pool.acquire(f"{self._task_id}-{identity}")
        sandbox = self._sandbox(slot)
        if sandbox is None:
            await self._pool.leave()
            raise SandboxError("nomad: the sandbox was lost as soon as it was there; try again")
        if not sandbox.own_proc:
            await self._pool.call(self._pool.backend.release(slot))
            await self._pool.leave()
            raise SandboxError(
                "nomad: containers of this cluster hide parts of /proc, so commands cannot have one of their "
                "own, and could not be ended; set nomad.driver to singularity"
            )
        self._slot, self._address = slot, sandbox.client.address
        token = self._pool.backend.provider.token
        self.environment = {**self.environment, "HERMES_EXECUTOR_TOKEN": token}

    def command_line(self, argv: Sequence[str]) -> list[str]:
        """See `CommandLineHost.command_line`."""
        if self._slot is None:
            raise SandboxError("nomad: there is no sandbox")
        where = [self._address, str(self._slot.number), self._slot.lease]
        return [sys.executable, "-I", "-S", str(_RELAY), *where, *argv]

    async def is_up(self) -> bool:
        """See `Host.is_up`."""
        if self._slot is None:
            return False
        result = await self._pool.call(
            self._pool.backend.execute_batch([(self._slot, "bash", {"command": "true"})], 10)
        )
        if isinstance(result[0], SandboxError):
            self._why = str(result[0]).removeprefix("nomad, ")
            return False
        return True

    def why_gone(self) -> str:
        return self._why

    async def stop(self) -> None:
        """See `Host.stop`."""
        slot, self._slot = self._slot, None
        if slot is not None:
            await self._pool.call(self._pool.backend.release(slot))
            await self._pool.leave()

    def _sandbox(self, slot: Slot) -> NomadSandbox | None:
        return self._pool.backend.provider.sandbox(slot.sandbox_id)
