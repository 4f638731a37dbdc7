"""Slots of sandboxes on this machine: given out in turn, reset in between, replaced when they die."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandboxes.pools.contract import SandboxLost, Slot, ToolResult
from sandboxes.pools.local_provider import LocalProvider
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
from sandboxes.process_tree import find_tree
from sandboxes.sandbox import SandboxError
from tests.sandboxes.pools.rig import executor_pids, local_pool, wait_until_gone

ROOT = Path(__file__).parent.parent.parent.parent


async def bash(pool: SlotPool, slot: Slot, command: str, timeout: float = 20) -> str:
    return (await pool.execute(slot, "bash", {"command": command}, timeout)).output


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def test_importing_the_names_of_pools_loads_none_of_them() -> None:
    code = (
        "import sys, sandboxes.pool as pool\n"
        "assert not any(name.startswith('sandboxes.pools') for name in sys.modules)\n"
        "assert pool.SlotPool.__name__ == 'SlotPool' and pool.ToolBackend.__name__ == 'ToolBackend'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with pytest.raises(AttributeError):
        __import__("sandboxes.pool").pool.Nothing  # noqa: B018


def test_a_slot_is_taken_used_and_given_back() -> None:
    async def work() -> None:
        async with local_pool(2, PoolLimits(1, 1)) as (pool, _):
            slot = await pool.acquire("a")
            assert await bash(pool, slot, "echo hello > f; cat f") == "hello\n"
            result = await pool.execute(slot, "bash", {"command": "exit 3"}, 20)
            assert (result.success, result.metadata["exit_code"]) == (False, 3)
            await pool.release(slot)
            with pytest.raises(SandboxLost, match="acquire another"):
                await pool.execute(slot, "bash", {"command": "true"}, 20)

    asyncio.run(work())


def test_a_task_that_asks_twice_gets_the_same_slot() -> None:
    async def work() -> None:
        async with local_pool(2, PoolLimits(1, 1)) as (pool, _):
            first, second = await asyncio.gather(pool.acquire("a"), pool.acquire("a"))
            assert first == second == await pool.acquire("a")
            other = await pool.acquire("b")
            assert other.number != first.number
            await pool.release(first)
            await pool.release(first)
            again = await pool.acquire("a")
            assert again != first, "it is another life of the slot"

    asyncio.run(work())


def test_those_who_wait_are_served_in_their_turn() -> None:
    async def work() -> None:
        served: list[str] = []

        async def task(pool: SlotPool, name: str) -> None:
            slot = await pool.acquire(name)
            served.append(name)
            await asyncio.sleep(0)
            await pool.release(slot)

        async with local_pool(1, PoolLimits(1, 1)) as (pool, _):
            first = await pool.acquire("first")
            tasks = []
            for number in range(8):
                tasks.append(asyncio.ensure_future(task(pool, f"{number}")))
                await asyncio.sleep(0)
            tasks[3].cancel()
            await pool.release(first)
            await asyncio.gather(*tasks, return_exceptions=True)
        assert served == ["0", "1", "2", "4", "5", "6", "7"]

    asyncio.run(work())


def test_the_next_task_finds_nothing_of_the_last_but_what_was_kept_on_purpose() -> None:
    async def work() -> None:
        async with local_pool(1, PoolLimits(1, 1)) as (pool, _):
            slot = await pool.acquire("a")
            await bash(pool, slot, "export A=1; echo x > f; echo x > /tmp/f; sleep 1000 & disown")
            await pool.release(slot, reset=False)
            slot = await pool.acquire("b")
            assert (
                await bash(pool, slot, "echo $A; ls; cat /proc/[0-9]*/comm | grep sleep") == "1\nf\nsleep\n"
            )
            await pool.release(slot)
            slot = await pool.acquire("c")
            assert await bash(pool, slot, "echo [$A]; ls . /tmp; cat /proc/[0-9]*/comm | grep sleep") == (
                "[]\n.:\n\n/tmp:\n"
            )

    asyncio.run(work())


def test_a_batch_answers_in_order_over_several_sandboxes_and_a_loss_is_told_in_its_place() -> None:
    async def work() -> None:
        async with local_pool(2, PoolLimits(2, 2)) as (pool, provider):
            slots = [await pool.acquire(f"{number}") for number in range(4)]
            assert len({slot.sandbox_id for slot in slots}) == 2
            calls = [(slots[n % 4], "bash", {"command": f"echo {n} | tee -a log"}) for n in range(12)]
            results = await pool.execute_batch(calls, 20)
            assert [each.output for each in results if isinstance(each, ToolResult)] == [
                f"{n}\n" for n in range(12)
            ]
            victim = slots[0].sandbox_id
            os.kill(executor_pids(f"{provider.marker}{victim}-")[0], signal.SIGKILL)
            results = await pool.execute_batch(calls, 20)
            for (slot, _, _), result in zip(calls, results, strict=True):
                assert isinstance(result, SandboxLost if slot.sandbox_id == victim else ToolResult)

    asyncio.run(work())


def test_a_dead_sandbox_is_a_loss_and_another_takes_its_place() -> None:
    async def work() -> None:
        async with local_pool(2, PoolLimits(1, 2)) as (pool, provider):
            slot = await pool.acquire("a")
            command = asyncio.ensure_future(pool.execute(slot, "bash", {"command": "sleep 1000"}, 2000))
            await asyncio.sleep(0.2)
            os.kill(executor_pids(provider.marker)[0], signal.SIGKILL)
            began = time.monotonic()
            with pytest.raises(SandboxLost, match="ended with signal 9"):
                await command
            assert time.monotonic() - began < 5, "told at once"
            with pytest.raises(SandboxLost):
                await pool.execute(slot, "bash", {"command": "true"}, 20)
            again = await pool.acquire("a")
            assert again.sandbox_id != slot.sandbox_id
            assert await bash(pool, again, "ls; echo anew") == "anew\n"

    asyncio.run(work())


def test_a_sandbox_that_hangs_is_found_out_and_replaced() -> None:
    async def work() -> None:
        limits = PoolLimits(1, 1, health_seconds=0.2)
        async with local_pool(1, limits) as (pool, provider):
            slot = await pool.acquire("a")
            (pid,) = executor_pids(provider.marker)
            os.kill(pid, signal.SIGSTOP)
            await until(lambda: executor_pids(provider.marker) not in ([pid], []), 40)
            again = await pool.acquire("a")
            assert again.sandbox_id != slot.sandbox_id

    import sandboxes.pools.provider as provider_module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider_module, "HEALTH_SECONDS", 0.5)
        patch.setattr("sandboxes.pools.local_provider.STOP_SECONDS", 0.5)
        asyncio.run(work())


def test_it_grows_with_those_who_wait_and_shrinks_when_they_are_gone() -> None:
    async def work() -> None:
        async with local_pool(1, PoolLimits(1, 3, idle_seconds=0.3)) as (pool, provider):
            slots = await asyncio.gather(*(pool.acquire(f"{number}") for number in range(3)))
            assert pool.sandboxes == 3
            fourth = asyncio.ensure_future(pool.acquire("fourth"))
            await asyncio.sleep(0.3)
            assert (pool.sandboxes, fourth.done()) == (3, False)
            await pool.release(slots[0])
            slots[0] = await fourth
            for slot in slots:
                await pool.release(slot)
            await until(lambda: pool.sandboxes == 1)
            await until(lambda: len(executor_pids(provider.marker)) == 1)
            await asyncio.sleep(0.5)
            assert pool.sandboxes == 1, "the minimum stays"

    asyncio.run(work())


def test_a_crash_loop_is_told_early_in_the_sandboxs_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def work() -> None:
        pool = SlotPool(LocalProvider(1), PoolLimits(1, 2))
        began = time.monotonic()
        with pytest.raises(
            SandboxError, match=r"3 sandboxes in a row.*No permissions to create a new namespace"
        ):
            await pool.start()
        assert time.monotonic() - began < 20

    asyncio.run(work())


def test_sandboxes_that_die_before_they_did_anything_are_a_crash_loop_too() -> None:
    async def work() -> None:
        async with local_pool(1, PoolLimits(1, 1)) as (pool, provider):

            async def kill() -> None:
                killed: set[int] = set()
                while True:
                    for pid in executor_pids(provider.marker):
                        if pid not in killed and pool.sandboxes:
                            killed.add(pid)
                            os.kill(pid, signal.SIGKILL)
                    await asyncio.sleep(0.01)

            killer = asyncio.ensure_future(kill())
            try:
                await until(lambda: pool.sandboxes == 0)
                with pytest.raises(SandboxError, match="ended with signal 9"):
                    for number in range(20):
                        await pool.acquire(f"{number}")
            finally:
                killer.cancel()

    asyncio.run(work())


def test_a_pool_that_could_not_start_a_sandbox_tries_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def work() -> None:
        provider = LocalProvider(1)
        pool = SlotPool(provider, PoolLimits(0, 1, failures=1, window=0.5))
        await pool.start()
        with pytest.raises(SandboxError, match="did not come up"):
            await pool.acquire("a")
        with pytest.raises(SandboxError, match="did not come up"):
            await pool.acquire("a")
        broken.unlink()
        await asyncio.sleep(0.6)
        slot = await pool.acquire("a")
        assert await bash(pool, slot, "echo at last") == "at last\n"
        await pool.stop()

    asyncio.run(work())


def test_a_cancelled_command_has_ended_and_the_slot_goes_on() -> None:
    async def work() -> None:
        async with local_pool(1, PoolLimits(1, 1)) as (pool, _):
            slot = await pool.acquire("a")
            command = asyncio.ensure_future(bash(pool, slot, "sleep 1000"))
            await asyncio.sleep(0.3)
            command.cancel()
            with pytest.raises(asyncio.CancelledError):
                await command
            assert "sleep" not in await bash(pool, slot, "cat /proc/[0-9]*/comm")

    asyncio.run(work())


def test_who_waits_when_the_pool_stops_is_told() -> None:
    async def work() -> None:
        async with local_pool(1, PoolLimits(1, 1)) as (pool, _):
            await pool.acquire("a")
            waiting = asyncio.ensure_future(pool.acquire("b"))
            await asyncio.sleep(0.1)
        with pytest.raises(SandboxError, match="the pool was stopped"):
            await waiting
        with pytest.raises(SandboxError, match="start it first"):
            await pool.acquire("c")

    asyncio.run(work())


def test_a_killed_owner_leaves_nothing_running(scratch: Path) -> None:
    code = """
import asyncio, sys
from sandboxes.pools.local_provider import LocalProvider
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
async def work():
    provider = LocalProvider(2)
    pool = SlotPool(provider, PoolLimits(2, 2))
    await pool.start()
    slot = await pool.acquire('a')
    await pool.execute(slot, 'bash', {'command': 'sleep 999 & disown; env -i setsid sleep 999 & disown'}, 20)
    print(provider.marker, flush=True)
    await pool.execute(slot, 'bash', {'command': 'sleep 1000'}, 2000)
asyncio.run(work())
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environ
    ) as owner:
        assert owner.stdout is not None
        marker = owner.stdout.readline().strip()
        time.sleep(0.3)
        tree = find_tree(marker)
        assert len(tree) >= 6
        owner.kill()
    assert wait_until_gone(tree, 10)
    assert find_tree(marker) == set()

    # Its folder goes when the next pool comes.
    async def next_one() -> None:
        async with local_pool(1, PoolLimits(1, 1)):
            assert len(list(scratch.glob("hermes-*/pool-*"))) == 1

    asyncio.run(next_one())
