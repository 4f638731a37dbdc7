"""The packed parts of a page: gzip in base64, which no row can break out of, written piece by piece."""

from __future__ import annotations

import base64
import zlib
from typing import IO

LEVEL = 4
"""Of 1 to 9. Higher levels take more than twice the time for a tenth of the size."""


class Packer:
    """Packs what `add` is given and writes it to `file` as base64 text; `close` ends it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._gzip = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)  # 31: a gzip header and the largest window
        self._rest = b""

    def add(self, piece: bytes) -> None:
        self._write(self._gzip.compress(piece))

    def close(self) -> None:
        self._write(self._gzip.flush())
        self._file.write(base64.b64encode(self._rest))

    def _write(self, packed: bytes) -> None:
        packed = self._rest + packed
        whole = len(packed) - len(packed) % 3  # base64 text can be joined where three bytes end
        self._rest = packed[whole:]
        self._file.write(base64.b64encode(packed[:whole]))


class BlockWriter:
    """Writes lines as numbered blocks, each an element of the page that is unpacked on its own."""

    SIZE = 256 * 1024
    """Bytes of lines after which a block ends: what opening one row costs, about 2 ms."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._packer: Packer | None = None
        self._size = 0
        self._lines = 0
        self._block = -1

    def add(self, line: bytes) -> tuple[int, int]:
        """Adds a line without its end. Returns the number of its block, and of the line in it."""
        if self._packer is None:
            self._block += 1
            self._size = self._lines = 0
            self._file.write(b'<script type="application/octet-stream" id="b%d">' % self._block)
            self._packer = Packer(self._file)
        else:
            self._packer.add(b"\n")
        self._packer.add(line)
        place = (self._block, self._lines)
        self._lines += 1
        self._size += len(line) + 1
        if self._size >= self.SIZE:
            self.close()
        return place

    def close(self) -> None:
        """Ends the block that is open, if there is one."""
        if self._packer is not None:
            self._packer.close()
            self._packer = None
            self._file.write(b"</script>\n")
