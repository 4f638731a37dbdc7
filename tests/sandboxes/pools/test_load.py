"""Two hundred tasks over twenty slots, while their sandboxes are killed."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from sandboxes.pools.local_provider import LocalProvider
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
from sandboxes.process_tree import find_tree
from tests.sandboxes.pools.load import load
from tests.sandboxes.pools.rig import executor_pids


@pytest.mark.long
def test_nothing_is_lost_doubled_or_seen_by_others_while_local_sandboxes_are_killed() -> None:
    provider = LocalProvider(4, network=True)

    def kill(id: str) -> None:
        for pid in executor_pids(f"{provider.marker}{id}-"):
            os.kill(pid, signal.SIGKILL)

    async def work() -> None:
        pool = SlotPool(provider, PoolLimits(5, 5))
        await pool.start()
        try:
            counts = await load(pool, kill, 200, seed=1)
        finally:
            await pool.stop()
        print(dict(counts))  # noqa: T201
        assert counts["killed"] >= 3
        assert counts["broken"] >= 20
        assert counts["attempts"] > 200

    asyncio.run(work())
    assert find_tree(provider.marker) == set()
