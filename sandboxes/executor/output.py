"""Output of any length in bounded memory: its beginning and its end."""

from __future__ import annotations

import codecs


class Capture:
    """Keeps the first and the last `limit // 2` bytes of what it is fed."""

    def __init__(self, limit: int) -> None:
        self._edge = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    @property
    def truncated(self) -> bool:
        return self.total > len(self._head) + min(len(self._tail), self._edge)

    def feed(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self._edge - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk
        if len(self._tail) > 2 * self._edge:
            del self._tail[: -self._edge]

    def data(self) -> bytes:
        """All of it; raises ValueError where some was left out."""
        if self.truncated:
            raise ValueError("output was left out")
        return bytes(self._head + self._tail)

    def text(self) -> str:
        """UTF-8 with U+FFFD for what is none; a line says how much was left out in the middle."""
        if not self.truncated:
            return (self._head + self._tail).decode("utf-8", "replace")
        tail = bytes(self._tail[-self._edge :])
        while tail and tail[0] & 0xC0 == 0x80:  # the cut went through a character
            tail = tail[1:]
        head = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(self._head))
        left_out = self.total - len(self._head) - len(tail)
        notice = f"[... {left_out:,} bytes of {self.total:,} left out ...]"
        return f"{head}\n{notice}\n{tail.decode('utf-8', 'replace')}"
