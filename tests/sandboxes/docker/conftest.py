"""Engines of our own, and sandboxes in them. All of these tests belong to the long tier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandboxes.containers.docker_host import DockerHost
from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import ExecResult
from tests.sandboxes.containers import container_host
from tests.sandboxes.engine import Engine, docker_engine, podman_engine

ENGINES = {"docker": docker_engine, "podman": podman_engine}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An engine takes its time: docker belongs to the long tier, podman to the thorough one."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            podman = "podman" in getattr(item, "callspec", item).__dict__.get("params", {}).values()
            item.add_marker(pytest.mark.thorough if podman else pytest.mark.long)


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    with docker_engine() as engine:
        yield engine


@pytest.fixture(scope="session", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each of the two."""
    with ENGINES[request.param]() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder, with signs in its name that options give a meaning."""
    made = tmp_path / 'my wörk, a:b "c"'
    made.mkdir()
    return made


class Container:
    """A sandbox used from plain tests: each call runs to its end in the one event loop of the test."""

    def __init__(self, host: DockerHost, loop: asyncio.AbstractEventLoop, **more: Any) -> None:
        self.host = host
        self.sandbox = HostedSandbox("task", host, **more)
        self.wait = loop.run_until_complete

    def run(self, command: str, timeout: float = 30) -> ExecResult:
        return self.wait(self.sandbox.exec(command, timeout=timeout))

    def text(self, command: str, timeout: float = 30) -> str:
        return self.run(command, timeout).output.text


Begin = Callable[..., Container]


@pytest.fixture
def begin(folder: Path) -> Iterator[Begin]:
    """Begin a sandbox in a container of an engine; arguments as of `container_host`. Nothing may be left."""
    begun: list[tuple[Engine, Container]] = []
    with asyncio.Runner() as runner:

        def make(
            engine: Engine, place: Path = folder, *, lifetime: float | None = None, **how: Any
        ) -> Container:
            host = container_host(engine, place, **how)
            begun.append((engine, Container(host, runner.get_loop(), lifetime=lifetime)))
            return begun[-1][1]

        yield make
        for engine, each in begun:
            each.wait(each.sandbox.close())
            assert each.host.container not in engine.call("ps", "-a", "--format", "{{.Names}}")
