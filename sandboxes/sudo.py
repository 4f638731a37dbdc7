"""A person's sudo password on its way to sudo, and to nothing else.

Commands of a task find a `sudo` of ours first on their PATH (sudo_shim.py). It asks a keeper
(sudo_keeper.py), started before the first command, to run the real one. Where a password is needed the
keeper asks us, we ask the person, and write it into a pipe whose other end becomes the input of
`sudo -S -v`: of a process that is root's from its first moment. Two processes hold that pipe before, this one
and the keeper, and both have told the kernel that no other process of this user may look into them. Linux
only: elsewhere sudo says itself that it has nobody to ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
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

    Nothing is started or written before `open`. `typed` is told each password that the person types.
    """

    def __init__(self, ask: AskSecret | None, password: str = "") -> None:
        self.folder = Path(tempfile.gettempdir(), f"hermes-{os.getuid()}", f"sudo-{secrets.token_hex(4)}")
        self.typed: Callable[[str], None] | None = None
        self._ask = ask
        self._password = password
        self._identity = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._life = -1

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` in which our sudo is found before the real one."""
        return {**environ, "PATH": f"{self.folder}:{environ.get('PATH', os.defpath)}"}

    async def open(self, identity: str) -> None:
        """Let the commands whose marker begins with `identity` call; does nothing where they can.

        Begins before the first of them runs: until it has hidden its memory, the keeper could be looked into.
        Raises OSError where no folder can be made or no process started.
        """
        self._loop = asyncio.get_running_loop()
        sudo = shutil.which("sudo")
        if self._identity == identity or sudo is None:
            return
        self._shut()
        self._identity = identity
        hide_memory()
        with self._make_door(sudo) as door:
            ours, theirs = socket.socketpair()
            life, self._life = os.pipe()
            with theirs:
                argv = [
                    sys.executable,
                    "-I",
                    "-S",
                    str(_HERE / "sudo_keeper.py"),
                    f"{MARKER}={identity}",
                    sudo,
                ]
                keeper = _start_keeper([*argv, str(theirs.fileno()), str(door.fileno())], life)
            os.close(life)
        hidden = self._loop.create_future()
        threading.Thread(target=self._attend, args=(keeper, ours, hidden), daemon=True).start()
        await hidden

    def close(self) -> None:
        """End what sudo still runs for this task and forget the password."""
        self._password = ""
        self._ask = None
        self._shut()

    def _shut(self) -> None:
        self._identity = ""
        if self._life >= 0:
            os.close(self._life)
            self._life = -1
            shutil.rmtree(self.folder, ignore_errors=True)

    def _make_door(self, sudo: str) -> socket.socket:
        """The folder with the shim and the socket it calls; the socket, listening."""
        private_folder()
        self.folder.mkdir(mode=0o700)
        shim = self.folder / "sudo"
        words = [sys.executable, "-I", "-S", str(_HERE / "sudo_shim.py"), sudo, str(self.folder)]
        shim.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        shim.chmod(0o700)
        door = socket.socket(socket.AF_UNIX)
        inside = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            door.bind(f"/proc/self/fd/{inside}/door")  # the path itself may be too long for a socket
        finally:
            os.close(inside)
        door.listen()
        return door

    def _attend(
        self, keeper: subprocess.Popen[bytes], ask: socket.socket, hidden: asyncio.Future[None]
    ) -> None:
        """In a thread: answer the keeper's questions until it ends; `hidden` is done when it has begun."""
        with ask:
            ask.recv(1)  # or it has ended, and the shims find nobody
            with contextlib.suppress(RuntimeError):
                hidden.get_loop().call_soon_threadsafe(_settle, hidden)
            self._answer(ask)
        keeper.wait()

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
            if self.typed is not None:
                self.typed(self._password)
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


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _as_coroutine(asked: Awaitable[str]) -> str:
    return await asked
