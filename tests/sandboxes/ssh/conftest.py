"""A real sshd, and sandboxes on it used from plain tests: each call runs to its end in one event loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandboxes.hosted import HostedSandbox
from sandboxes.process_tree import find_tree
from sandboxes.sandbox import ExecResult
from sandboxes.ssh.ssh_host import SshHost
from tests.sandboxes.sshd import Sshd, running_sshd


class Login:
    """A sandbox on the sshd."""

    def __init__(self, sshd: Sshd, sandbox: HostedSandbox, loop: asyncio.AbstractEventLoop) -> None:
        self.sshd = sshd
        self.sandbox = sandbox
        self.wait = loop.run_until_complete

    def run(self, command: str, timeout: float = 20, **more: Any) -> ExecResult:
        return self.wait(self.sandbox.exec(command, timeout=timeout, **more))

    def text(self, command: str, **more: Any) -> str:
        return self.run(command, **more).output.text

    def processes(self) -> set[int]:
        """What runs of it there; here, too, since it is the same machine."""
        return find_tree(self.sandbox.identity)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A server for each test takes its time; the thorough tier has the rest."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("thorough"):
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def lasting_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """For those who only use it."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as sshd:
        yield sshd


@pytest.fixture
def sshd(lasting_sshd: Sshd) -> Iterator[Sshd]:
    """Nothing may be left there afterwards."""
    yield lasting_sshd
    assert eventually(lambda: not list(lasting_sshd.temp.iterdir())), list(lasting_sshd.temp.iterdir())


@pytest.fixture
def own_sshd(tmp_path: Path) -> Iterator[Sshd]:
    """For those who end it, or change its settings before `start`."""
    with running_sshd(tmp_path / "sshd") as sshd:
        yield sshd
        assert eventually(lambda: not list(sshd.temp.iterdir())), list(sshd.temp.iterdir())


@pytest.fixture
def connect() -> Iterator[Callable[..., Login]]:
    """Makes a sandbox on an sshd; more arguments are values of settings."""
    made: list[HostedSandbox] = []
    with asyncio.Runner() as runner:

        def make(sshd: Sshd, **values: Any) -> Login:
            sandbox = HostedSandbox("task", SshHost(sshd.settings(**values), os.environ))
            made.append(sandbox)
            return Login(sshd, sandbox, runner.get_loop())

        yield make
        for sandbox in made:
            runner.run(sandbox.close())
            assert not find_tree(sandbox.identity)
            assert not find_tree(f"connection-{sandbox.identity}")


@pytest.fixture
def login(sshd: Sshd, connect: Callable[..., Login]) -> Login:
    return connect(sshd)


def eventually(holds: Callable[[], bool], seconds: float = 3) -> bool:
    """Whether it comes true within that time."""
    until = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return held
