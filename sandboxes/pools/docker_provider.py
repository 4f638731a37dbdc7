"""Sandboxes in containers of a docker engine on this machine, each with an executor in it.

The executor is reached over a Unix socket in a folder that the container shares with us, so that it needs no
network. Its standard input is its lifeline: when we die it ends, and docker removes it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence

from sandboxes.containers.container_leftovers import LABEL, remove_leftovers_once
from sandboxes.containers.engine_client import EngineClient
from sandboxes.leftovers import owner_label
from sandboxes.pools.local_provider import ExecutorProgram, LocalPooledSandbox, PoolFolder
from sandboxes.process_tree import MARKER
from sandboxes.sandbox import SandboxError

NOBODY = 65534
REMOVE_SECONDS = 60.0
_ARCHIVE = "/opt/hermes-executor.pyz"
_SHARED = "/opt/hermes-socket"


class DockerProvider:
    """Fulfils `SandboxProvider`.

    Args:
        image: with bash, python3 (3.10 or newer) and bubblewrap.
        slots: of each sandbox.
        network: of the container, as `docker run --network`; slots reach it unless it is "none".
        host: where the engine listens; empty: as the docker client decides. It has to be on this machine.
        options: more for `docker run`, e.g. --memory=4g.
    """

    name = "docker pool"
    replaces = False

    def __init__(
        self,
        image: str,
        slots: int = 10,
        *,
        network: str = "none",
        host: str = "",
        options: Sequence[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.marker = f"pool-{secrets.token_hex(8)}-"
        """With it begins the value of process_tree.MARKER of every process of the pool."""
        self.engine = EngineClient("docker", host, environ)
        self._image = image
        self._slots = slots
        self._network = network
        self._options = list(options)
        self._folder: PoolFolder | None = None
        self._count = 0

    async def start_sandbox(self) -> DockerPooledSandbox:
        """See `SandboxProvider`."""
        if self._folder is None:
            remove_leftovers_once(self.engine)
            self._folder = PoolFolder()
        self._count += 1
        number = self._count
        folder = self._folder.path / f"sandbox-{number}"
        folder.mkdir(mode=0o700)
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        token = secrets.token_urlsafe(32)
        variables = {"HERMES_EXECUTOR_TOKEN": token, MARKER: f"{self.marker}{number}-"}
        container = f"hermes-{self.marker}{number}"
        argv = [*self.engine.argv, *self._run(container, str(folder), variables)]
        try:
            program = await ExecutorProgram.start(
                argv, {**self.engine.environment, **variables}, f"{self.name}, sandbox {number}"
            )
        except SandboxError as error:
            await remove_container(self.engine, container)
            raise self.engine.problem(str(error), self._image) from error
        except BaseException:
            await remove_container(self.engine, container)
            raise
        program.address = f"unix:{folder}/s"
        sandbox = DockerPooledSandbox(str(number), program, token, variables[MARKER], folder)
        sandbox.container, sandbox.engine = container, self.engine
        try:
            await sandbox.greet()
        except BaseException:
            await sandbox.stop()
            raise
        return sandbox

    def may_stop(self, sandbox: object) -> bool:
        return True

    async def close(self, purge: bool) -> None:
        if self._folder is not None:
            folder, self._folder = self._folder, None
            await asyncio.to_thread(folder.remove)

    def _run(self, container: str, folder: str, variables: Mapping[str, str]) -> list[str]:
        assert self._folder is not None
        shares = (f"{self._folder.archive}:{_ARCHIVE}:ro", f"{folder}:{_SHARED}")
        return [
            "run", "--rm", "--interactive", "--init", "--name", container,
            "--label", f"{LABEL}={owner_label()}", "--network", self._network,
            "--user", _user(), "--cap-drop", "ALL",
            # bubblewrap makes namespaces and mounts a /proc in them, which docker's own walls forbid.
            "--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined",
            "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
            *(f"--volume={each}" for each in shares), *(f"--env={name}" for name in variables),
            "--entrypoint", "python3", *self._options, self._image,
            "-I", "-S", _ARCHIVE, "--with-stdin", "--slots", str(self._slots), "--system", "/",
            "--listen", f"unix:{_SHARED}/s", *([] if self._network == "none" else ["--network"]),
        ]  # fmt: skip


def _user() -> str:
    # Without capabilities the kernel lets root map no user into a namespace.
    return f"{NOBODY}:{NOBODY}" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"


class DockerPooledSandbox(LocalPooledSandbox):
    container = ""
    engine: EngineClient

    async def stop(self) -> None:
        """See `PooledSandbox.stop`."""
        self.client.close(f"{self.client.name} was stopped")
        if not self.died.done():
            await self.program.end(5)
        # Also where only the client has ended: the container may be there still.
        try:
            await remove_container(self.engine, self.container)
        finally:
            await super().stop()


async def remove_container(engine: EngineClient, container: str) -> None:
    """Returns when it is gone. Raises SandboxError if it cannot be removed."""
    try:
        async with asyncio.timeout(REMOVE_SECONDS):
            while True:
                answer = await engine.call("rm", "-f", "-v", container)
                if answer.code == 0 or "no such" in answer.said.lower():
                    return
                # Of a removal that is under way already the engine does not tell the end.
                await asyncio.sleep(0.2)
    except TimeoutError as error:
        raise SandboxError(f"docker: the container {container} cannot be removed") from error
