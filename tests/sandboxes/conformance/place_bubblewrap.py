"""Commands that bubblewrap confines on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandboxes.confinement.bubblewrap_host import BubblewrapHost, bubblewrap_problem
from sandboxes.confinement.confined_view import make_view
from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import Sandbox
from settings import TerminalSettings
from tests.sandboxes.conformance.places import Place, emptied


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    if problem := bubblewrap_problem():
        pytest.skip(problem)
    folder, agent, spill = tmp / "my wörk", tmp / "agent", str(tmp / "spill")
    folder.mkdir()
    agent.mkdir()
    (agent / ".env").write_text("KEY=canary\n")

    def make(limit: int) -> Sandbox:
        host = BubblewrapHost(lambda: make_view(TerminalSettings(), str(folder), os.environ, (str(agent),)))
        return HostedSandbox("task", host, output_limit=limit, spill_dir=spill)

    yield Place("bubblewrap", make, str(folder), emptied(folder), kill=end, keys=str(agent / ".env"))


def end(sandbox: Sandbox) -> None:
    """The first process inside is gone, and with it the rest."""
    assert isinstance(sandbox, HostedSandbox)
    host = sandbox.host
    assert isinstance(host, BubblewrapHost)
    host.end_at_once()
