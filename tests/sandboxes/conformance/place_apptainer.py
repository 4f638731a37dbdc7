"""Commands in instances of Apptainer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configuration.sandbox_settings import ApptainerSettings
from sandboxes.containers.apptainer_host import ApptainerHost, make_apptainer_host
from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import Sandbox
from settings import Settings, TerminalSettings
from tests.sandboxes.apptainer_images import root_folder
from tests.sandboxes.conformance.places import Place, emptied


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    folder = tmp / "my wörk"
    folder.mkdir()
    keys = tmp / "keys"
    keys.write_text("sk-canary")
    keys.chmod(0o600)
    settings = Settings(
        terminal=TerminalSettings(backend="apptainer"),
        apptainer=ApptainerSettings(image=str(root_folder(tmp))),
    )
    spill = str(tmp / "spill")

    def make(limit: int) -> Sandbox:
        host = make_apptainer_host(settings, "task", str(folder), os.environ, ())
        return HostedSandbox("task", host, output_limit=limit, spill_dir=spill)

    def kill(sandbox: Sandbox) -> None:
        assert isinstance(sandbox, HostedSandbox) and isinstance(sandbox.host, ApptainerHost)
        os.kill(int((sandbox.host.folder / "pid").read_text()), signal.SIGKILL)

    yield Place("apptainer", make, str(folder), clean=emptied(folder), kill=kill, keys=str(keys))
