"""What a pool adds to the commands of its tasks: `python -m benchmarks.pool`. Needs bubblewrap.

A task acquires a slot, runs its commands and releases it with a reset; 64 are at it at once, in 64 slots of 4
sandboxes on this machine. The share is the time of the commands themselves, from the start of each shell in
its slot to its end as its slot's first process sees it, summed over all tasks, over the time of the tasks
from before `acquire` to after `release`, summed likewise. What is missing to 1 is the pool: waiting for a
slot, HTTP, the executor. A no-op that waits (`sleep 1`) leaves the processors free. One that does nothing at
all (`true`) fills them, so that what is measured is mostly the queue for them; beside it stands a bubblewrap
of its own for each shell, without a pool.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.run import Row
from sandboxes.pools.local_provider import LocalProvider
from sandboxes.pools.slot_pool import PoolLimits, SlotPool

TASKS = 64
SANDBOXES = 4
SHARE = 0.9
ACQUIRE = 0.05
"""Seconds that 99 of 100 acquisitions may take where a slot is free."""
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Task:
    acquire: float
    commands: float
    whole: float


async def run_task(pool: SlotPool, name: str, command: str, times: int) -> Task:
    began = time.monotonic()
    slot = await pool.acquire(name)
    acquired = time.monotonic() - began
    commands = 0.0
    for _ in range(times):
        result = await pool.execute(slot, "bash", {"command": command}, 60)
        commands += result.metadata["seconds"]
    await pool.release(slot)
    return Task(acquired, commands, time.monotonic() - began)


async def all_free(pool: SlotPool) -> None:
    """Wait until every slot was reset: take them all once, and give them back as they are."""
    slots = [await pool.acquire(f"free{number}") for number in range(TASKS)]
    for slot in slots:
        await pool.release(slot, reset=False)


async def one_round(pool: SlotPool, command: str, times: int) -> tuple[float, float, list[float]]:
    """(share, seconds for each command, seconds of each acquisition)"""
    await all_free(pool)
    began = time.monotonic()
    tasks = await asyncio.gather(*(run_task(pool, f"{number}", command, times) for number in range(TASKS)))
    seconds = (time.monotonic() - began) / (TASKS * times)
    share = sum(task.commands for task in tasks) / sum(task.whole for task in tasks)
    return share, seconds, [task.acquire for task in tasks]


def bare(times: int) -> float:
    """Seconds for each of as many shells at once, with the walls of a slot but in no pool."""
    walls = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    began = time.monotonic()
    for _ in range(times):
        started = [subprocess.Popen([*walls, "bash", "-c", "true"]) for _ in range(TASKS)]
        for process in started:
            process.wait()
    return (time.monotonic() - began) / (TASKS * times)


async def measure() -> list[Row]:
    pool = SlotPool(LocalProvider(TASKS // SANDBOXES), PoolLimits(SANDBOXES, SANDBOXES))
    await pool.start()
    rows, acquired = [], []
    try:
        for command, times in (("sleep 1", 3), ("true", 10)):
            found = [await one_round(pool, command, times) for _ in range(ROUNDS)]
            share = median(each[0] for each in found)
            for each in found:
                acquired += each[2]
            # A row holds what must be at most its bar.
            missing = 1 - share
            rows.append(Row(f"pool: not in `{command}` itself", "share", missing, None, 1 - SHARE))
            if command == "true":
                floor = median(bare(times) for _ in range(ROUNDS))
                rows.append(
                    Row("pool: each `true`, beside bwrap alone", "s", median(e[1] for e in found), floor)
                )
        p99 = quantiles(acquired, n=100)[98]
        rows.append(Row("pool: acquire a free slot, p99", "s", p99, None, ACQUIRE))
    finally:
        await pool.stop()
    return rows


def main() -> None:
    for row in asyncio.run(measure()):
        print(row)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
