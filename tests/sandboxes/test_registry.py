"""Which task works in which sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sandboxes.local import LocalSandbox
from sandboxes.process_tree import find_tree
from sandboxes.registry import SandboxRegistry
from sandboxes.sandbox import SandboxError


def test_a_task_keeps_its_sandbox_until_it_is_closed(tmp_path: Path) -> None:
    registry = SandboxRegistry()
    made: list[LocalSandbox] = []

    def make(task_id: str) -> LocalSandbox:
        made.append(LocalSandbox(task_id, str(tmp_path)))
        return made[-1]

    first = registry.get("a", make)
    assert registry.get("a", make) is first and registry.find("a") is first
    assert registry.get("b", make) is not first and registry.find("c") is None
    asyncio.run(first.exec("sleep 300 &", timeout=5))
    assert asyncio.run(registry.close("a")) and not asyncio.run(registry.close("a"))
    assert not find_tree(made[0].identity)
    assert registry.get("a", make) is not first
    asyncio.run(registry.close("a"))
    asyncio.run(registry.close("b"))
    for sandbox in made:
        try:
            asyncio.run(sandbox.exec("true", timeout=5))
        except SandboxError:
            continue
        raise AssertionError("a closed sandbox still runs commands")


def test_closing_a_task_ends_the_sandboxes_of_its_agents_too(tmp_path: Path) -> None:
    registry = SandboxRegistry()
    mine, other = LocalSandbox("a", str(tmp_path)), LocalSandbox("b", str(tmp_path))
    registry.note(mine)
    registry.note(other)
    for sandbox in (mine, other):
        asyncio.run(sandbox.exec("sleep 300 &", timeout=5))
    assert asyncio.run(registry.close("a"))
    assert not find_tree(mine.identity) and find_tree(other.identity)
    asyncio.run(registry.close("b"))
    del mine, sandbox
    assert not asyncio.run(registry.close("a"))
