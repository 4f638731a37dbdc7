"""A program in a slot whose input and output flow while it runs: what `POST /stream` becomes.

The connection is upgraded (101, `Upgrade: hermes-stream`); from then on both sides send frames: a letter, the
length in four bytes (big endian), the bytes. The caller sends `c` once, a JSON object {slot_id, lease, argv},
then `i` with input and, at its end, an empty `i`. It gets `o` and `e` with output, and `x` with a JSON object
{code} or {error} when the program has ended and nobody holds its output any more.

A caller that goes away does not end the program, which finds its input at an end and its output unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any

from sandboxes.executor.execution_log import Refused
from sandboxes.executor.slot import Ended, OutputPipe, SlotLost, Streams
from sandboxes.executor.slots import Slots
from sandboxes.executor.tools import LONGEST

FRAME_LIMIT = 1024 * 1024
UNSENT_LIMIT = 1024 * 1024
"""Bytes of output on their way to the caller, beyond which the program is held back."""
_HEADER = 5


async def stream(slots: Slots, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one upgraded connection."""
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: hermes-stream\r\n\r\n")
    answer: dict[str, Any]
    try:
        kind, data = await read_frame(reader)
        asked = json.loads(data)
        if kind != b"c" or not isinstance(asked, dict):
            raise ValueError("a stream begins with what is to be run")
        answer = {"code": (await _run(slots, asked, reader, writer)).code}
    except (Refused, SlotLost, ValueError) as error:
        answer = {"error": str(error)}
    except OSError as error:
        answer = {"error": error.strerror or str(error)}
    with contextlib.suppress(ConnectionError):
        writer.write(frame(b"x", json.dumps(answer).encode()))
        await writer.drain()


async def _run(
    slots: Slots, asked: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Ended:
    tools = slots.leased(asked)
    argv = asked.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(each, str) for each in argv):
        raise ValueError("argv has to be a list of texts")
    outputs = [_Output(kind, writer) for kind in (b"o", b"e")]
    stdin, feed = os.pipe2(os.O_CLOEXEC)
    feeding = asyncio.ensure_future(_feed(feed, reader))
    marker = tools.marker()
    fields = [str(len(argv)), *argv, *tools.environment(marker)]
    streams = Streams(stdin, outputs[0].pipe.writer, outputs[1].pipe.writer)
    try:
        ended = await tools.slot.run("run", tools.cwd, fields, streams, LONGEST, marker)
        # Somebody it started may hold its output, and is heard as long as the caller listens.
        closed = asyncio.ensure_future(_all_closed(outputs))
        await asyncio.wait([closed, feeding], return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
    finally:
        feeding.cancel()
        for each in outputs:
            await each.pipe.finish()
            tools.slot.keep(each.pipe)
    return ended


async def _all_closed(outputs: list[_Output]) -> None:
    for each in outputs:
        await each.pipe.ended.wait()


class _Output:
    """Sends what comes out of a pipe, and holds the program back while too much is unsent."""

    def __init__(self, kind: bytes, writer: asyncio.StreamWriter) -> None:
        self.pipe = OutputPipe(self._send)
        self._kind = kind
        self._writer = writer
        self._draining: asyncio.Task[None] | None = None

    def _send(self, chunk: bytes) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        self._writer.write(frame(self._kind, chunk))
        if transport.get_write_buffer_size() > UNSENT_LIMIT and self._draining is None:
            self.pipe.pause()
            self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        self._draining = None
        self.pipe.resume()


async def _feed(descriptor: int, reader: asyncio.StreamReader) -> None:
    """Give the caller's input to the program; ends when the caller has gone."""
    loop = asyncio.get_running_loop()
    os.set_blocking(descriptor, False)
    is_open = True
    try:
        while True:
            _, data = await read_frame(reader)
            if is_open and not (data and await _write(loop, descriptor, data)):
                is_open = False
                os.close(descriptor)
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return
    finally:
        if is_open:
            os.close(descriptor)


async def _write(loop: asyncio.AbstractEventLoop, descriptor: int, data: bytes) -> bool:
    """False if the program has closed its input."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            writable = asyncio.Event()
            loop.add_writer(descriptor, writable.set)
            try:
                await writable.wait()
            finally:
                loop.remove_writer(descriptor)
        except BrokenPipeError:
            return False
    return True


def frame(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


async def read_frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """(letter, bytes). Raises ValueError for one that is too long, IncompleteReadError at the end."""
    header = await reader.readexactly(_HEADER)
    length = int.from_bytes(header[1:], "big")
    if length > FRAME_LIMIT:
        raise ValueError(f"a frame of {length} bytes")
    return header[:1], await reader.readexactly(length)
