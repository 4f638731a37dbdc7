"""What the script around a command says of it, on a stream that the command itself never sees.

supervise.sh writes records to its stderr, each `TOKEN WORD FIELD…` with a NUL at its end. Everything else on
that stream is the transport's own: a client that cannot reach its server, a banner.
"""

from __future__ import annotations

import secrets
import threading

_KEPT = 8_000
"""Bytes of other text that are kept, the last ones."""


class Reports:
    """Takes the bytes of the stream from any thread.

    Attributes:
        token: begins each record; nobody can guess it.
        folder: where the command was started, once it was; "" before.
        again: it was not, because the same command had been begun before: the word of that was lost.
        missing: it was not, because the folder it was to start in does not exist.
        exit_code: how it ended, once it did.
        cwd: the shell's folder at its end; None where its state could not be kept.
        left: the process group it was started in is not empty.
        out_of_memory: the kernel killed something of the place, which had used up its memory.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(12)
        self.folder = ""
        self.again = False
        self.missing = False
        self.exit_code: int | None = None
        self.cwd: str | None = None
        self.left = False
        self.out_of_memory = False
        self._lock = threading.Lock()
        self._other = bytearray()
        self._rest = bytearray()

    @property
    def begun(self) -> bool:
        return bool(self.folder)

    @property
    def ended(self) -> bool:
        return self.exit_code is not None

    @property
    def other(self) -> str:
        """What else was said, the end of it."""
        with self._lock:
            return (self._other + self._rest).decode("utf-8", "replace").strip()

    def feed(self, data: bytes) -> None:
        with self._lock:
            self._rest += data
            while (end := self._rest.find(b"\0")) >= 0:
                self._take(bytes(self._rest[:end]))
                del self._rest[: end + 1]
            if len(self._rest) > _KEPT:
                del self._rest[:-_KEPT]

    def _take(self, text: bytes) -> None:
        before, found, record = text.rpartition(self.token.encode() + b" ")
        self._other = (self._other + before)[-_KEPT:]
        if not found:
            self._other = (self._other + text)[-_KEPT:]
            return
        word, _, rest = record.partition(b" ")
        if word == b"begun":
            self.folder = rest.decode("utf-8", "surrogateescape")
        elif word == b"again":
            self.again = True
        elif word == b"missing":
            self.missing = True
        elif word == b"memory":
            self.out_of_memory = True
        elif word == b"ended":
            code, left, kept, cwd = rest.split(b" ", 3)
            self.left = left == b"1"
            self.cwd = cwd.decode("utf-8", "surrogateescape") if kept == b"1" else None
            self.exit_code = int(code)
