"""What stands for a sandbox: a bubblewrap of this machine, entered by what is executed in it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modal_proto import api_pb2

_PIECE = 128 * 1024
_BACKLOG = 4 * 1024 * 1024
_KEPT = 1024 * 1024
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")


def cannot_play() -> str:
    """Why sandboxes cannot be played on this machine; empty if they can."""
    for program in ("bwrap", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    tried = subprocess.run(
        ["bwrap", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        return f"bubblewrap does not work here: {tried.stderr.strip()}"
    return "" if os.getuid() == 0 else "only root can enter the namespaces of another process"


class Output:
    """What a program wrote, for readers that begin anywhere in the last of it. A slow one holds it back."""

    def __init__(self, source: asyncio.StreamReader) -> None:
        self._data = bytearray()
        self._start = 0
        self._sent = 0
        self._ended = False
        self._changed = asyncio.Condition()
        self._source = source
        self.reading = asyncio.ensure_future(self._read())

    async def pieces(self, offset: int) -> AsyncIterator[bytes]:
        while True:
            async with self._changed:
                while self._end <= offset and not self._ended:
                    await self._changed.wait()
                piece = bytes(self._data[offset - self._start : offset - self._start + _PIECE])
            if not piece:
                return
            offset += len(piece)
            yield piece
            async with self._changed:
                self._sent = max(self._sent, offset)
                spare = self._sent - self._start - _KEPT
                if spare > _KEPT:
                    del self._data[:spare]
                    self._start += spare
                self._changed.notify_all()

    @property
    def _end(self) -> int:
        return self._start + len(self._data)

    async def _read(self) -> None:
        while data := await self._source.read(_PIECE):
            async with self._changed:
                self._data += data
                self._changed.notify_all()
                await self._changed.wait_for(lambda: self._end - self._sent < _BACKLOG)
        async with self._changed:
            self._ended = True
            self._changed.notify_all()


@dataclass
class Execution:
    process: asyncio.subprocess.Process
    stdout: Output
    stderr: Output
    written: int = 0


@dataclass
class PlayedSandbox:
    id: str
    task_id: str
    definition: api_pb2.Sandbox
    tags: dict[str, str]
    image: str
    secrets: list[str]
    environment: dict[str, str]
    folder: Path
    created: float
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Future[None] | None = None
    inside: int = 0
    result: api_pb2.GenericResult | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    executions: dict[str, Execution] = field(default_factory=dict)

    @property
    def gpu(self) -> str:
        return str(self.definition.resources.gpu_config.gpu_type)

    async def boot(self) -> None:
        reader, writer = os.pipe()
        access = self.definition.network_access.network_access_type
        line = ["bwrap", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--as-pid-1", "--clearenv"]
        for path in _SYSTEM:
            if os.path.islink(path):
                line += ["--symlink", os.readlink(path), path]
            elif os.path.exists(path):
                line += ["--ro-bind", path, path]
        line += [
            "--bind",
            str(self.folder / "root"),
            "/root",
            "--bind",
            str(self.folder / "tmp"),
            "/tmp",
        ]
        line += ["--dev", "/dev", "--proc", "/proc", "--info-fd", str(writer), "--chdir", "/root"]
        if access == api_pb2.NetworkAccess.BLOCKED:
            line.append("--unshare-net")
        nothing = asyncio.subprocess.DEVNULL
        try:
            self.process = await asyncio.create_subprocess_exec(
                *line, "bash", "-c", 'echo; exec "$@" > /dev/null', "bash",
                *self.definition.entrypoint_args,
                stdin=nothing, stdout=asyncio.subprocess.PIPE,
                pass_fds=(writer,), env={"PATH": os.environ["PATH"]}, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(writer)
        with open(reader, "rb") as file:
            self.inside = json.loads(await asyncio.to_thread(file.read))["child-pid"]
        assert self.process.stdout is not None
        await self.process.stdout.readline()  # from here on its folders are in place

    async def execute(self, request: Any) -> None:
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
            "LANG": "C.UTF-8", **self.environment,
        }  # fmt: skip
        for source in request.secret_sources:
            environment.update(source.env.contents)
        pipe = asyncio.subprocess.PIPE
        enter = ["nsenter", "-t", str(self.inside), "-p", "-m", "-n", "-i", "-r", "-w", "--"]
        process = await asyncio.create_subprocess_exec(
            *enter, *request.command_args, stdin=pipe, stdout=pipe, stderr=pipe, env=environment,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        self.executions[request.exec_id] = Execution(process, Output(process.stdout), Output(process.stderr))
