"""Pools on Nomad: over its HTTP API to executors that are real, on a cluster that is played."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from configuration.sandbox_settings import NomadSettings
from sandboxes.pools.contract import SandboxLost
from sandboxes.pools.nomad_client import NomadClient, NomadError
from sandboxes.pools.nomad_job import job_specification
from sandboxes.pools.nomad_pool import NomadToolBackend
from sandboxes.pools.slot_pool import PoolLimits
from sandboxes.process_tree import find_tree
from sandboxes.sandbox import SandboxError
from tests.sandboxes.nomad.fake_nomad import FakeNomad
from tests.sandboxes.pools.load import load


@asynccontextmanager
async def cluster(folder: Path, **how: Any) -> AsyncIterator[FakeNomad]:
    marker = f"nomad-{secrets.token_hex(8)}-"
    async with FakeNomad(folder, marker, **how) as nomad:
        yield nomad
    assert find_tree(marker) == set(), "processes of tasks are left"


def settings(nomad: FakeNomad, **more: Any) -> NomadSettings:
    return NomadSettings(
        address=nomad.address, **{"image": "tools:1", "slots": 2, "minimum": 1, "maximum": 2, **more}
    )


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize(("driver", "image"), [("docker", "tools:1"), ("singularity", "tools.sif")])
def test_tasks_run_in_allocations_of_one_job(
    tmp_path: Path, driver: Literal["docker", "singularity"], image: str
) -> None:
    async def work() -> None:
        async with cluster(tmp_path) as nomad:
            pool = NomadToolBackend(settings(nomad, driver=driver, image=image))
            await pool.start()
            slots = [await pool.acquire(f"{number}") for number in range(4)]
            assert len({slot.sandbox_id for slot in slots}) == 2
            results = await pool.execute_batch(
                [(slot, "bash", {"command": f"echo {slot.task_id}"}) for slot in slots], 20
            )
            assert [each.output for each in results if not isinstance(each, SandboxLost)] == [
                "0\n",
                "1\n",
                "2\n",
                "3\n",
            ]
            assert [job["TaskGroups"][0]["Count"] for job in nomad.jobs.values()] == [2]
            await pool.stop(purge=True)
            assert nomad.jobs == {} and nomad.living() == []

    run(work())


def test_without_purge_nomad_keeps_the_job_on_record(tmp_path: Path) -> None:
    async def work() -> None:
        async with cluster(tmp_path) as nomad:
            pool = NomadToolBackend(settings(nomad))
            await pool.start()
            await pool.stop()
            assert [job["Stop"] for job in nomad.jobs.values()] == [True]
            assert nomad.living() == []

    run(work())


def test_a_killed_allocation_is_a_loss_and_the_replacement_of_nomad_is_used(tmp_path: Path) -> None:
    async def work() -> None:
        async with cluster(tmp_path) as nomad:
            pool = NomadToolBackend(settings(nomad, maximum=1))
            await pool.start()
            slot = await pool.acquire("a")
            await pool.execute(slot, "bash", {"command": "echo x > f"}, 20)
            (allocation,) = nomad.living()
            assert allocation.process is not None
            os.kill(allocation.process.pid, signal.SIGKILL)
            with pytest.raises(SandboxLost, match=r"Terminated: Exit Code: -9|the connection broke"):
                await pool.execute(slot, "bash", {"command": "sleep 5"}, 20)
            again = await pool.acquire("a")
            assert again.sandbox_id != slot.sandbox_id
            assert (await pool.execute(again, "bash", {"command": "ls"}, 20)).output == ""
            assert [job["TaskGroups"][0]["Count"] for job in nomad.jobs.values()] == [1]
            await pool.stop(purge=True)

    run(work())


def test_an_idle_pool_shrinks_from_the_highest_index_down(tmp_path: Path) -> None:
    async def work() -> None:
        async with cluster(tmp_path) as nomad:
            pool = NomadToolBackend(settings(nomad, slots=1), limits=PoolLimits(1, 3, idle_seconds=0.2))
            await pool.start()
            slots = await asyncio.gather(*(pool.acquire(f"{number}") for number in range(3)))
            first = next(each.stub["ID"] for each in nomad.living() if each.stub["Name"].endswith("[0]"))
            kept = next(slot for slot in slots if slot.sandbox_id == first)
            for slot in slots:
                if slot is not kept:
                    await pool.release(slot)
            await until(lambda: len(nomad.living()) == 1)
            assert (await pool.execute(kept, "bash", {"command": "echo here"}, 20)).output == "here\n"
            await pool.stop(purge=True)

    run(work())


@pytest.mark.parametrize(
    ("how", "more", "told"),
    [
        ({"drivers": {"raw_exec"}}, {}, r"1 of them: missing drivers; the driver of nomad\.driver"),
        ({"room": 0}, {}, r"no node is eligible: 1 looked at; 1 of them: no more memory"),
        ({}, {"image": "nowhere/missing:1"}, r"Driver Failure: Failed to pull `nowhere/missing:1`"),
        ({}, {"image": ""}, r"no image is set; set nomad\.image"),
        ({"token": "secret"}, {}, r"refused with 403: Permission denied; set NOMAD_TOKEN"),
    ],
)  # fmt: skip
def test_what_hinders_is_told_in_plain_words(
    tmp_path: Path, how: dict[str, Any], more: dict[str, Any], told: str
) -> None:
    async def work() -> None:
        async with cluster(tmp_path, **how) as nomad:
            pool = NomadToolBackend(settings(nomad, **more))
            with pytest.raises(SandboxError, match=told):
                await pool.start()
            assert nomad.living() == []

    run(work())


def test_nobody_at_the_address_is_told_with_the_setting_to_look_at() -> None:
    async def work() -> None:
        pool = NomadToolBackend(NomadSettings(address="http://127.0.0.1:1", image="tools:1"))
        with pytest.raises(
            SandboxError, match=r"http://127\.0\.0\.1:1 cannot be reached: .*see nomad\.address"
        ):
            await pool.start()

    run(work())


def test_the_job_of_a_killed_owner_is_stopped_at_the_next_start_and_only_that(tmp_path: Path) -> None:
    async def work() -> None:
        async with cluster(tmp_path) as nomad:
            pool = NomadToolBackend(settings(nomad))
            await pool.start()
            (mine,) = nomad.jobs
            dead = mine.replace(f".{os.getpid()}.", ".4194305.")
            elsewhere = "hermes-pool-0123456789ab." + dead.partition(".")[2]
            for id in (dead, elsewhere):
                nomad.jobs[id] = {"ID": id}
            other = NomadToolBackend(settings(nomad))
            await other.start()
            assert set(nomad.jobs) == {mine, elsewhere, other.provider.job}
            await pool.stop(purge=True)
            await other.stop(purge=True)

    run(work())


def test_the_token_of_the_executors_stands_in_no_arguments() -> None:
    for driver in ("docker", "singularity"):
        job = job_specification(
            msgspec.convert({"driver": driver, "image": "x"}, NomadSettings), "job", "very-secret-token"
        )
        (task,) = job["TaskGroups"][0]["Tasks"]
        assert "very-secret-token" in json.dumps(task["Env"])
        assert "very-secret-token" not in json.dumps(task["Config"])


def test_the_client_asks_as_documented(tmp_path: Path) -> None:
    async def work() -> None:
        async with cluster(tmp_path, token="abc") as nomad:
            client = NomadClient(nomad.address, "abc", namespace="rollouts")
            assert await client.leader() == "127.0.0.1:4647"
            assert await client.allocations("none") == ([], nomad.index)
            with pytest.raises(NomadError) as caught:
                await client.deregister("none", purge=True)
            assert caught.value.status == 404
            await client.close()

    run(work())


@pytest.mark.thorough
def test_nothing_is_lost_or_doubled_while_allocations_are_killed(tmp_path: Path) -> None:
    async def work() -> None:
        async with cluster(tmp_path) as nomad:
            pool = NomadToolBackend(settings(nomad, slots=4, minimum=3, maximum=3), network=True)
            await pool.start()

            def kill(id: str) -> None:
                process = nomad.allocations[id].process
                if process is not None and process.returncode is None:
                    os.kill(process.pid, signal.SIGKILL)

            try:
                counts = await load(pool, kill, 60, seed=2, own_proc=False)
            finally:
                await pool.stop(purge=True)
            assert counts["killed"] >= 1
            assert nomad.living() == []

    run(work())
