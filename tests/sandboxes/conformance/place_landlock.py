"""Commands that Landlock confines on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandboxes.confinement.confined_view import make_view
from sandboxes.confinement.landlock_host import LandlockHost, landlock_problem
from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import Sandbox
from settings import TerminalSettings
from tests.sandboxes.conformance.places import Place, emptied


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    if problem := landlock_problem():
        pytest.skip(problem)
    folder, agent, spill = tmp / "my wörk", tmp / "agent", str(tmp / "spill")
    folder.mkdir()
    agent.mkdir()
    (agent / ".env").write_text("KEY=canary\n")

    def make(limit: int) -> Sandbox:
        host = LandlockHost(lambda: make_view(TerminalSettings(), str(folder), os.environ, (str(agent),)))
        return HostedSandbox("task", host, output_limit=limit, spill_dir=spill)

    yield Place("landlock", make, str(folder), emptied(folder), kill=end, keys=str(agent / ".env"))


def end(sandbox: Sandbox) -> None:
    """The process that starts the others is gone, and with it the rest."""
    assert isinstance(sandbox, HostedSandbox)
    host = sandbox.host
    assert isinstance(host, LandlockHost)
    host.end_at_once()
