"""The `Surface` of a terminal that can do no more than lines (TERM=dumb)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from safety.terminal_text import stand_in

if TYPE_CHECKING:
    from repl.surface import Listener, Question

_SGR = re.compile(r"\x1b\[[0-9;]*m")


class LineTerminal:
    """Reads whole lines from the terminal in its usual mode and prints plain text; nothing is live."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.draft = ""
        self._unread = b""
        self._answer: asyncio.Future[str] | None = None
        self._question: Question | None = None
        self._closed = asyncio.Event()

    @property
    def columns(self) -> int:
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or 80
        except OSError:
            return 80

    def clear_draft(self) -> None:
        self.draft = ""

    def insert(self, text: str) -> None:
        """The line belongs to the terminal; no key asks for this."""

    def print(self, text: str) -> None:
        self._write(_SGR.sub("", text) + "\n")

    def echo(self, text: str) -> None:
        """The terminal itself has shown what was typed."""

    def hint(self, text: str) -> None:
        self._write(text + "\n")

    def write_control(self, sequence: str) -> None:
        """Such a terminal is sent no control sequences."""

    def changed(self) -> None:
        """There is nothing live."""

    def clear(self) -> None:
        """Such a terminal cannot be cleared."""

    def idle(self) -> None:
        self._write("❯ ")

    async def ask(self, question: Question, opened: Callable[[], None]) -> str:
        opened()
        self._question = question
        self._answer = asyncio.get_running_loop().create_future()
        self._write(question.hint + "\n❯ ")
        try:
            with _no_echo() if question.hidden else contextlib.nullcontext():
                return await self._answer
        finally:
            self._question = self._answer = None

    async def run(self, started: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.listener.interrupt)
        loop.add_reader(sys.stdin.fileno(), self._read)
        self._write("❯ ")
        started()
        try:
            await self._closed.wait()
        finally:
            loop.remove_reader(sys.stdin.fileno())
            loop.remove_signal_handler(signal.SIGINT)

    def close(self) -> None:
        self._closed.set()

    def _read(self) -> None:
        try:
            data = os.read(sys.stdin.fileno(), 65536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.listener.leave()
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8", "replace"))

    def _line(self, line: str) -> None:
        if line.endswith("\\") and not (self._question and self._question.hidden):
            self.draft += line[:-1] + "\n"
            return
        text, self.draft = self.draft + line, ""
        if self._question is not None and self._answer is not None:
            self._take_answer(text, self._question, self._answer)
        elif text.strip():
            self.listener.submit(text)
        else:
            self.idle()

    def _take_answer(self, text: str, question: Question, answer: asyncio.Future[str]) -> None:
        line = text
        if question.keys:
            text = question.keys.get(text.strip().lower(), "")
        if answer.done():
            return
        if text.strip() or question.hidden:
            answer.set_result(text)
        else:
            told = f"  {stand_in(line)}: none of the choices, not sent\n" if line.strip() else ""
            self._write(told + question.hint + "\n❯ ")

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            self.listener.leave()


@contextlib.contextmanager
def _no_echo() -> Iterator[None]:
    """The terminal does not show what is typed; it does so again afterwards."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
