"""Many tasks over few slots, sandboxes killed and connections broken meanwhile, and a ledger of what ran."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable

from sandboxes.pools.contract import SandboxLost, Slot
from sandboxes.pools.provider import ExecutorSandbox
from sandboxes.pools.slot_pool import SlotPool

STEPS = 3


class Ledger:
    """A server on loopback to which each command tells its line; what runs twice tells twice."""

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()
        self.port = 0

    async def __aenter__(self) -> Ledger:
        self._server = await asyncio.start_server(self._told, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _told(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            line = (await reader.readline()).decode()
            if line.endswith("\n"):
                self.lines[line.strip()] += 1
                writer.write(b"written\n")
                await writer.drain()
        writer.close()

    def command(self, name: str) -> str:
        tell = f"exec 3<> /dev/tcp/127.0.0.1/{self.port}; echo {name} >&3"
        return f'{tell}; read -r answer <&3; [ "$answer" = written ]'


async def run_task(
    pool: SlotPool, ledger: Ledger, name: str, rng: random.Random, own_proc: bool
) -> tuple[int, list[str]]:
    """(attempts, complaints): begins anew, in another slot, whenever its sandbox was lost."""
    attempt = 0
    while True:
        attempt += 1
        slot = await pool.acquire(name)
        try:
            return attempt, await _attempt(pool, ledger, slot, f"{name}.{attempt}", rng, own_proc)
        except SandboxLost:
            continue
        finally:
            await pool.release(slot)


async def _attempt(
    pool: SlotPool, ledger: Ledger, slot: Slot, name: str, rng: random.Random, own_proc: bool
) -> list[str]:
    complaints = []
    # Without a /proc of its own a slot sees the names of the processes of others.
    processes = "cat /proc/[0-9]*/comm" if own_proc else "jobs"
    look = f"ls -A /workspace /tmp /dev/shm; echo [$MINE]; {processes} | grep -c sleep"
    seen = await pool.execute(slot, "bash", {"command": look}, 60)
    if seen.output != "/dev/shm:\n\n/tmp:\n\n/workspace:\n[]\n0\n":
        complaints.append(f"{name} found {seen.output!r}")
    for step in range(STEPS):
        files = "/workspace/f /tmp/f /dev/shm/f"
        leave = f"export MINE={name}; for f in {files}; do echo {name} >> $f; done; sleep 1000 & "
        wait = f"sleep {rng.random() * 0.1:.3f}"
        told = await pool.execute(
            slot,
            "bash",
            {"command": f"{leave if step == 0 else ''}{ledger.command(f'{name}.{step}')} && {wait}"},
            60,
        )
        if not told.success:
            complaints.append(f"{name}.{step}: {told}")
    kept = await pool.execute(slot, "bash", {"command": "cat /workspace/* /tmp/* /dev/shm/*; echo $MINE"}, 60)
    if kept.output != f"{name}\n" * 4:
        complaints.append(f"{name} kept {kept.output!r}")
    return complaints


async def disturb(
    pool: SlotPool,
    kill: Callable[[str], None],
    rng: random.Random,
    counts: Counter[str],
    calm: float,
    kills: int,
) -> None:
    """For ever: kill a sandbox by its id, or break the connections to one."""
    while True:
        await asyncio.sleep(calm * rng.uniform(0.05, 0.3))
        sandboxes = [member.sandbox for member in pool._members.values()]
        if not sandboxes:
            continue
        sandbox = rng.choice(sandboxes)
        if rng.random() < 0.25 and counts["killed"] < kills:
            counts["killed"] += 1
            kill(sandbox.id)
        elif isinstance(sandbox, ExecutorSandbox):
            for writer in list(sandbox.client._open):
                counts["broken"] += 1
                writer.transport.abort()


async def load(
    pool: SlotPool,
    kill: Callable[[str], None],
    tasks: int,
    seed: int,
    *,
    own_proc: bool = True,
    calm: float = 1,
    kills: int = 20,
) -> Counter[str]:
    """Asserts that each task ended and each line was told at most once; how often what happened."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    async with Ledger() as ledger:
        disturber = asyncio.ensure_future(disturb(pool, kill, rng, counts, calm, kills))
        names = [f"task{number}" for number in range(tasks)]
        try:
            results = await asyncio.gather(*(run_task(pool, ledger, name, rng, own_proc) for name in names))
        finally:
            disturber.cancel()
    complaints = [each for _, each in results if each]
    assert complaints == []
    assert {line: count for line, count in ledger.lines.items() if count > 1} == {}, "ran twice"
    for name, (attempts, _) in zip(names, results, strict=True):
        for step in range(STEPS):
            assert ledger.lines[f"{name}.{attempts}.{step}"] == 1, "the attempt that counts ran as a whole"
    counts["attempts"] = sum(attempts for attempts, _ in results)
    return counts
