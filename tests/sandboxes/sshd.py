"""A real sshd on the loopback interface, with a home of its own, that a test can end and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from configuration.sandbox_settings import SshSettings

PROGRAM = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))


class Sshd:
    """Logs in whoever runs the tests.

    Args:
        folder: for its keys and its log; empty.
        lines: more of its configuration.

    Attributes:
        home: the HOME there.
        temp: the TMPDIR there.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.home = folder / "home"
        self.temp = folder / "temp"
        self.home.mkdir(mode=0o700)
        self.temp.mkdir(mode=0o700)
        for name in ("host_key", "key", "other_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
            )
        shutil.copy(folder / "key.pub", folder / "authorized_keys")
        self.trust(folder / "host_key.pub")
        self.configure(*lines)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, *lines: str) -> None:
        """Counts from the next start on. The first value of an option is the one that is used."""
        text = [
            *lines,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"PidFile {self.folder}/pid",
            f"SetEnv HOME={self.home} TMPDIR={self.temp}",
            "StrictModes no",
            "UsePAM no",
            "PrintMotd no",
            "LogLevel DEBUG1",
            "MaxStartups 50:30:100",
        ]
        (self.folder / "config").write_text("\n".join(text) + "\n")

    def trust(self, key: Path) -> None:
        """Put a host key into the known hosts of the client, as the only one."""
        kind, text, *_ = key.read_text().split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {text}\n")

    def start(self) -> None:
        assert PROGRAM is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen(
            [PROGRAM, "-D", "-f", str(self.folder / "config"), "-E", str(self.folder / "log")],
            stdin=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.01)

    def drop_connections(self) -> None:
        """End the processes that serve connections, as a network that went away does."""
        for process in self._servers():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """End it with its connections. What was started through them goes on."""
        if self._process is not None:
            servers = self._servers()
            self._process.kill()
            self._process.wait()
            for process in servers:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process = None

    def settings(self, **values: object) -> SshSettings:
        options = [
            f"UserKnownHostsFile={self.folder}/known_hosts",
            "GlobalKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
        ]
        given: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "identity_file": str(self.folder / "key"),
            "options": options,
            **values,
        }
        return SshSettings(**given)  # type: ignore[arg-type]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _servers(self) -> list[psutil.Process]:
        assert self._process is not None
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._process.pid).children(recursive=True)
            return [child for child in children if child.name().startswith("sshd")]
        return []


@contextmanager
def running_sshd(folder: Path, *lines: str) -> Iterator[Sshd]:
    """Skips the test where the programs are missing."""
    if PROGRAM is None or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        pytest.skip("OpenSSH's server and client are not installed")
    folder.mkdir(exist_ok=True)
    sshd = Sshd(folder, *lines)
    sshd.start()
    try:
        yield sshd
    finally:
        sshd.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
