"""Confined sandboxes on this machine, by the kind of confinement."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from sandboxes.confinement.bubblewrap_host import BubblewrapHost, bubblewrap_problem
from sandboxes.confinement.confined_view import make_view
from sandboxes.confinement.landlock_host import LandlockHost, landlock_problem
from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import ExecResult
from settings import TerminalSettings

Make: TypeAlias = Callable[..., "Confined"]


class Confined:
    """A sandbox used from plain tests."""

    def __init__(self, kind: type[BubblewrapHost] | type[LandlockHost], cwd: Path, **terminal: Any) -> None:
        settings = TerminalSettings(**terminal)
        hidden = (os.environ["HERMES_HOME"],)
        self.host = kind(lambda: make_view(settings, str(cwd), os.environ, hidden))
        self.sandbox = HostedSandbox("task", self.host, remark=self.host.remark)
        self._runner = asyncio.Runner()
        self._closed = False

    def run(self, command: str, timeout: float = 30, **more: Any) -> ExecResult:
        return self._runner.run(self.sandbox.exec(command, timeout=timeout, **more))

    def text(self, command: str) -> str:
        return self.run(command).output.text

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._runner.run(self.sandbox.close())
        self._runner.close()


@pytest.fixture
def work(home: Path) -> Path:
    """A workspace in the home."""
    folder = home / "my wörk"
    folder.mkdir()
    return folder


@pytest.fixture
def bubblewrap() -> Iterator[Make]:
    """Makes sandboxes that bubblewrap confines."""
    if problem := bubblewrap_problem():
        pytest.skip(problem)
    yield from _making(BubblewrapHost)


@pytest.fixture
def landlock() -> Iterator[Make]:
    """Makes sandboxes that Landlock confines."""
    if problem := landlock_problem():
        pytest.skip(problem)
    yield from _making(LandlockHost)


@pytest.fixture(params=["bubblewrap", "landlock"])
def confined(request: pytest.FixtureRequest) -> Make:
    """Makes sandboxes of either kind."""
    make: Make = request.getfixturevalue(request.param)
    return make


def _making(kind: type[BubblewrapHost] | type[LandlockHost]) -> Iterator[Make]:
    made: list[Confined] = []

    def make(cwd: Path, **terminal: Any) -> Confined:
        made.append(Confined(kind, cwd, **terminal))
        return made[-1]

    yield make
    for each in made:
        each.close()
        assert not os.path.exists(each.host.folder)
