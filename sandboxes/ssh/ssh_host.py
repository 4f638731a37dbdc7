"""The backend ssh: another machine, as the login there, by OpenSSH's client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import stat
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from configuration.sandbox_settings import SshSettings
from safety.confinement import Confinement
from sandboxes.bounded_output import OutputCapture
from sandboxes.child_environment import child_environment
from sandboxes.foothold import OWN_FOLDER
from sandboxes.host import CommandLineHost, Program
from sandboxes.leftovers import owner_is_dead, owner_label
from sandboxes.reports import Reports
from sandboxes.running_command import RunningCommand
from sandboxes.sandbox import SandboxError
from sandboxes.ssh.login_shell import command_text
from sandboxes.ssh.ssh_connection import OWNER, SshConnection, Unreachable
from sandboxes.ssh.ssh_errors import explained, is_passing
from settings import Settings

SESSIONS = 8
"""Of one connection at once. OpenSSH's server allows ten (MaxSessions), for the guard and the spare too."""
_PREFIX = "hermes-ssh-"
_LOGIN = ("SSH_AUTH_SOCK", "KRB5CCNAME")
"""What the client needs to log in, beside what commands of this machine see. None of it is sent."""
_FAREWELL = Path(__file__).with_name("ssh_farewell.sh")
_SPARE = Path(__file__).with_name("ssh_spare.sh")
_PAUSE = 0.005
"""Seconds from the end of a program to the start of the next one ahead: its result comes first."""
_TRIES = 5
_AT_ONCE = 32 * 1024
"""Bytes that a pipe takes without waiting, wherever."""
_OURS = {
    "batchmode": "BatchMode=yes",
    "clearallforwardings": "ClearAllForwardings=yes",
    "controlpersist": "ControlPersist=no",
    "forwardagent": "ForwardAgent=no",
    "forwardx11": "ForwardX11=no",
    "permitlocalcommand": "PermitLocalCommand=no",
    "remotecommand": "RemoteCommand=none",
    "requesttty": "RequestTTY=no",
    "tunnel": "Tunnel=no",
}
_FORBIDDEN = {
    **dict.fromkeys((*_OURS, "controlmaster", "controlpath", "sendenv", "setenv"), "hermes decides it"),
    "stricthostkeychecking": "set ssh.known_hosts",
}
_DEFAULTS = ("ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=3", "LogLevel=ERROR")


def make_ssh_host(settings: Settings, task_id: str, environ: Mapping[str, str]) -> SshHost:
    """The host of a task. Raises SandboxError where a setting cannot be kept."""
    if settings.terminal.network is False:
        raise SandboxError(
            "ssh: terminal.network: false cannot be kept on a machine that is reached by ssh; leave it empty"
        )
    return SshHost(settings.ssh, environ)


