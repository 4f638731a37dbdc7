"""How a run and its worker processes talk: values as JSON, each with its length before it."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import msgspec

_LENGTH = struct.Struct(">Q")


def frame(value: Any) -> bytes:
    """Lone surrogates, which JSON in UTF-8 cannot hold, become "?"."""
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:
        import json

        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        data = text.encode("utf-8", "replace")
    return _LENGTH.pack(len(data)) + data


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next value's JSON; None at the end, also where the other side broke off in the middle."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
