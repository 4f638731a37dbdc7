"""The clipboard: a program of the machine where there is one, and the terminal's own (OSC 52).

Terminals paste text alone, so pictures are fetched by a program, too.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
from collections.abc import Iterator, Sequence

PROGRAMS = (
    ("wl-copy", "WAYLAND_DISPLAY", ()),
    ("xclip", "DISPLAY", ("-selection", "clipboard")),
    ("xsel", "DISPLAY", ("--clipboard", "--input")),
    ("pbcopy", "", ()),
)
_TAKE_PNG = "get the clipboard as \u00abclass PNGf\u00bb"
"""AppleScript; the answer is `«data PNGf8950…»`, in hexadecimal."""
PICTURE_PROGRAMS = (
    ("wl-paste", "WAYLAND_DISPLAY", ("--no-newline", "--type", "image/png")),
    ("xclip", "DISPLAY", ("-selection", "clipboard", "-target", "image/png", "-out")),
    ("pngpaste", "", ("-",)),
    ("osascript", "", ("-e", _TAKE_PNG)),
)
MOST_PICTURE = 64_000_000
"""Bytes that a program may hand over; what is too large for a model is refused with a word later."""
PICTURE_SECONDS = 5.0
TERMINAL_LIMIT = 74_000
"""Bytes of text; xterm takes about 100,000 characters of base64 in one sequence."""


def copy_through_terminal(text: str) -> str:
    """The sequence that asks the terminal to take `text` (OSC 52, xterm's ctlseqs), "" if it is too long."""
    data = text.encode("utf-8", "replace")
    if len(data) > TERMINAL_LIMIT:
        return ""
    return f"\x1b]52;c;{base64.b64encode(data).decode()}\x07"


async def copy_text(text: str) -> str:
    """Hand `text` to the first clipboard program there is; returns its name, "" if none took it."""
    for program, command in _there(PROGRAMS):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await asyncio.wait_for(process.communicate(text.encode("utf-8", "replace")), 2)
        except TimeoutError:
            process.kill()
            continue
        if process.returncode == 0:
            return program
    return ""


async def take_picture() -> bytes:
    """The picture in the clipboard, from the first program that has one; b"" if none has.

    Raises:
        LookupError: there is no such program; the text names those that would do.
    """
    programs = list(_there(PICTURE_PROGRAMS))
    if not programs:
        raise LookupError("pictures are pasted by wl-paste, xclip or pngpaste, and none is installed")
    for _, command in programs:
        if data := await _output(command):
            found = re.search(rb"data PNGf([0-9A-Fa-f]+)", data) if data[:1] != b"\x89" else None
            return bytes.fromhex(found[1].decode()) if found else data
    return b""


def _there(
    programs: Sequence[tuple[str, str, tuple[str, ...]]],
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name and command of those that are installed and have the display they need."""
    for program, variable, arguments in programs:
        path = shutil.which(program)
        if path is not None and (not variable or os.environ.get(variable)):
            yield program, (path, *arguments)


async def _output(command: Sequence[str]) -> bytes:
    """What it writes; b"" if it fails, takes too long, or does not end within bounds."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    data = bytearray()
    try:
        async with asyncio.timeout(PICTURE_SECONDS):
            while len(data) <= MOST_PICTURE and (piece := await process.stdout.read(1 << 20)):
                data += piece
            if len(data) <= MOST_PICTURE and await process.wait() == 0:
                return bytes(data)
    except TimeoutError:
        return b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return b""
