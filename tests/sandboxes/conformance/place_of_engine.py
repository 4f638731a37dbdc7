"""What the places docker and podman share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandboxes.containers.docker_host import DockerHost
from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import Sandbox
from tests.sandboxes.conformance.places import Place, emptied
from tests.sandboxes.containers import container_host
from tests.sandboxes.engine import Engine


@contextmanager
def place_of_engine(engine: Engine, tmp: Path) -> Iterator[Place]:
    folder = tmp / "my wörk, too"
    folder.mkdir()
    keys = tmp / "keys"
    keys.write_text("sk-canary-1234567890")
    keys.chmod(0o600)

    def make(limit: int) -> Sandbox:
        host = container_host(engine, folder)
        return HostedSandbox("task", host, output_limit=limit, spill_dir=str(tmp / "spill"))

    def kill(sandbox: Sandbox) -> None:
        assert isinstance(sandbox, HostedSandbox)
        assert isinstance(sandbox.host, DockerHost)
        engine.call("kill", sandbox.host.container)

    yield Place(engine.name, make, str(folder), clean=emptied(folder), kill=kill, keys=str(keys))
