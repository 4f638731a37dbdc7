"""A person's sudo password on its way to sudo, and to nothing else.

Commands of a task find a `sudo` of ours first on their PATH (sudo_shim.py). It asks a keeper
(sudo_keeper.py), started at its first call, to run the real one. Where a password is needed the keeper asks
us, we ask the person, and write it into a pipe whose other end becomes the input of `sudo -S -v`: of a
process that is root's from its first moment. Two processes hold that pipe before, this one and the keeper,
and both have told the kernel that no other process of this user may look into them. Linux only: elsewhere
sudo says itself that it has nobody to ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TypeAlias

from sandboxes.process_tree import MARKER
from sandboxes.spill_file import private_folder

AskSecret: TypeAlias = Callable[[str], Awaitable[str]]
"""Asks a person for a text that is not shown while it is typed; "" if they would rather not."""

_HERE = Path(__file__).parent
_PR_SET_DUMPABLE = 4  # prctl(2)
_SHOWN = 300


class SudoDoor:
    """For one task. `ask` reaches the person; `password`, where given, is tried before anybody is asked.

    Nothing is started or written before `open`.
    """

    def __init__(self, ask: AskSecret | None, password: str = "") -> None:
        self.folder = Path(tempfile.gettempdir(), f"hermes-{os.getuid()}", f"sudo-{secrets.token_hex(4)}")
        self._ask = ask
        self._password = password
        self._loop: asyncio.AbstractEventLoop | None = None
        self._door: socket.socket | None = None
        self._life: int = -1
        self._stop: int = -1
        self._identity = ""

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` in which our sudo is found before the real one."""
        return {**environ, "PATH": f"{self.folder}:{environ.get('PATH', os.defpath)}"}

    def open(self, identity: str) -> None:
        """Let the commands whose marker begins with `identity` call; does nothing where they can.

        Raises OSError where no folder can be made.
        """
        self._loop = asyncio.get_running_loop()
        if self._identity == identity:
            return
        self._shut()
        self._identity = identity
        sudo = shutil.which("sudo")
        if sudo is None:
            return
        hide_memory()
        private_folder()
        self.folder.mkdir(mode=0o700)
        shim = self.folder / "sudo"
        words = [sys.executable, "-I", "-S", str(_HERE / "sudo_shim.py"), sudo, str(self.folder)]
        shim.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        shim.chmod(0o700)
        self._door = socket.socket(socket.AF_UNIX)
        inside = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._door.bind(f"/proc/self/fd/{inside}/door")  # the path itself may be too long for a socket
        finally:
            os.close(inside)
        self._door.listen()
        self._door.setblocking(False)
        stopped, self._stop = os.pipe()
        argv = [sys.executable, "-I", "-S", str(_HERE / "sudo_keeper.py"), f"{MARKER}={identity}", sudo]
        threading.Thread(target=self._wait, args=(self._door, argv, stopped), daemon=True).start()

    def close(self) -> None:
        """End what sudo still runs for this task and forget the password."""
        self._password = ""
        self._ask = None
        self._shut()

    def _shut(self) -> None:
        self._identity = ""
        if self._door is None:
            return
        for descriptor in (self._stop, self._life):
            if descriptor >= 0:
                os.close(descriptor)
        self._stop = self._life = -1
        self._door.close()
        self._door = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self, door: socket.socket, argv: list[str], stopped: int) -> None:
        """In a thread: start the keeper when a shim calls, and answer its questions."""
        try:
            while stopped not in select.select([door.fileno(), stopped], [], [])[0]:
                ours, theirs = socket.socketpair()
                with ours:
                    life, self._life = os.pipe()
                    with theirs:
                        keeper = _start_keeper([*argv, str(theirs.fileno()), str(door.fileno())], life)
                    os.close(life)
                    self._answer(ours)
                    if keeper.wait() != 0:  # it could not begin, or broke off: let the one who calls know
                        with contextlib.suppress(BlockingIOError):
                            door.accept()[0].close()
        finally:
            os.close(stopped)

    def _answer(self, keeper: socket.socket) -> None:
        while len(size := keeper.recv(4, socket.MSG_WAITALL)) == 4:
            question = json.loads(keeper.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
            password = self._find(question)
            if not password:
                keeper.sendall(b"n")
                continue
            reader, writer = os.pipe()
            with contextlib.suppress(OSError):
                os.write(writer, password.encode() + b"\n")
            os.close(writer)
            socket.send_fds(keeper, [b"y"], [reader])
            os.close(reader)

    def _find(self, question: dict[str, object]) -> str:
        """The password: the one that is known, else what the person types now."""
        if question["wrong"]:
            self._password = ""
        if question.get("last") or self._password or self._ask is None or self._loop is None:
            return self._password
        argv = question["argv"]
        shown = shlex.join(["sudo", *map(str, argv if isinstance(argv, list) else [])])
        if len(shown) > _SHOWN:
            shown = shown[:_SHOWN] + f"… ({len(shown)} characters)"
        begin = "That password was not right. " if question["wrong"] else ""
        text = f"{begin}sudo asks for your password, to run: {shown}"
        try:
            asked = asyncio.run_coroutine_threadsafe(_as_coroutine(self._ask(text)), self._loop)
            self._password = asked.result()
        except (RuntimeError, CancelledError):  # the loop is closed, or the question was taken back
            self._password = ""
        return self._password


def sudo_can_ask() -> bool:
    """True where a password could be handed over: Linux, not root, and sudo is there."""
    return sys.platform == "linux" and os.getuid() != 0 and shutil.which("sudo") is not None


def hide_memory() -> None:
    """From here on no other process of this user can read our memory or take our descriptors."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _start_keeper(argv: list[str], life: int) -> subprocess.Popen[bytes]:
    """The last two of `argv` are descriptors for it. In a session of its own, so no terminal is its own."""
    return subprocess.Popen(
        argv, stdin=life, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath)}, start_new_session=True,
        pass_fds=[int(each) for each in argv[-2:]],
    )  # fmt: skip


async def _as_coroutine(asked: Awaitable[str]) -> str:
    return await asked
