"""Fetching an image."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import pytest

from sandboxes.hosted import HostedSandbox
from sandboxes.process_tree import find_tree
from tests.sandboxes.containers import container_host
from tests.sandboxes.engine import Engine


def test_it_can_be_broken_off_and_leaves_nothing(engine: Engine, folder: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as registry:  # it never says a word
        image = f"127.0.0.1:{registry.getsockname()[1]}/slow:1"
        host = container_host(engine, folder, image=image)
        sandbox = HostedSandbox("task", host)

        async def broken_off() -> float:
            task = asyncio.ensure_future(sandbox.exec("true", timeout=30))
            connection, _ = await asyncio.get_running_loop().run_in_executor(None, registry.accept)
            with connection:
                assert find_tree(sandbox.identity)
                began = time.monotonic()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                return time.monotonic() - began

        assert asyncio.run(broken_off()) < 3
        asyncio.run(sandbox.close())
    until = time.monotonic() + 2
    while find_tree(sandbox.identity):
        assert time.monotonic() < until
    assert host.container not in engine.call("ps", "-a", "--format", "{{.Names}}")
