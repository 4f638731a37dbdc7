"""A file of rows that only grows: one write a row; a torn last line is cut off when it is read back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec


class RowFileError(Exception):
    """The file cannot be written or read; the text says which file, why, and what to do."""


class RowFile:
    """Its one writer is whoever has the run's lock. The file comes into being with its first row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def append(self, line: bytes) -> None:
        """One write of a whole line; where only a part fits, none of it stays.

        Raises:
            RowFileError: it could not be written.
        """
        try:
            if self._fd < 0:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._fd = os.open(self.path, flags, 0o600)
            size = os.fstat(self._fd).st_size
            data = memoryview(line)
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                os.ftruncate(self._fd, size)
                raise
        except OSError as error:
            raise RowFileError(f"cannot write {self.path}: {error.strerror}") from None

    def lines(self) -> Iterator[bytes]:
        """All whole lines that are JSON; the rest after the last one is cut off.

        Raises:
            RowFileError: there is something else between rows, or the file cannot be read.
        """
        end = good = bad = 0
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    end += len(line)
                    if not line.endswith(b"\n") or not _is_json(line):
                        bad = bad or number
                        continue
                    if bad:
                        raise RowFileError(f"{self.path}:{bad} is damaged; remove that line to go on")
                    good = end
                    yield line
            if bad:
                os.truncate(self.path, good)
        except FileNotFoundError:
            return
        except OSError as error:
            raise RowFileError(f"cannot read {self.path}: {error.strerror}") from None

    def close(self) -> None:
        """Bring it to the disk."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True
