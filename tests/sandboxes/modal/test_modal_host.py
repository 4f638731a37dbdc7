"""What is asked of Modal, and what becomes of a task when Modal fails."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from configuration.sandbox_settings import ModalProfile, ModalSettings
from sandboxes.backend import make_sandbox
from sandboxes.hosted import HostedSandbox
from sandboxes.leftovers import owner_label
from sandboxes.modal.modal_host import make_modal_host
from sandboxes.modal.modal_service import ModalService, _owner_tags
from sandboxes.sandbox import SandboxError
from settings import Settings, TerminalSettings
from tests.sandboxes.modal.loop import in_a_loop

if TYPE_CHECKING:
    from tests.sandboxes.modal.fake_modal import FakeModal

pytestmark = pytest.mark.thorough
REPOSITORY = Path(__file__).parents[3]
PROFILES = {
    "train": ModalProfile(image="torch:2", gpu="H100:2", memory=65_536, secrets=["wandb"]),
    "lean": ModalProfile(image="lean:4", cpu=0.5),
}


def settings(terminal: dict[str, Any] | None = None, **modal: Any) -> Settings:
    return Settings(
        terminal=TerminalSettings(backend="modal", **(terminal or {})), modal=ModalSettings(**modal)
    )


@asynccontextmanager
async def sandbox(chosen: Settings, task_id: str = "task") -> AsyncIterator[HostedSandbox]:
    made = HostedSandbox(task_id, make_modal_host(chosen, task_id, os.environ), output_limit=10_000)
    try:
        yield made
    finally:
        await made.close()


async def text(made: HostedSandbox, command: str) -> str:
    return (await made.exec(command, timeout=30)).output.text


def asked(modal: FakeModal, kind: str) -> list[Any]:
    return [request for request in modal.requests if type(request).__name__ == kind]


@in_a_loop
async def test_the_settings_reach_modal(modal: FakeModal) -> None:
    chosen = settings(
        {"lifetime": 90.5}, app="mine", image="python:3.12", cpu=2.0, memory=2048, max_lifetime=600
    )
    async with sandbox(chosen, "task 7/a") as made:
        assert await text(made, "echo hi") == "hi\n"
        (played,) = modal.living
    definition = played.definition
    assert played.image == "python:3.12"
    assert (definition.timeout_secs, definition.idle_timeout_secs) == (600, 91)
    assert (definition.resources.milli_cpu, definition.resources.memory_mb) == (2000, 2048)
    assert played.gpu == ""
    assert asked(modal, "AppGetOrCreateRequest")[0].app_name == "mine"
    assert played.tags.pop("hermes_sandbox")
    assert played.tags == {**_owner_tags(owner_label()), "hermes_task": "task_7_a"}
    assert all(len(value) < 63 for value in played.tags.values())
    assert modal.tokens == {("ak-test", "as-test")}


@pytest.mark.parametrize("allowed", [None, False, True])
@in_a_loop
async def test_there_is_a_network_only_where_it_is_allowed(modal: FakeModal, allowed: bool | None) -> None:
    async with sandbox(settings({"network": allowed})) as made:
        assert made.confinement.network is bool(allowed)
        names = await text(made, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")
        (played,) = modal.living
    blocked = type(played.definition.network_access).BLOCKED
    assert (played.definition.network_access.network_access_type == blocked) is not bool(allowed)
    if not allowed:
        assert names.split() == ["lo"]


@in_a_loop
async def test_a_profile_chooses_image_gpu_and_secrets_and_several_live_side_by_side(
    modal: FakeModal,
) -> None:
    modal.secrets.add("wandb")
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(sandbox(settings(profile=name, profiles=PROFILES, cpu=1.0)))
            for name in ("train", "lean", "")
        ]
        assert await asyncio.gather(*(text(each, "echo up") for each in made)) == ["up\n"] * 3
        played = {each.image: each for each in modal.living}
    assert set(played) == {"torch:2", "lean:4", "python:3.11-slim"}
    train, lean = played["torch:2"], played["lean:4"]
    assert (train.gpu, train.definition.resources.gpu_config.count, train.secrets) == ("H100", 2, ["wandb"])
    assert train.definition.resources.memory_mb == 65_536
    assert (lean.gpu, lean.secrets, lean.definition.resources.milli_cpu) == ("", [], 500)


def test_an_unknown_profile_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(SandboxError, match=r"no profile 'tain' .* lean, train"):
        make_modal_host(settings(profile="tain", profiles=PROFILES), "task", {})


@in_a_loop
async def test_no_key_is_ever_in_a_request(modal: FakeModal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GITHUB_TOKEN", "MY_PLAIN_NAME"):
        monkeypatch.setenv(name, "canary-1234567890")
    monkeypatch.setenv("PASSED_ON", "on-purpose")
    async with sandbox(settings({"env_pass": ["PASSED_ON"]})) as made:
        assert await text(made, 'echo "$PASSED_ON"; env') != ""
        assert "canary" not in await text(made, "env; cat /proc/*/environ 2> /dev/null | tr '\\0' '\\n'")
        assert await text(made, 'echo "$PASSED_ON"') == "on-purpose\n"
    sent = b"".join(request.SerializeToString() for request in modal.requests)
    assert b"on-purpose" in sent
    assert b"canary" not in sent and b"as-test" not in sent


@in_a_loop
async def test_refused_tokens_are_said_with_the_fix(modal: FakeModal) -> None:
    modal.refuses = True
    async with sandbox(settings()) as made:
        with pytest.raises(SandboxError, match=r"modal: Modal refuses the tokens.*modal token new"):
            await made.exec("true", timeout=10)


@in_a_loop
async def test_missing_tokens_are_said_with_the_fix(
    modal: FakeModal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODAL_TOKEN_ID")
    monkeypatch.delenv("MODAL_TOKEN_SECRET")
    async with sandbox(settings()) as made:
        with pytest.raises(SandboxError, match=r"there are no tokens for Modal.*MODAL_TOKEN_ID"):
            await made.exec("true", timeout=10)


@in_a_loop
async def test_without_the_package_the_fix_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    async with sandbox(settings()) as made:
        with pytest.raises(SandboxError, match=r"pip install 'hermes-agent\[modal\]'"):
            await made.exec("true", timeout=10)


@in_a_loop
async def test_an_image_that_cannot_be_built_is_named_with_what_the_build_said(modal: FakeModal) -> None:
    modal.broken_images["no/such:1"] = "pull access denied for no/such"
    async with sandbox(settings(image="no/such:1")) as made:
        with pytest.raises(SandboxError, match=r"(?s)could not build the image no/such:1.*access denied"):
            await made.exec("true", timeout=10)


@in_a_loop
async def test_a_missing_secret_and_a_full_quota_are_said(modal: FakeModal) -> None:
    async with sandbox(settings(secrets=["nope"])) as made:
        with pytest.raises(SandboxError, match=r"modal\.secrets.*modal secret create"):
            await made.exec("true", timeout=10)
    modal.quota = 0
    async with sandbox(settings()) as made:
        with pytest.raises(SandboxError, match="quota there is used up"):
            await made.exec("true", timeout=10)


@in_a_loop
async def test_a_sandbox_that_vanishes_under_a_command_is_replaced_and_that_is_said(modal: FakeModal) -> None:
    async with sandbox(settings()) as made:
        assert await text(made, "cd /tmp; echo on") == "on\n"
        running = asyncio.ensure_future(made.exec("echo begun; sleep 60", timeout=90))
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await asyncio.to_thread(modal.vanish, modal.living[0].id)
        result = await running
        assert time.monotonic() - began < 5
        assert result.output.text == "begun\n" and result.exit_code != 0
        assert "while the command ran; how far it got is not known" in result.note
        again = await made.exec("pwd", timeout=30)
        assert again.output.text == "/root\n" and "started anew" in again.note


@in_a_loop
async def test_a_broken_stream_is_taken_up_again_and_nothing_is_lost_or_doubled(modal: FakeModal) -> None:
    async with sandbox(settings()) as made:
        await text(made, "true")
        modal.cuts = 4
        output = await made.run(["seq", "1", "200000"], timeout=30, max_bytes=10_000_000)
    assert modal.cuts == 0
    assert output == (0, b"".join(b"%d\n" % number for number in range(1, 200_001)))


@in_a_loop
async def test_a_sandbox_ends_when_its_longest_life_is_over_and_says_so(modal: FakeModal) -> None:
    async with sandbox(settings()) as made:
        await text(made, "true")
        modal.time_out(modal.living[0].id)
        result = await made.exec("echo again", timeout=30)
    assert result.output.text == "again\n"
    assert "modal.max_lifetime" in result.note


@in_a_loop
async def test_sandboxes_of_a_dead_hermes_are_ended_and_no_others(modal: FakeModal) -> None:
    alive = owner_label()
    *place, pid, _ = alive.split(".")
    labels = {
        "dead": ".".join((*place, pid, "1")),
        "alive": alive,
        "elsewhere": ".".join(("0" * 12, *place[1:], pid, "1")),
    }
    for name, label in labels.items():
        modal.leave(name, _owner_tags(label))
    async with sandbox(settings(app="reaped")) as made:
        await text(made, "true")
    assert sorted(each.tags["name"] for each in modal.living) == ["alive", "elsewhere"]
    for each in modal.living:
        modal.vanish(each.id)


def test_the_sandbox_ends_when_hermes_is_killed(modal: FakeModal) -> None:
    script = (
        "import asyncio, os\n"
        "from sandboxes.backend import make_sandbox\n"
        "from settings import Settings, TerminalSettings\n"
        "made = make_sandbox(Settings(terminal=TerminalSettings(backend='modal')), 'task', '/', os.environ)\n"
        "asyncio.run(made.exec('sleep 600 &', timeout=30))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=False)
    assert killed.returncode == -9
    (played,) = modal.sandboxes.values()
    modal.wait_for_end(played.id, 30)


@in_a_loop
async def test_a_start_that_is_cancelled_leaves_no_sandbox(modal: FakeModal) -> None:
    modal.slow = 0.5
    async with sandbox(settings()) as made:
        starting = asyncio.ensure_future(made.exec("true", timeout=30))
        async with asyncio.timeout(20):
            while not asked(modal, "SandboxCreateV2Request"):
                await asyncio.sleep(0.02)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert len(modal.sandboxes) == 1 and modal.living == []


def test_each_call_may_come_from_another_event_loop(modal: FakeModal) -> None:
    made = make_sandbox(settings(), "task", "/", os.environ)
    assert asyncio.run(made.exec("export A=1; echo 1", timeout=30)).output.text == "1\n"
    assert asyncio.run(made.exec("echo $A", timeout=30)).output.text == "1\n"
    asyncio.run(made.close())


@in_a_loop
async def test_the_connection_ends_with_the_sandbox() -> None:
    service = ModalService({})
    assert any(thread.name == "modal" for thread in threading.enumerate())
    await service.close()
    assert not any(thread.name == "modal" for thread in threading.enumerate())
