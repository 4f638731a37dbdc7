"""A client of the proxy, and servers behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.tools.network.web_server import Connection
from tools.network.filtering_proxy import FilteringProxy
from tools.network.guard import Guard


class Client:
    """A connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def head(self) -> str:
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)


@asynccontextmanager
async def connected(proxy_url: str) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy_url.rpartition(":")[2]))
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def proxying(guard: Guard, idle: float = 30.0) -> AsyncIterator[tuple[FilteringProxy, str]]:
    proxy = FilteringProxy(guard, idle=idle)
    try:
        yield proxy, await proxy.start()
    finally:
        await proxy.aclose()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends everything back, and its own end after the end of the other side."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write(b"<end>")
    writer.close()


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def hello(connection: Connection) -> None:
    size = int(connection.headers.get("content-length", "0"))
    body = await connection.reader.readexactly(size)
    told = " ".join(sorted(f"{name}={value}" for name, value in connection.headers.items()))
    await connection.answer(f"{connection.method} {connection.target} {told} ".encode() + body)
