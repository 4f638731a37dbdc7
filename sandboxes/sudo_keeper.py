"""Runs sudo for the commands of one task, and never sees a password itself.

Run as `python -I -S sudo_keeper.py MARKER SUDO ASK DOOR` by `sandboxes.sudo`, never imported by it. Standard
input is a pipe that ends when hermes does, ASK the descriptor of the way to ask hermes, DOOR that of the
socket that the task's shims call. A login is `sudo -S -v` whose input is a pipe made and filled by hermes;
what follows is `sudo -n`, with the input and output of the shim. sudo's record of a login holds for the
session and the parent that made it (timestamp_type tty without a terminal, see sudoers(5)): for this process
alone.
"""

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PR_SET_DUMPABLE = 4
TRIES = 3
GRACE = 0.3
"""Seconds between TERM and KILL for what sudo runs."""
MOST = 4 * 1024 * 1024
"""Bytes of a request: arguments and environment, which Linux limits to a quarter of the stack."""
_WRONG = re.compile(rb"incorrect|authentication fail|try again", re.IGNORECASE)


def hide() -> None:
    """From here on no other process of this user can read our memory or take our descriptors (prctl(2)).

    Raises OSError if somebody has got hold of us before.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    status = Path("/proc/self/status").read_text()
    if not re.search(r"^TracerPid:\t0$", status, re.MULTILINE):
        raise OSError("a debugger is attached")


@dataclass
class Keeper:
    """`marker` is `NAME=VALUE` as the environment of the task's processes begins with."""

    marker: bytes
    sudo: str
    hermes: socket.socket
    door: socket.socket
    login_lock: threading.Lock = field(default_factory=threading.Lock)
    running: "dict[int, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([0, self.door.fileno()], [], [])
            if 0 in ready:  # hermes is gone
                for process in list(self.running.values()):
                    self.end(process)
                return
            client, _ = self.door.accept()
            threading.Thread(target=self.attend, args=(client,), daemon=True).start()

    def attend(self, client: socket.socket) -> None:
        descriptors: list[int] = []
        with client:
            try:
                size, descriptors, _, _ = socket.recv_fds(client, 4, 3)
                if len(size) < 4 or len(descriptors) < 3 or not self.is_of_the_task(client):
                    return
                request = json.loads(_receive(client, min(int.from_bytes(size, "big"), MOST)))
                with self.login_lock:
                    self.log_in(request["argv"])
                client.sendall(bytes([self.run(request, descriptors, client)]))
            except (OSError, ValueError, KeyError, TypeError):
                return  # the shim went away, or it was none
            finally:
                for each in descriptors:
                    os.close(each)

    def is_of_the_task(self, client: socket.socket) -> bool:
        """True if the caller is this user's and it, or a process above it, carries the task's marker."""
        raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, user, _ = struct.unpack("3i", raw)
        while user == os.getuid() and pid > 1:
            with contextlib.suppress(OSError):
                if b"\0" + self.marker in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
                    return True
            pid = _parent(pid)
        return False

    def log_in(self, argv: list[str]) -> None:
        """Ask hermes for the password unless sudo has no need of it; without one, sudo itself will say so."""
        if subprocess.run([self.sudo, "-n", "-v"], **_SILENT).returncode == 0:
            return
        for attempt in range(TRIES):
            question = json.dumps({"argv": argv, "wrong": attempt > 0}).encode()
            self.hermes.sendall(len(question).to_bytes(4, "big") + question)
            _, descriptors, _, _ = socket.recv_fds(self.hermes, 1, 1)
            if not descriptors:
                return
            told = subprocess.run(
                [self.sudo, "-S", "-v", "-p", ""], stdin=descriptors[0], stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, env=_PLAIN, check=False,
            )  # fmt: skip
            os.close(descriptors[0])
            if told.returncode == 0 or not _WRONG.search(told.stderr):
                return
        question = json.dumps({"argv": argv, "wrong": True, "last": True}).encode()
        self.hermes.sendall(len(question).to_bytes(4, "big") + question)
        self.hermes.recv(1)

    def run(self, request: dict[str, Any], descriptors: list[int], client: socket.socket) -> int:
        environ = {os.fsencode(name): os.fsencode(value) for name, value in request["environ"].items()}
        stdin, stdout, stderr = descriptors
        try:
            process = subprocess.Popen(
                [self.sudo, "-n", *request["argv"]], stdin=stdin, stdout=stdout, stderr=stderr, env=environ,
                cwd=request["cwd"], umask=request["umask"], process_group=0,
            )  # fmt: skip
        except OSError as error:
            os.write(stderr, f"sudo: could not be started: {error}\n".encode())
            return 1
        self.running[process.pid] = process
        try:
            ended = os.pidfd_open(process.pid)
            poller = select.poll()
            poller.register(ended, select.POLLIN)
            poller.register(client, select.POLLIN)
            ready = [descriptor for descriptor, _ in poller.poll()]
            os.close(ended)
            if ended not in ready:  # the shim was ended: so is what it asked for
                self.end(process)
            code = process.wait()
        finally:
            del self.running[process.pid]
        return 128 - code if code < 0 else code

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """sudo and what it runs are root's: only sudo can end them."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            found = [str(pid) for pid in _with_descendants(process.pid)]
            if process.poll() is None or len(found) > 1:
                subprocess.run([self.sudo, "-n", "kill", f"-{int(number)}", *found], **_SILENT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)


_PLAIN = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
_SILENT: dict[str, Any] = {
    "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": _PLAIN,
    "check": False,
}  # fmt: skip


def _receive(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := client.recv(size - len(data))):
        data += piece
    return data


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _with_descendants(pid: int) -> list[int]:
    parents = {int(name): _parent(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


if __name__ == "__main__":
    hide()
    ask, door = (socket.socket(fileno=int(each)) for each in sys.argv[3:5])
    ask.sendall(b"h")
    Keeper(os.fsencode(sys.argv[1]), sys.argv[2], ask, door).serve()
