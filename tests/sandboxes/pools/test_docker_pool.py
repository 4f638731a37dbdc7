"""The same pool over containers of a docker engine of our own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandboxes.pools.contract import SandboxLost
from sandboxes.pools.docker_provider import DockerProvider
from sandboxes.pools.local_provider import PoolFolder
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
from sandboxes.process_tree import find_tree
from sandboxes.sandbox import SandboxError
from tests.sandboxes.engine import Engine, docker_engine
from tests.sandboxes.pools.load import load
from tests.sandboxes.root_archive import PROGRAMS, write_root

pytestmark = pytest.mark.thorough
IMAGE = "hermes-test/executor:1"
_PYTHON = Path("/usr/bin/python3")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With an image that has bash, bubblewrap and this machine's own python3."""
    if not _PYTHON.exists():
        pytest.skip("the machine has no python3 of its own to put into an image")
    real = _PYTHON.resolve()
    archive = tmp_path_factory.mktemp("image") / "root.tar"
    os.environ["PATH"] = f"/usr/bin:{os.environ['PATH']}"
    with docker_engine() as started:
        write_root(archive, (*PROGRAMS, "bwrap", real.name))
        with tarfile.open(archive, "a") as tar:
            link = tarfile.TarInfo("usr/bin/python3")
            link.type, link.linkname = tarfile.SYMTYPE, real.name
            tar.addfile(link)
            tar.add(f"/usr/lib/{real.name}", f"usr/lib/{real.name}", filter=_without_tests)
        started.call("import", str(archive), IMAGE)
        yield started


def _without_tests(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith(("/test", "/__pycache__", "/idlelib")) else member


def pool_of(
    engine: Engine, slots: int, limits: PoolLimits, network: str = "none"
) -> tuple[SlotPool, DockerProvider]:
    provider = DockerProvider(IMAGE, slots, host=engine.host, environ=engine.environ, network=network)
    return SlotPool(provider, limits), provider


def containers(engine: Engine, provider: DockerProvider) -> list[str]:
    return engine.call("ps", "-aq", "--filter", f"name=hermes-{provider.marker}").split()


def test_tasks_run_in_slots_of_containers(engine: Engine) -> None:
    async def work() -> None:
        pool, provider = pool_of(engine, 3, PoolLimits(1, 2))
        await pool.start()
        try:
            slots = [await pool.acquire(f"{number}") for number in range(4)]
            assert len(containers(engine, provider)) == 2
            look = "ls -A /workspace /tmp /run; cat /proc/[0-9]*/comm | sort -u; touch /usr/x || touch /opt/x"
            seen = await pool.execute(slots[0], "bash", {"command": look}, 20)
            assert "executor" not in seen.output and seen.output.count("Read-only file system") == 2
            for slot in slots:
                await pool.execute(
                    slot, "bash", {"command": f"echo {slot.task_id} > f; sleep 1000 & disown"}, 20
                )
            for slot in slots:
                kept = await pool.execute(slot, "bash", {"command": "cat f; ls /opt/hermes-socket"}, 20)
                assert kept.output.startswith(f"{slot.task_id}\n")
        finally:
            await pool.stop()
        assert containers(engine, provider) == []
        assert find_tree(provider.marker) == set()

    asyncio.run(work())


def test_a_container_that_was_killed_is_a_loss_and_another_takes_its_place(engine: Engine) -> None:
    async def work() -> None:
        pool, provider = pool_of(engine, 2, PoolLimits(1, 1))
        await pool.start()
        try:
            slot = await pool.acquire("a")
            command = asyncio.ensure_future(pool.execute(slot, "bash", {"command": "sleep 1000"}, 2000))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(engine.call, "kill", *containers(engine, provider))
            with pytest.raises(SandboxLost):
                await command
            again = await pool.acquire("a")
            assert (await pool.execute(again, "bash", {"command": "echo anew"}, 20)).output == "anew\n"
        finally:
            await pool.stop()
        assert containers(engine, provider) == []

    asyncio.run(work())


def test_an_image_that_cannot_hold_slots_is_told_in_its_own_words(engine: Engine) -> None:
    async def work() -> None:
        provider = DockerProvider(engine.image, 1, host=engine.host, environ=engine.environ)
        pool = SlotPool(provider, PoolLimits(1, 1))
        with pytest.raises(SandboxError, match="python3"):
            await pool.start()
        assert containers(engine, provider) == []

    asyncio.run(work())


def test_a_killed_owner_leaves_no_container(engine: Engine) -> None:
    code = f"""
import asyncio, os
from sandboxes.pools.docker_provider import DockerProvider
from sandboxes.pools.local_provider import PoolFolder
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
async def work():
    provider = DockerProvider({IMAGE!r}, 2, host={engine.host!r}, environ=os.environ)
    pool = SlotPool(provider, PoolLimits(1, 1))
    await pool.start()
    print(provider.marker, flush=True)
    await asyncio.sleep(1000)
asyncio.run(work())
"""
    root = Path(__file__).parent.parent.parent.parent
    environ = {**os.environ, **engine.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environ
    ) as owner:
        assert owner.stdout is not None
        marker = owner.stdout.readline().strip()
        assert engine.call("ps", "-q", "--filter", f"name=hermes-{marker}")
        owner.kill()
    for _ in range(100):
        if not (left := engine.call("ps", "-aq", "--filter", f"name=hermes-{marker}")):
            break
    assert left == ""
    assert find_tree(marker) == set()
    PoolFolder().remove()  # the next pool removes the folder of one that was killed


@pytest.mark.timeout(240)
def test_nothing_is_lost_doubled_or_seen_by_others_while_containers_are_killed(engine: Engine) -> None:
    async def work() -> None:
        pool, provider = pool_of(engine, 4, PoolLimits(5, 5), network="host")

        def kill(id: str) -> None:
            for pid in find_tree(f"{provider.marker}{id}-"):
                try:
                    argv = Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                if b"hermes-executor.pyz" in argv and not argv.startswith(b"docker"):
                    os.kill(pid, signal.SIGKILL)

        await pool.start()
        try:
            counts = await load(pool, kill, 200, seed=3, calm=4, kills=8)
        finally:
            await pool.stop()
        assert counts["killed"] >= 3
        assert containers(engine, provider) == []
        assert find_tree(provider.marker) == set()

    asyncio.run(work())
