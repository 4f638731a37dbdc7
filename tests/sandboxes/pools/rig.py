"""Executors and pools of this machine for tests, and ways to look at what they start."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sandboxes.pools.executor_archive import executor_archive
from sandboxes.pools.local_provider import LocalProvider
from sandboxes.pools.slot_pool import PoolLimits, SlotPool
from sandboxes.process_tree import MARKER, find_tree

TOKEN = "a-token-of-these-tests"


def bubblewrap_fails() -> str:
    """Why; empty if it works."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    argv = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return f"bubblewrap does not work here: {done.stderr.strip()}" if done.returncode else ""


class Executor:
    """A SandboxExecutor process, and a plain HTTP client for it."""

    def __init__(
        self, folder: Path, *options: str, slots: int = 2, environ: dict[str, str] | None = None
    ) -> None:
        archive = folder / "executor.pyz"
        archive.write_bytes(executor_archive())
        self.marker = f"test-{os.urandom(8).hex()}-"
        self.argv = [
            sys.executable, "-I", "-S", str(archive), "--with-stdin", "--slots", str(slots),
            "--folder", str(folder), *options,
        ]  # fmt: skip
        variables = {"PATH": os.environ["PATH"], MARKER: self.marker, "HERMES_EXECUTOR_TOKEN": TOKEN}
        self.process = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
            env={**variables, **(environ or {})},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        self.address = str(json.loads(self.said)["address"]) if self.said else ""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """(status, answer); with the right token unless `headers` are given."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        with contextlib.closing(connection):
            usual = {"Authorization": f"Bearer {TOKEN}"}
            connection.request(method, path, body, usual if headers is None else headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def post(self, path: str, /, **body: Any) -> tuple[int, dict[str, Any]]:
        return self.send("POST", path, json.dumps(body).encode())

    def call(self, tool: str, slot: int = 0, *, timeout: float = 20, **args: Any) -> dict[str, Any]:
        status, answer = self.post("/execute", slot_id=slot, tool=tool, args=args, timeout=timeout)
        assert status == 200, answer
        return answer

    def bash(self, command: str, slot: int = 0, *, timeout: float = 20) -> str:
        return str(self.call("bash", slot, command=command, timeout=timeout)["output"])

    def processes(self) -> set[int]:
        return find_tree(self.marker)

    def end(self) -> str:
        """What it said on stderr."""
        _, words = self.process.communicate(timeout=30)
        return words.decode()


@contextmanager
def executor(folder: Path, *options: str, **more: Any) -> Iterator[Executor]:
    running = Executor(folder, *options, **more)
    try:
        yield running
    finally:
        running.end()
    assert running.processes() == set(), "processes of the executor are left"
    assert [each.name for each in folder.iterdir()] == ["executor.pyz"], "files of the executor are left"


@asynccontextmanager
async def local_pool(slots: int, limits: PoolLimits) -> AsyncIterator[tuple[SlotPool, LocalProvider]]:
    """A started pool; when it is left, nothing of it may live."""
    provider = LocalProvider(slots)
    pool = SlotPool(provider, limits)
    await pool.start()
    try:
        yield pool, provider
    finally:
        await pool.stop()
    assert find_tree(provider.marker) == set(), "processes of the pool are left"


def executor_pids(marker: str) -> list[int]:
    """The executors among the processes with that marker, oldest first."""
    found = []
    for pid in sorted(find_tree(marker)):
        with contextlib.suppress(FileNotFoundError):
            if b"executor.pyz" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def wait_until_gone(pids: set[int], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}/stat").exists() and _lives(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False
