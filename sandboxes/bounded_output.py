"""Output of any length in bounded memory, and the excerpt of it that a model reads."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable
from pathlib import Path

from safety.terminal_text import strip_controls
from sandboxes.sandbox import BoundedOutput
from sandboxes.spill_file import SpillFile

KEPT = 256 * 1024
"""Bytes kept in memory at each end; what the model sees is cut from them."""
_BINARY_AT = 1000


class OutputCapture:
    """Takes output from a reading thread; gives a bounded view of it to any thread, at any time.

    Args:
        folder: where a spill file may be made once memory does not hold the output; None for none.
        sift: gets each piece of output and returns what of it is taken.
    """

    def __init__(
        self, folder: Path | None, kept: int = KEPT, sift: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._sift = sift
        self._folder = folder
        self._kept = kept
        self._head = bytearray()
        self._tail = bytearray()
        self._spill: SpillFile | None = None
        self._spill_path: str | None = None
        self._spill_problem = ""
        self._finished = False
        self._unseen: OutputCapture | None = None
        self._lock = threading.Lock()
        self.total = 0

    @property
    def head(self) -> bytes:
        """The first `kept` bytes."""
        with self._lock:
            return bytes(self._head)

    def feed(self, chunk: bytes | memoryview) -> None:
        if self._sift is not None:
            chunk = self._sift(bytes(chunk))
        with self._lock:
            room = self._kept - len(self._head)
            if len(chunk) > room and self._spill_path is None:
                self._open_spill()
            if self._spill is not None:
                self._write_spill(self._spill, chunk)
            if room > 0:
                self._head += chunk[:room]
            if len(chunk) > room:
                self._feed_tail(chunk[room:])
            self.total += len(chunk)
            if self._unseen is not None:
                self._unseen.feed(chunk)

    def watch(self) -> None:
        """From now on, unless it was asked for before, remember what `new_output` has not given yet."""
        with self._lock:
            self._unseen = self._unseen or OutputCapture(None, self._kept)

    def new_output(self, limit: int) -> BoundedOutput:
        """What came since `watch` or the last call of this."""
        with self._lock:
            unseen, self._unseen = self._unseen, OutputCapture(None, self._kept)
            path = self._spill_path
        return unseen.result(limit, log_path=path) if unseen else BoundedOutput("", 0, False)

    def result(self, limit: int, *, log_path: str | None = None) -> BoundedOutput:
        """What is there so far, cut to `limit` characters. `log_path`: where else the whole can be read."""
        with self._lock:
            whole = self.total <= len(self._head) + len(self._tail)
            text, tail_text = self._texts(whole)
            if whole and len(text) <= limit:
                return BoundedOutput(text, self.total, False, None)
            if log_path is None and self._spill_path is None:
                self._open_spill()
                if self._finished:
                    self._close_spill()
            path = log_path or self._spill_path
        return BoundedOutput(self._excerpt(text, tail_text, limit, path), self.total, True, path)

    def tail(self, size: int) -> BoundedOutput:
        """The last `size` bytes, or what memory holds of them."""
        with self._lock:
            held = (
                (self._head + self._tail) if self.total <= len(self._head) + len(self._tail) else self._tail
            )
            kept = bytes(held[-size:]) if size > 0 else b""
            cut = self.total > len(kept)
        return BoundedOutput(strip_controls(_decode(kept, cut_front=cut)), self.total, cut, self._spill_path)

    def finish(self) -> None:
        """No more output will come: put the spill file in order. May copy 64 MB; not for the event loop."""
        with self._lock:
            self._finished = True
            self._close_spill()

    def _feed_tail(self, chunk: bytes | memoryview) -> None:
        if len(chunk) >= self._kept:
            self._tail[:] = chunk[-self._kept :]
            return
        self._tail += chunk
        if len(self._tail) > 2 * self._kept:
            del self._tail[: -self._kept]

    def _open_spill(self) -> None:
        """Begin the file with all that came before; memory still holds every byte of it."""
        if self._folder is None or self._spill_problem:
            return
        try:
            self._spill = SpillFile(self._folder)
        except OSError as error:
            self._spill_problem = _reason(error)
            return
        self._spill_path = self._spill.path
        self._write_spill(self._spill, bytes(self._head + self._tail))

    def _write_spill(self, spill: SpillFile, chunk: bytes | memoryview) -> None:
        try:
            spill.write(chunk)
        except OSError as error:
            self._spill_problem = _reason(error)
            spill.close()
            self._spill = None

    def _close_spill(self) -> None:
        spill, self._spill = self._spill, None
        if spill is not None:
            try:
                spill.finish()
            except OSError as error:
                self._spill_problem = _reason(error)

    def _texts(self, whole: bool) -> tuple[str, str]:
        if whole:
            return strip_controls(_decode(bytes(self._head + self._tail))), ""
        head = strip_controls(_decode(bytes(self._head), cut_end=True))
        return head, strip_controls(_decode(bytes(self._tail[-self._kept :]), cut_front=True))

    def _excerpt(self, text: str, tail_text: str, limit: int, path: str | None) -> str:
        where = f"; all of it: {path}" if path else ""
        if self._spill_problem:
            where = f"; its beginning: {path}; {self._spill_problem}" if path else f"; {self._spill_problem}"
        if self._head.count(0) and text.count("\ufffd") * 10 > len(text) > _BINARY_AT:
            return f"[binary output, {self.total:,} bytes{where}]"
        notice = f"[... output cut: {self.total:,} bytes in all{where} ...]"
        room = max(limit - len(notice) - 2, limit // 2)
        front = room * 2 // 5
        back = room - front
        head = text[:front]
        tail = (tail_text or text[front:])[-back:]
        if len(tail) < back and tail_text:
            head = text[: room - len(tail)]
        return f"{_to_line_end(head)}\n{notice}\n{_from_line_start(tail)}"


def _to_line_end(text: str) -> str:
    """Without a broken last line, unless that costs more than a fifth."""
    end = text.rfind("\n")
    return text[:end] if end > len(text) * 4 // 5 else text


def _from_line_start(text: str) -> str:
    start = text.find("\n", 0, len(text) // 5)
    return text[start + 1 :]


def _decode(data: bytes, *, cut_front: bool = False, cut_end: bool = False) -> str:
    """UTF-8 with U+FFFD for invalid bytes, but not for characters that our own cut broke."""
    start = 0
    if cut_front:
        while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
            start += 1
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data[start:], not cut_end)


def _reason(error: OSError) -> str:
    return f"the full output could not be kept: {error.strerror or error}"
