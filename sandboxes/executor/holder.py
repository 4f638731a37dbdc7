"""The first process of a slot. It starts programs there on request, and with it everything in the slot ends.

Runs as process 1 inside the slot's bubblewrap: no signal from inside can end it, all orphans become its
children, and when it ends the kernel ends every other process of the slot. It is copied there as one file.

It talks with the executor over a SOCK_SEQPACKET socket whose descriptor is its only argument; a message is
fields joined by NUL. Requests carry stdin, stdout and stderr as descriptors:

    id run   FOLDER COUNT ARGV… NAME=VALUE…    start a program in FOLDER, or in the nearest that is left of it
    id read  FOLDER PATH OFFSET SIZE           copy part of a file to stdout; SIZE -1: to the end
    id write FOLDER PATH replace|append        put stdin into a file; missing folders above it are made

Answers: `ready` at first, then for each request `id exit CODE SECONDS FOLDER` or `id error ERRNO TEXT`.
"""

from __future__ import annotations

import array
import errno
import os
import select
import signal
import socket
import stat
import sys
import time

MESSAGE = 160 * 1024
"""Bytes a message has at most; below the 208 KiB that Linux lets a socket hold."""
NICE = 5
"""Of what runs in a slot, see nice(2)."""
_COPY = 1 << 18


class Holder:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._running: dict[int, tuple[str, str, float]] = {}

    def serve(self) -> None:
        """Until the executor closes its end or dies."""
        wakeup, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        # As process 1 it gets only the signals it has a handler for; Python has one for this.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(wakeup, select.POLLIN)
        self._channel.send(b"ready")
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == wakeup:
                    os.read(wakeup, 4096)
                    self._reap()
                elif not self._receive():
                    return

    def _receive(self) -> bool:
        room = socket.CMSG_SPACE(3 * array.array("i").itemsize)
        data, ancillary, _, _ = self._channel.recvmsg(MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
        descriptors = array.array("i")
        for _, _, packed in ancillary:
            descriptors.frombytes(packed[: len(packed) - len(packed) % descriptors.itemsize])
        if not data:
            return False
        id, kind, folder, *fields = os.fsdecode(data).split("\0")
        try:
            folder = _enter(folder)
            began = time.monotonic()
            if kind == "run":
                count = int(fields[0])
                pid = _start(fields[1 : count + 1], fields[count + 1 :], list(descriptors))
            else:
                pid = self._fork(id, kind, fields, list(descriptors))
            self._running[pid] = id, folder, began
        except OSError as error:
            self._say(id, "error", error.errno or 0, error.strerror or error)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            os.chdir("/")
        return True

    def _fork(self, id: str, kind: str, fields: list[str], descriptors: list[int]) -> int:
        """Work on a file in a child: much of it takes a while."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            if kind == "read":
                read(fields[0], int(fields[1]), int(fields[2]), descriptors[1])
            else:
                write(fields[0], descriptors[0], append=fields[1] == "append")
            code = 0
        except OSError as error:
            self._say(id, "error", error.errno or 0, error.strerror or error)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                id, folder, began = self._running.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                seconds = time.monotonic() - began
                self._say(id, "exit", 128 - code if code < 0 else code, f"{seconds:.6f}", folder)

    def _say(self, *fields: object) -> None:
        self._channel.send(os.fsencode("\0".join(map(str, fields))))


def _enter(folder: str) -> str:
    while True:
        try:
            os.chdir(folder)
            return folder
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            if folder in ("/", ""):
                raise
            folder = os.path.dirname(folder)


def _start(argv: list[str], environment: list[str], descriptors: list[int]) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate(descriptors)]
    env = dict(each.split("=", 1) for each in environment)
    # What Python ignores the program must not inherit as ignored.
    signals = [signal.SIGPIPE, signal.SIGXFSZ]
    pid = os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsid=True, setsigdef=signals)
    # Whatever tasks compute, the executor is to answer: a sandbox that cannot is taken for a dead one.
    os.setpriority(os.PRIO_PROCESS, pid, NICE)
    return pid


def read(path: str, offset: int, size: int, out: int) -> None:
    """Copy `size` bytes of a file from `offset` on. Raises OSError as `open` does."""
    source = _open_regular(path, os.O_RDONLY)
    if offset:
        os.lseek(source, offset, os.SEEK_SET)
    left = size if size >= 0 else sys.maxsize
    while left > 0 and (chunk := os.read(source, min(left, _COPY))):
        left -= len(chunk)
        _write_all(out, chunk)


def write(path: str, source: int, *, append: bool) -> None:
    """The old or the new text is there, never half of one; `append` adds to what is there."""
    path = os.path.realpath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if append:
        _copy(source, _open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        return
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "Not a regular file")
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)[:50]}.{os.getpid()}")
    target = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _copy(source, target)
        if os.path.exists(path):
            os.chmod(beside, os.stat(path).st_mode & 0o7777)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it may have no end, or wait for one that writes
        raise OSError(errno.EINVAL, "Not a regular file")
    return descriptor


def _copy(source: int, target: int) -> None:
    while chunk := os.read(source, _COPY):
        _write_all(target, chunk)


def _write_all(target: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(target, view) :]


if __name__ == "__main__":
    Holder(socket.socket(fileno=int(sys.argv[1]))).serve()
