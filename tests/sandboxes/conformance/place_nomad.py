"""A slot of an allocation on a Nomad that is played on this machine, with a real executor in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from configuration.sandbox_settings import NomadSettings
from sandboxes.hosted import HostedSandbox
from sandboxes.nomad import make_nomad_host
from sandboxes.process_tree import find_tree
from sandboxes.sandbox import Sandbox
from settings import Settings, TerminalSettings
from tests.sandboxes.conformance.places import Place
from tests.sandboxes.nomad.fake_nomad import FakeNomad
from tests.sandboxes.pools.rig import bubblewrap_fails


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    if why := bubblewrap_fails():
        pytest.skip(why)
    nomad = FakeNomad(tmp / "nomad", f"nomad-{secrets.token_hex(8)}-")
    with _in_a_thread(nomad):
        settings = Settings(
            terminal=TerminalSettings(backend="nomad"),
            nomad=NomadSettings(address=nomad.address, image="tools:1", slots=2, minimum=1, maximum=2),
        )

        def make(limit: int) -> Sandbox:
            host = make_nomad_host(settings, "task", os.environ)
            return HostedSandbox("task", host, output_limit=limit, spill_dir=str(tmp / "spill"))

        def kill(_: Sandbox) -> None:
            for allocation in nomad.living():
                if allocation.process is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(allocation.process.pid, signal.SIGKILL)

        yield Place("nomad", make, "/workspace", kill=kill)
        assert nomad.jobs == {}, "a job was left"
    assert find_tree(nomad.marker) == set(), "something of a task was left"


@contextmanager
def _in_a_thread(nomad: FakeNomad) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="nomad")
    thread.start()
    asyncio.run_coroutine_threadsafe(nomad.__aenter__(), loop).result(10)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_end(nomad), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(nomad: FakeNomad) -> None:
    await nomad.__aexit__()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
