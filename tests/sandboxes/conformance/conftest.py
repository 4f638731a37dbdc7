"""Every behaviour in every place that this machine can start."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sandboxes.sandbox import BackgroundProcess, ExecResult, Sandbox
from tests.sandboxes.conformance.places import NAMES, Place

TIERS = {"docker": [pytest.mark.long]}
TIERS |= {"local": [], "bubblewrap": []}
"""The other places are for the thorough tier."""


class Bench:
    """A sandbox used from plain tests: each call runs to its end in the one event loop of the test."""

    def __init__(self, place: Place, sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self.place = place
        self.sandbox = sandbox
        self.wait = loop.run_until_complete

    def run(self, command: str, timeout: float = 30, **more: Any) -> ExecResult:
        return self.wait(self.sandbox.exec(command, timeout=timeout, **more))

    def text(self, command: str, timeout: float = 30, **more: Any) -> str:
        return self.run(command, timeout, **more).output.text

    def spawn(self, command: str, **more: Any) -> BackgroundProcess:
        return self.wait(self.sandbox.spawn(command, **more))

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        self.wait(self.sandbox.write_file(path, data, mode=mode))

    def read(self, path: str, **more: Any) -> bytes:
        return self.wait(self.sandbox.read_file(path, **more))


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=TIERS.get(name, [pytest.mark.thorough])) for name in NAMES],
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    name: str = request.param
    module = importlib.import_module(f"tests.sandboxes.conformance.place_{name}")
    with ExitStack() as stack:
        yield stack.enter_context(module.open_place(tmp_path_factory.mktemp(name)))


@pytest.fixture
def bench(place: Place) -> Iterator[Bench]:
    """A sandbox that nobody has used, in an empty folder; 10,000 characters of output."""
    with asyncio.Runner() as runner:
        sandbox = place.make(10_000)
        used = Bench(place, sandbox, runner.get_loop())
        yield used
        used.wait(sandbox.close())
    if place.clean is not None:
        place.clean()
