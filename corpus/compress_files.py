"""The files of a compression. All lie beside OUT and are readable by their owner alone:

OUT                   the rows that fit, in the order of the input; one write each
OUT.failed.jsonl      the rows that are not in OUT: place, reason, the row itself
OUT.compressed.jsonl  what was done to each row that was compressed
OUT.journal           how far the run has come, and the summaries that were paid for
OUT.metrics.json      the totals
*.next                files to come while failed rows are tried again; `OUT.swap` exists while they take
                      their places, so that all do or none
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from corpus.writing import OutputError

_PIECE = 1 << 20


class Outputs:
    """The paths of a run, all derived from that of OUT."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.failed = _beside(out, "failed.jsonl")
        self.compressed = _beside(out, "compressed.jsonl")
        self.journal = _beside(out, "journal")
        self.metrics = _beside(out, "metrics.json")
        self._swap = _beside(out, "swap")

    @property
    def kept(self) -> list[Path]:
        return [self.out, self.failed, self.compressed, self.journal]

    def next(self, path: Path) -> Path:
        return _beside(path, "next")

    def swap(self) -> None:
        """The next files take the places of the present ones: all of them, whenever we are killed."""
        self._swap.touch(0o600)
        self.finish_swap()

    def finish_swap(self) -> None:
        """Ends a swap that was begun; else throws away next files that were never finished."""
        begun = self._swap.exists()
        for path in self.kept:
            if begun and self.next(path).exists():
                os.replace(self.next(path), path)
            elif not begun:
                self.next(path).unlink(missing_ok=True)
        self._swap.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


class AppendFile:
    """A file that grows by whole lines, one write each."""

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """`alone`: no other process may have it so. Raises OutputError where one has, and OSError."""
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self._fd).st_size
        if alone:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._fd)
                raise OutputError(f"another process is writing {path.with_suffix('')}") from None

    def write(self, line: bytes) -> None:
        """`line` without its end. Raises OutputError; a part that was written is no line and is cut off."""
        data = memoryview(line + b"\n")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            os.ftruncate(self._fd, self.size)
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from None
        self.size += len(line) + 1

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def end_at_a_line(self) -> int:
        """Cuts off a last line that has no end. Returns how many lines there are."""
        lines = end = position = 0
        while piece := os.pread(self._fd, _PIECE, position):
            lines += piece.count(b"\n")
            last = piece.rfind(b"\n")
            end = position + last + 1 if last >= 0 else end
            position += len(piece)
        os.ftruncate(self._fd, end)
        self.size = end
        return lines

    def cut(self, size: int) -> None:
        """Only the first `size` bytes stay."""
        os.ftruncate(self._fd, size)
        self.size = min(self.size, size)

    def close(self) -> None:
        os.close(self._fd)
