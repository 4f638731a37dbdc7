"""Slots in sandboxes at Modal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from configuration.sandbox_settings import ModalProfile, ModalSettings
from sandboxes.modal.modal_pool import ModalToolBackend, ProfileLimits
from sandboxes.pool import SandboxLost, Slot, ToolResult
from sandboxes.sandbox import SandboxError
from settings import Settings, TerminalSettings
from tests.sandboxes.modal.loop import in_a_loop

if TYPE_CHECKING:
    from tests.sandboxes.modal.fake_modal import FakeModal

pytestmark = pytest.mark.thorough
SETTINGS = Settings(
    terminal=TerminalSettings(backend="modal"),
    modal=ModalSettings(profiles={"gpu": ModalProfile(image="torch:2", gpu="T4")}),
)


@asynccontextmanager
async def pool(**profiles: ProfileLimits) -> AsyncIterator[ModalToolBackend]:
    backend = ModalToolBackend(SETTINGS, profiles or {"": ProfileLimits(2, 1, 2)}, os.environ)
    await backend.start()
    try:
        yield backend
    finally:
        await backend.stop(purge=True)


async def use(backend: ModalToolBackend, slot: Slot, tool: str = "bash", **args: Any) -> ToolResult:
    (result,) = await backend.execute_batch([(slot, tool, args)], 30)
    if isinstance(result, SandboxLost):
        raise result
    return result


@in_a_loop
async def test_a_slot_keeps_its_shell_and_reads_and_writes_files(modal: FakeModal) -> None:
    async with pool() as backend:
        slot = await backend.acquire("a")
        first = await use(backend, slot, command="mkdir -p d; cd d; export A=1; cat", stdin="in\n")
        assert (first.success, first.output, first.metadata["cwd"]) == (True, "in\n", "/slots/0/d")
        assert (await use(backend, slot, command="echo $A $PWD $HOME")).output == "1 /slots/0/d /slots/0\n"
        failed = await use(backend, slot, command="exit 3")
        assert not failed.success and failed.metadata["exit_code"] == 3
        await use(backend, slot, "write_file", path="f", content="one")
        await use(backend, slot, "write_file", path="f", content="VHdv", encoding="base64", append=True)
        assert (await use(backend, slot, "read_file", path="/slots/0/d/f")).output == "oneTwo"
        missing = await use(backend, slot, "read_file", path="none")
        assert (missing.success, missing.error) == (False, "No such file or directory")
        unknown = await use(backend, slot, "dance")
        assert "there is no tool 'dance'" in unknown.error


@in_a_loop
async def test_no_slot_reads_or_ends_what_is_anothers(modal: FakeModal) -> None:
    async with pool() as backend:
        one, other = await backend.acquire("one"), await backend.acquire("other")
        assert one.sandbox_id == other.sandbox_id
        await use(
            backend, one, command="echo mine > secret; chmod 644 secret; sleep 4731 > /dev/null & echo $!"
        )
        seen = await use(
            backend, other, command="cat /slots/*/secret; cat /proc/[0-9]*/environ | grep -c slots/0"
        )
        assert "mine" not in seen.output and seen.output.endswith("\n0\n")
        killed = await use(backend, other, command="kill -9 -1; id -u; echo here")
        assert "here" in (await use(backend, one, command="pgrep -f 'sleep 473[1]' && echo here")).output
        assert killed.metadata["exit_code"] != 0 or "20001" in killed.output


@in_a_loop
async def test_a_reset_leaves_no_process_file_or_variable(modal: FakeModal) -> None:
    async with pool(**{"": ProfileLimits(1, 1, 1)}) as backend:
        slot = await backend.acquire("first")
        began = "export A=1; echo x > ~/f; echo x > /tmp/f; (setsid sleep 4732 > /dev/null 2>&1 &); echo on"
        assert (await use(backend, slot, command=began)).output == "on\n"
        await backend.release(slot)
        again = await backend.acquire("second")
        assert again.lease != slot.lease
        (late,) = await backend.execute_batch([(slot, "bash", {"command": "true"})], 10)
        assert isinstance(late, SandboxLost)
        left = await use(backend, again, command="echo [$A]; ls /tmp ~; pgrep -f 'sleep 473[2]'; true")
        assert left.output.split() == ["[]", "/slots/0:", "/tmp:"]


@in_a_loop
async def test_profiles_have_pools_of_their_own_at_once(modal: FakeModal) -> None:
    async with pool(**{"": ProfileLimits(2, 1, 1), "gpu": ProfileLimits(1, 0, 1)}) as backend:
        assert [each.image for each in modal.living] == ["python:3.11-slim"]
        plain, fast = await backend.acquire("a"), await backend.acquire("b", "gpu")
        assert sorted((each.image, each.gpu) for each in modal.living) == [
            ("python:3.11-slim", ""),
            ("torch:2", "T4"),
        ]
        calls = [(fast, "bash", {"command": "echo fast"}), (plain, "bash", {"command": "echo plain"})]
        results = await backend.execute_batch(calls, 30)
        assert [each.output for each in results if isinstance(each, ToolResult)] == ["fast\n", "plain\n"]
        with pytest.raises(SandboxError, match="no profile 'tpu'"):
            await backend.acquire("c", "tpu")


@in_a_loop
async def test_twenty_tasks_over_four_slots_lose_nothing_when_a_sandbox_vanishes(modal: FakeModal) -> None:
    done: dict[str, str] = {}
    lost = busy = 0

    async def task(backend: ModalToolBackend, name: str) -> None:
        nonlocal lost, busy
        while name not in done:
            slot = await backend.acquire(name)
            try:
                before = await use(backend, slot, command="ls -A ~ | grep -v '^.tmp$'; true")
                assert before.output == ""
                busy += 1
                try:
                    await use(backend, slot, command=f"echo {name} > ~/name; sleep 0.5")
                finally:
                    busy -= 1
                done[name] = (await use(backend, slot, command="cat ~/name")).output
            except SandboxLost:
                lost += 1
            finally:
                await backend.release(slot)

    async with pool(**{"": ProfileLimits(2, 2, 2)}) as backend:
        tasks = [asyncio.ensure_future(task(backend, f"task-{number}")) for number in range(20)]
        while len(done) < 4 or busy < 3:  # more than one sandbox has slots
            await asyncio.sleep(0.01)
        await asyncio.to_thread(modal.vanish, modal.living[0].id)
        await asyncio.gather(*tasks)
    assert done == {f"task-{number}": f"task-{number}\n" for number in range(20)}
    assert lost > 0 and len(modal.sandboxes) >= 3


@in_a_loop
async def test_a_start_that_fails_is_said_in_modals_words(modal: FakeModal) -> None:
    modal.quota = 0
    backend = ModalToolBackend(SETTINGS, {"": ProfileLimits(1, 1, 1)}, os.environ)
    with pytest.raises(SandboxError, match="quota there is used up"):
        await backend.start()
