"""Web servers on loopback that behave as a test wants: each is told what to do with a connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from safety.addresses import AllowedHosts
from tools.network.guard import Guard

Handler: TypeAlias = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One request that came in, and how to answer it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self.reader, self.writer = reader, writer
        line, *fields = head.decode("latin-1").split("\r\n")
        self.method, self.target, *_ = [*line.split(" "), "", ""]
        pairs = (field.split(":", 1) for field in fields if ":" in field)
        self.headers = {name.lower(): value.strip() for name, value in pairs}

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"", /, status: str = "200 OK", **headers: str) -> None:
        fields = {"content_length": str(len(body)), "content_type": "text/plain; charset=utf-8", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        await self.send(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

    async def redirect(self, location: str, status: str = "302 Found", **headers: str) -> None:
        await self.answer(b"", status, location=location, **headers)


class Server:
    """`url` and `port`; `seen` are the requests so far, `tasks` what serves the connections now."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.seen: list[Connection] = []
        self.tasks: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server for one request on each connection; whatever it still does at the end is ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        server.tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            server.seen.append(Connection(reader, writer, head[:-4]))
            await handler(server.seen[-1])
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            server.tasks.discard(task)
            writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server = Server(listening.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield server
    finally:
        listening.close()
        for task in list(server.tasks):
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await listening.wait_closed()


def guard_for(*entries: str) -> Guard:
    """A guard that allows these hosts; without any, this machine."""
    return Guard(AllowedHosts(entries or ("127.0.0.1",)))
