"""A login on a real sshd, on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import Sandbox
from sandboxes.ssh.ssh_host import SshHost
from tests.sandboxes.conformance.places import Place, emptied
from tests.sandboxes.sshd import running_sshd


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    folder = tmp / "my wörk"
    folder.mkdir()
    spill = str(tmp / "spill")
    with running_sshd(tmp / "sshd") as sshd:
        settings = sshd.settings(cwd=str(folder))

        def make(limit: int) -> Sandbox:
            return HostedSandbox("task", SshHost(settings, os.environ), output_limit=limit, spill_dir=spill)

        yield Place("ssh", make, str(folder), clean=emptied(folder), kill=lambda _: sshd.drop_connections())
        assert list(sshd.temp.iterdir()) == [], "something was left there"
