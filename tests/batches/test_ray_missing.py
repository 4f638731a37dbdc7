"""What `--engine ray` says where it cannot begin; the rest is tests/batches/test_ray_engine.py."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from batches.engine import EngineError
from batches.plan import PromptsFile, RunPlan
from batches.ray_engine import RayEngine
from batches.task import PromptTask
from settings import Settings


async def _begin() -> None:
    async def tasks() -> AsyncIterator[PromptTask]:
        raise AssertionError("no task may be taken")
        yield

    plan = RunPlan(run="r", settings=Settings(), prompts=PromptsFile("p", 1, ""))
    async for _ in RayEngine().run(plan, tasks(), lambda text: None):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install 'hermes-agent\[ray\]'"):
        asyncio.run(_begin())
