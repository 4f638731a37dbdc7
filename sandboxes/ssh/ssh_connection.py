"""One connection by OpenSSH's client, over which programs are started: the master of its multiplexing.

Its own session is the guard (ssh_guard.sh), whose input is a named pipe that ssh holds open itself. So the
guard sees the end of its input when the connection is lost, and not when hermes dies: then the lifeline
writes "gone" into the pipe (ssh_farewell.sh), and what is left on the other machine goes at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandboxes.bounded_output import OutputCapture
from sandboxes.reports import Reports
from sandboxes.running_command import RunningCommand
from sandboxes.sandbox import SandboxError
from sandboxes.ssh.login_shell import command_text

GRACE = 60.0
"""Seconds that everything on the other machine outlives a lost connection."""
OWNER = "owner"
_GUARD = Path(__file__).with_name("ssh_guard.sh")
_READY = 60.0
_CLEANED = 15.0


class SshConnection:
    """Args:
    folder: of this machine, private, for the sockets; made by `open`. Sockets' paths may have 107 bytes, and
        ssh adds 17 to it for a moment.
    options: of the master, all but those named here.
    target: the host, as ssh takes it.
    """

    def __init__(
        self, folder: Path, options: Sequence[str], target: str, environment: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.target = target
        self.socket = folder / "ssh"
        self._options = options
        self._environment = environment
        self._master: RunningCommand | None = None
        self._reports = Reports()
        self._output = OutputCapture(None)
        self._notify: Callable[[], None] = _nobody
        self._input = -1

    @property
    def said(self) -> str:
        return self._reports.other

    async def open(self, identity: str, cwd: str, label: str) -> None:
        """Connect. Raises Unreachable, and SandboxError where this machine is at fault.

        Args:
            cwd: a folder that has to be there; "" for the home.
            label: of this process; see leftovers.owner_label.
        """
        self._make_folder(label)
        token = secrets.token_hex(12)
        script = _GUARD.read_text("utf-8")
        guard = ["env", f"HERMES_GUARD={identity}", "bash", "--noprofile", "--norc", "-c", script]
        guard += ["bash", token, cwd, str(round(GRACE))]
        argv = ["ssh", "-M", "-S", str(self.socket), *self._options, "--", self.target, command_text(guard)]
        self._output = OutputCapture(None)
        self._reports = Reports()
        try:
            # Not of the sandbox's marker: it has to outlive hermes for a moment.
            self._master = RunningCommand(
                argv, env=self._environment, cwd="/", marker=f"connection-{identity}.", stdin=self._input,
                capture=self._output, reports=self._reports, on_text=lambda _: self._notify(),
                opening=token.encode(),
            )  # fmt: skip
        except OSError as error:
            raise SandboxError(f"ssh: the OpenSSH client cannot be started: {error.strerror}") from error
        if not await self._heard(self._master, b"up ", _READY):
            code = self._master.exit_code
            self._master.kill()
            raise Unreachable(self.said, code)

    async def is_open(self) -> bool:
        if self._master is None or self._master.exit_code is not None:
            return False
        check = RunningCommand(
            [*self.client(), "-O", "check", "hermes"], env=self._environment, cwd="/", marker="check.",
            capture=OutputCapture(None, 0),
        )  # fmt: skip
        code = await check.wait(5)
        check.kill()
        return code == 0

    def client(self) -> list[str]:
        """The beginning of a command line that uses the connection, and never makes one of its own."""
        # Without a file of settings: none of it matters any more, and it may run programs (Match exec).
        return [
            "ssh",
            "-F",
            "none",
            "-S",
            str(self.socket),
            "-T",
            "-o",
            "ProxyCommand=false",
            "-o",
            "LogLevel=ERROR",
        ]

    async def close(self) -> None:
        """Let the guard do its work and go. Nothing where it is not open."""
        master, self._master = self._master, None
        if master is not None:
            if master.exit_code is None:
                os.write(self._input, b"gone\n")
                await self._heard(master, b"down ", _CLEANED)
            master.kill()
            await master.wait(1)
        if self._input >= 0:
            os.close(self._input)
            self._input = -1
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _heard(self, master: RunningCommand, word: bytes, timeout: float) -> bool:
        """Wait for a word of the guard; False if it ended without or took too long."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(changed.set)

        self._notify = notify
        master.when_ended(notify)
        try:
            async with asyncio.timeout(timeout):
                while not (heard := word in self._output.head):
                    if master.exit_code is not None:
                        break
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            master.kill()
            raise
        finally:
            self._notify = _nobody
        return heard

    def _make_folder(self, label: str) -> None:
        try:
            self.folder.mkdir(mode=0o700)
            (self.folder / OWNER).write_text(label)
            os.mkfifo(self.folder / "guard", 0o600)
            self._input = os.open(self.folder / "guard", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxError(
                f"ssh: no connection without the folder {self.folder}: {error.strerror}"
            ) from error


def _nobody() -> None:
    """Nobody waits for the guard."""


class Unreachable(Exception):
    """The guard never stood.

    Attributes:
        said: by ssh, or what answered there.
        code: how ssh ended, None if it had to be ended.
    """

    def __init__(self, said: str, code: int | None) -> None:
        super().__init__(said)
        self.said = said
        self.code = code
