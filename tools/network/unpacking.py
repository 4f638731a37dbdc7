"""Unpacking of what a server packed, in bounded pieces: a few bytes may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tools.network.failures import FetchError

ASKED_FOR = "gzip, deflate"
"""The packings a server is told about. Brotli and zstd need a library that unpacks in bounded pieces."""
PIECE = 65_536
"""Bytes of a piece, at most."""
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Unpacker:
    """Unpacks one body.

    Args:
        packing: the header Content-Encoding.

    Raises:
        FetchError: `protocol`: it is packed in a way that was not asked for.
    """

    def __init__(self, packing: str) -> None:
        kinds = [kind for kind in packing.lower().replace(",", " ").split() if kind != "identity"]
        self._packed = bool(kinds)
        self._bits = _ZLIB if kinds == ["deflate"] else _GZIP
        if kinds not in ([], ["gzip"], ["x-gzip"], ["deflate"]):
            raise FetchError(
                "protocol", f"the server packed the page as {packing[:40]!r}, which it was not asked to do"
            )
        self._stream = zlib.decompressobj(self._bits)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that `data` brings.

        Raises:
            FetchError: `protocol`: it is not packed as it was said to be.
        """
        if not self._packed:
            yield data
            return
        while data or self._begun:
            if self._stream.eof:
                data = data or self._stream.unused_data
                if self._bits != _GZIP or not data.startswith(b"\x1f"):
                    return  # what follows the end is padding
                self._stream = zlib.decompressobj(self._bits)  # the next member of the file
            piece = self._inflate(data)
            data = self._stream.unconsumed_tail or (self._stream.unused_data if self._stream.eof else b"")
            if piece:
                yield piece
            if not data and len(piece) < PIECE:
                return

    @property
    def complete(self) -> bool:
        """Whether the packed data has come to its end."""
        return not self._packed or not self._begun or self._stream.eof

    def _inflate(self, data: bytes) -> bytes:
        first, self._begun = not self._begun, True
        try:
            return self._stream.decompress(data, PIECE)
        except zlib.error:
            if not (first and self._bits == _ZLIB):
                raise FetchError("protocol", "the page is packed wrongly and cannot be unpacked") from None
        # Some servers send deflate without the wrapping that the standard asks for.
        self._bits = _RAW
        self._stream = zlib.decompressobj(_RAW)
        return self._inflate(data)
