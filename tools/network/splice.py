"""Two connections joined into one."""

from __future__ import annotations

import asyncio

PIECE = 65_536
"""Bytes that are under way in one direction, besides what the transports hold."""

LINGER = 10.0
"""Seconds in which what was sent has to be taken before a connection is dropped."""


async def finish(writer: asyncio.StreamWriter) -> None:
    """Closes a connection when the other side has what was sent, or does not take it."""
    writer.close()
    try:
        async with asyncio.timeout(LINGER):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


async def splice(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    other: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    idle: float,
) -> None:
    """Carries bytes both ways until both sides have said their last.

    A side that ends its half is passed on as such, and the other half goes on. Returns, too, when nothing has
    come from either for `idle` seconds, or one breaks. Closing is left to the caller.
    """
    loop = asyncio.get_running_loop()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            clock.reschedule(loop.time() + idle)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    ways = [
        asyncio.ensure_future(carry(one[0], other[1])),
        asyncio.ensure_future(carry(other[0], one[1])),
    ]
    try:
        async with asyncio.timeout(idle) as clock:
            await asyncio.gather(*ways)
    except (TimeoutError, OSError):
        return
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
