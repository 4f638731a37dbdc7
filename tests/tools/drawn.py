"""Pictures to look at: PNGs made here, and one of 7x5 pixels of each other kind, made with Pillow."""

from __future__ import annotations

import base64
import random
import struct
import zlib

JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAKBueIx4ZKCMgoy0qqC+8P//8Nzc8P/////////////////////////////////////////////"
    "/////////////2wBDAaq0tPDS8P////////////////////////////////////////////////////////////////////////////"
    "//wAARCAAFAAcDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAL/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFQEBAQAAAAAAAAA"
    "AAAAAAAAAAgP/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwCABWf/2Q=="
)
GIF = base64.b64decode("R0lGODdhBwAFAIEAAP8AAAAAAAAAAAAAACwAAAAABwAFAAAIDAABCBxIsKDBgwcDAgA7")
WEBP = base64.b64decode("UklGRjIAAABXRUJQVlA4ICYAAABwAQCdASoHAAUADMDOJaACdAFAAAD+3FHSXS5Df6u/O36ntgAAAA==")
WEBP_LOSSLESS = base64.b64decode("UklGRhwAAABXRUJQVlA4TA8AAAAvBgABAAcQ/Y/+ByKi/wEA")
WEBP_EXTENDED = base64.b64decode(
    "UklGRloAAABXRUJQVlA4WAoAAAAIAAAABgAABAAAVlA4ICYAAABwAQCdASoHAAUADMDOJaACdAFAAAD+3FHSXS5Df6u/O36ntgAAAEVYSUYOA"
    "AAATU0AKgAAAAgAAAAAAAA="
)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>\n'


def png(width: int = 7, height: int = 5) -> bytes:
    return _png(width, height, b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height)), 9)


def noise(size: int) -> bytes:
    """A PNG of about `size` bytes, 1000 pixels wide."""
    dice = random.Random(1)
    rows = size // 3001
    return _png(1000, rows, b"".join(b"\0" + dice.randbytes(3000) for _ in range(rows)), 0)


def _png(width: int, height: int, rows: bytes, effort: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, effort)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