class SshHost(CommandLineHost):
    """Fulfils `Host`. Nothing is connected before `start`.

    Args:
        environ: of hermes; the client gets of it what it needs to log in.
    """

    name = "ssh"
    confinement = Confinement(kind="ssh", network=True, writable=(), keys=False)
    lasting = True

    def __init__(self, settings: SshSettings, environ: Mapping[str, str]) -> None:
        self.cwd = _from_home(settings.cwd)
        self.environment = child_environment(environ, _LOGIN)
        self._target = settings.host
        self._options = _options(settings)
        self._base = _base(environ)
        self._folder = self._base / f"{_PREFIX}{secrets.token_hex(6)}"
        self.on_death: Sequence[str] = ("bash", str(_FAREWELL), str(self._folder))
        self._connection: SshConnection | None = None
        self._spare: tuple[RunningCommand, int] | None = None
        self._sessions: list[RunningCommand] = []
        self._marker = ""
        self._lock = threading.Lock()
        self._opening = secrets.token_hex(12)
        self._lost = ""

    async def start(self, identity: str) -> None:
        """See `Host.start`."""
        if self._connection is None:
            await asyncio.to_thread(self._end_forsaken)
        else:
            self._lost = "the connection was lost"
            await self._disconnect()
        for attempt in range(1, _TRIES + 1):
            connection = SshConnection(self._folder, self._options, self._target, self.environment)
            self._connection = connection
            try:
                cwd = "" if self.cwd == OWN_FOLDER else self.cwd
                await connection.open(identity, cwd, owner_label())
            except Unreachable as failure:
                await self._disconnect()
                if attempt == _TRIES or not is_passing(failure.said):
                    raise SandboxError(self._unreachable(failure)) from None
                await asyncio.sleep(random.uniform(0.1, 0.5) * attempt)
            except BaseException:
                await self._disconnect()
                raise
            else:
                return

    def command_line(self, argv: Sequence[str]) -> list[str]:
        """See `CommandLineHost.command_line`."""
        text = f"printf {self._opening}; {command_text(argv)}"
        if self._connection is None:
            raise SandboxError("ssh: there is no connection")
        if len(self._sessions) < SESSIONS:
            return [*self._connection.client(), "hermes", text]
        # The connection is full: one of its own, for this program alone.
        return ["ssh", "-S", "none", *self._options, "--", self._target, text]

    async def launch(
        self,
        argv: Sequence[str],
        *,
        stdin: int,
        capture: OutputCapture,
        reports: Reports,
        marker: str,
        on_text: Callable[[str], None] | None = None,
        stop_after: int | None = None,
    ) -> Program:
        """See `Host.launch`. Uses the program that was started ahead where the input is small and at hand."""
        self._marker = marker
        data = _at_hand(stdin)
        with self._lock:
            spare, self._spare = self._spare, None
            self._sessions = [each for each in self._sessions if each.exit_code is None or each.is_open]
        if spare is not None and data is not None and spare[0].exit_code is None:
            program, pipe = spare
            words = [str(len(argv)), *argv]
            header = b"".join(os.fsencode(word) + b"\0" for word in words)
            if len(header) + len(data) <= _AT_ONCE:
                program.stand_for(capture, reports, on_text, stop_after)
                with contextlib.suppress(BrokenPipeError):  # it has ended, and tells so itself
                    os.write(pipe, header + data)
                os.close(pipe)
                return self._begun(program)
        if spare is not None:
            self._put_back(spare)
        return self._begun(self._client(argv, stdin, capture, reports, marker, on_text, stop_after))

    async def is_up(self) -> bool:
        connection = self._connection
        if connection is not None and await connection.is_open():
            return True
        self._lost = "the connection was lost"
        return False

    def why_gone(self) -> str:
        return self._lost

    async def stop(self) -> None:
        """See `Host.stop`. The guard ends what was left there."""
        await self._disconnect()
        self._lost = ""

    # -- programs ------------------------------------------------------------------------------------------

    def _client(
        self,
        argv: Sequence[str],
        stdin: int,
        capture: OutputCapture,
        reports: Reports,
        marker: str,
        on_text: Callable[[str], None] | None,
        stop_after: int | None,
    ) -> RunningCommand:
        return RunningCommand(
            self.command_line(argv), env=self.environment, cwd="/", marker=marker, capture=capture,
            stdin=stdin, reports=reports, on_text=on_text, stop_after=stop_after,
            opening=self._opening.encode(),
        )  # fmt: skip

    def _begun(self, program: RunningCommand) -> RunningCommand:
        with self._lock:
            self._sessions.append(program)
        loop = asyncio.get_running_loop()

        def ended() -> None:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nothing more is expected
                loop.call_soon_threadsafe(loop.call_later, _PAUSE, self._start_ahead)

        loop.call_soon(program.when_ended, ended)  # after those who wait for it
        return program

    def _start_ahead(self) -> None:
        """Have a program ready for the next command: its half of the time is the way to a first bash."""
        with self._lock:
            connection = self._connection
            if connection is None or self._spare is not None or not connection.socket.exists():
                return
            reader, writer = os.pipe()
            script = ["bash", "--noprofile", "--norc", "-c", _spare_script()]
            try:
                program = self._client(
                    script, reader, OutputCapture(None), Reports(), self._marker, None, None
                )
            except OSError:  # no more processes to be had; the next command says it
                os.close(writer)
            else:
                self._spare = (program, writer)
            finally:
                os.close(reader)

    def _put_back(self, spare: tuple[RunningCommand, int]) -> None:
        with self._lock:
            if self._spare is None and spare[0].exit_code is None:
                self._spare = spare
                return
        os.close(spare[1])

    # -- the connection ------------------------------------------------------------------------------------

    async def _disconnect(self) -> None:
        with self._lock:
            spare, self._spare = self._spare, None
            connection, self._connection = self._connection, None
            sessions, self._sessions = self._sessions, []
        if spare is not None:
            os.close(spare[1])
            sessions.append(spare[0])
        if connection is not None:
            await connection.close()
        for program in sessions:
            program.kill()
            await program.wait(1)

    def _end_forsaken(self) -> None:
        """Say farewell for those whose hermes was killed together with its lifeline."""
        for folder in self._base.glob(f"{_PREFIX}*"):
            try:
                status = folder.lstat()
                own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
                forsaken = own and owner_is_dead((folder / OWNER).read_text())
            except OSError:  # it is going just now
                continue
            if forsaken:
                RunningCommand(
                    ["bash", str(_FAREWELL), str(folder)], env=self.environment, cwd="/",
                    marker="farewell.", capture=OutputCapture(None, 0),
                )  # fmt: skip

    def _unreachable(self, failure: Unreachable) -> str:
        host = self._target
        if failure.code is None:
            return (
                f"ssh: {host}: it let us in, but the login shell there does not come to an end of its start"
            )
        if "cd: " in failure.said and failure.code == 1:
            return f"ssh: {host}: the folder {self.cwd} is not there; set ssh.cwd"
        if failure.code not in (255, 127) and failure.said:
            return f"ssh: {host}: the login there runs something else: {failure.said[-500:]}"
        return f"ssh: {host}: {explained(failure.said, host)}"


