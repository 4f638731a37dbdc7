"""Picture files: what they are by their first bytes, how large, and their form in a request to a model."""

from __future__ import annotations

import base64
import os
import posixpath
import stat as file_mode
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from sandboxes.sandbox import Sandbox

MOST_BYTES = 20_000_000
"""OpenAI takes no larger picture, and few servers do."""
MOST_PIXELS = 8_000
"""In one direction; Anthropic's API refuses more, others make it smaller themselves."""
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}
"""The kinds that models take, and what their files are called."""

_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG (ITU T.81, table B.1) after which height and width stand."""


class PictureError(ValueError):
    """A file that cannot be shown to a model; one sentence says why and what helps."""


class Picture(Struct, frozen=True):
    """`name` is for people; `media_type` one of SUFFIXES; width and height in pixels."""

    name: str
    media_type: str
    data: bytes
    width: int
    height: int

    @property
    def told(self) -> str:
        """How a transcript shows it."""
        return f"[picture: {self.name}, {size_told(len(self.data))}]"

    @property
    def warning(self) -> str:
        if max(self.width, self.height) <= MOST_PIXELS:
            return ""
        return (
            f"{self.name} has {self.width}x{self.height} pixels; some servers take no more than {MOST_PIXELS}"
        )

    def part(self) -> dict[str, Any]:
        """As a content part of the chat API, inside a data URL."""
        return image_part(self.media_type, self.data)


def image_part(media_type: str, data: bytes) -> dict[str, Any]:
    """{"type": "image_url", "image_url": {"url": "data:…"}}, as OpenAI's chat API takes pictures."""
    url = f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


def size_told(size: int) -> str:
    """`34 KB`, `1.2 MB`."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e3:.0f} KB" if size < 999_500 else f"{size / 1e6:.1f} MB"


def check_picture(name: str, data: bytes) -> Picture:
    """The picture in `data`.

    Raises:
        PictureError: it is none, is of a kind that models do not take, or is too large.
    """
    check_size(name, len(data))
    media_type = _media_type(data)
    if not media_type:
        raise PictureError(f"{name} is {_kind(data)}; models take PNG, JPEG, GIF and WebP pictures")
    try:
        width, height = _DIMENSIONS[media_type](data)
    except (struct.error, IndexError, ValueError):
        width = height = 0
    if not width or not height:
        raise PictureError(f"{name} begins like a picture ({media_type}) but is broken or cut off")
    return Picture(name, media_type, data, width, height)


def check_size(name: str, size: int) -> None:
    """Raises PictureError for what is too large to be sent."""
    if size > MOST_BYTES:
        raise PictureError(
            f"{name} has {size_told(size)}, and models take {size_told(MOST_BYTES)} at the most; "
            "make a smaller copy and name that"
        )


async def read_picture(sandbox: Sandbox, path: str) -> Picture:
    """The picture at `path`, an absolute one, where the tools work.

    Raises:
        PictureError: as `check_picture`, or it is no file.
        OSError: it is not there, or cannot be read.
    """
    name = posixpath.basename(path)
    stat = await sandbox.stat(path)
    if not stat.is_file:
        raise PictureError(f"{name} is {'a folder' if stat.is_dir else 'no regular file'}, not a picture")
    check_size(name, stat.size)
    return check_picture(name, await sandbox.read_file(path, size=MOST_BYTES + 1))


def open_picture(path: str) -> Picture:
    """The same for a file of this machine; `path` may be relative to the working folder."""
    name = os.path.basename(path)
    # A pipe by that name must keep nobody waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        stat = os.fstat(descriptor)
        if not file_mode.S_ISREG(stat.st_mode):
            folder = file_mode.S_ISDIR(stat.st_mode)
            raise PictureError(f"{name} is {'a folder' if folder else 'no regular file'}, not a picture")
        check_size(name, stat.st_size)
        with open(descriptor, "rb", closefd=False) as file:
            return check_picture(name, file.read(MOST_BYTES + 1))
    finally:
        os.close(descriptor)


def text_and_pictures(text: str, pictures: Iterable[Picture]) -> list[dict[str, Any]]:
    """A message's content: the text, then the pictures."""
    return [{"type": "text", "text": text}, *(picture.part() for picture in pictures)]


def _media_type(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


def _kind(data: bytes) -> str:
    from tools.files.kind import binary_kind, is_always_binary
    from tools.files.text_file import detect

    if not data:
        return "empty"
    head = data[:65_536]
    if b"<svg" in head[:4096].lower() and not head.startswith(b"%PDF-"):
        return "an SVG drawing, which is text: read it, or turn it into a PNG"
    if not is_always_binary(head) and detect(head) is not None:
        return "text, not a picture"
    kind = binary_kind(head)
    return f"{'an' if kind[0] in 'AEIOUaeio' else 'a'} {kind}"


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError
    place = 8
    while data[place + 4 : place + 8] != b"IEND":  # a file that was cut off has none
        (length,) = struct.unpack_from(">I", data, place)
        place += 12 + length
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _webp(data: bytes) -> tuple[int, int]:
    """https://developers.google.com/speed/webp/docs/riff_container"""
    kind = data[12:16]
    if int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise ValueError
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind != b"VP8 ":
        raise ValueError
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg(data: bytes) -> tuple[int, int]:
    place = 2
    while True:
        while data[place] == 0xFF and data[place + 1] == 0xFF:
            place += 1
        if data[place] != 0xFF:
            raise ValueError
        marker = data[place + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        if marker in (0xD9, 0xDA):
            raise ValueError
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            place += 2
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        if length < 2:
            raise ValueError
        place += 2 + length


_DIMENSIONS = {"image/png": _png, "image/jpeg": _jpeg, "image/gif": _gif, "image/webp": _webp}