@cache
def _spare_script() -> str:
    return _SPARE.read_text("utf-8")


def _options(settings: SshSettings) -> list[str]:
    """Of a connection; the first value of an option counts."""
    for part, name in ((settings.host, "host"), (settings.user, "user")):
        if part.startswith("-") or any(not each.isprintable() or each.isspace() for each in part):
            raise SandboxError(f"ssh: {part!r} cannot be a {name}; set ssh.{name}")
    if not settings.host:
        raise SandboxError("ssh: no host is set; set ssh.host")
    chosen = "yes" if settings.known_hosts == "strict" else "accept-new"
    options = ["-T", "-x", "-a"]
    for value in (*_OURS.values(), f"StrictHostKeyChecking={chosen}"):
        options += ["-o", value]
    for value in settings.options:
        key = value.replace("=", " ").split(maxsplit=1)[0].lower() if value.strip("= ") else ""
        if not key.isalnum():
            raise SandboxError(f"ssh: {value!r} in ssh.options is not of the form NAME=VALUE")
        if key in _FORBIDDEN:
            raise SandboxError(f"ssh: {value!r} cannot be in ssh.options: {_FORBIDDEN[key]}")
        options += ["-o", value]
    for value in _DEFAULTS:
        options += ["-o", value]
    if settings.identity_file:
        options += ["-i", os.path.expanduser(settings.identity_file)]
    if settings.user:
        options += ["-l", settings.user]
    if settings.port is not None:
        options += ["-p", str(settings.port)]
    return options


def _from_home(path: str) -> str:
    """Programs start in the home there, so `~` need not be named."""
    return "" if path == "~" else path.removeprefix("~/")


def _base(environ: Mapping[str, str]) -> Path:
    """Where the sockets' folder is made: the account's own place if the paths are not too long there."""
    own = environ.get("XDG_RUNTIME_DIR", "")
    return Path(own) if own and len(own) <= 50 and os.path.isdir(own) else Path(tempfile.gettempdir())


def _at_hand(stdin: int) -> bytes | None:
    """All that is to be read from a descriptor, None if it is much or still to come."""
    if stdin < 0:
        return b""
    status = os.fstat(stdin)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _AT_ONCE:
        return None
    return os.pread(stdin, _AT_ONCE, os.lseek(stdin, 0, os.SEEK_CUR))
