"""Speaks with one SandboxExecutor: HTTP/1.1 over TCP or a Unix socket, over few connections kept open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from sandboxes.pools.contract import SandboxLost
from sandboxes.sandbox import SandboxError

CONNECT_SECONDS = 10.0
ANSWER_LIMIT = 64 * 1024 * 1024
_HEAD_LIMIT = 64 * 1024
_ATTEMPTS = 3

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ExecutorRefused(SandboxError):
    """It answered, and not with what was asked for. `code` is for programs."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.code = code


class ExecutorClient:
    """
    Args:
        address: HOST:PORT, or unix:PATH.
        name: what errors call the sandbox.
    """

    def __init__(self, address: str, token: str, name: str) -> None:
        self.address = address
        self.name = name
        self._idle: list[Streams] = []
        self._closed = ""
        self._open: set[asyncio.StreamWriter] = set()
        host = "localhost" if address.startswith("unix:") else address
        self._head = f"Host: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    async def ask(
        self, path: str, body: Mapping[str, Any] | None = None, *, timeout: float, repeat: bool = True
    ) -> dict[str, Any]:
        """GET without a body, else POST.

        Args:
            repeat: ask anew when the connection breaks: only what is executed once however often it is asked.

        Raises:
            SandboxLost: nobody answers there, or not within `timeout` seconds.
            ExecutorRefused
        """
        data = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        request = (
            f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(data)}\r\n\r\n".encode() + data
        )
        broken: Exception | None = None
        try:
            async with asyncio.timeout(timeout):
                for _ in range(_ATTEMPTS if repeat else 1):
                    try:
                        return await self._exchange(request)
                    except (ConnectionError, asyncio.IncompleteReadError) as error:
                        broken = error
        except TimeoutError as error:
            raise SandboxLost(f"{self.name} does not answer {path} within {timeout:.0f} s") from error
        except OSError as error:
            broken = error
        raise SandboxLost(f"{self.name}: {self._closed or f'the connection broke: {broken}'}") from broken

    async def connect(self) -> Streams:
        """A fresh connection. Raises OSError and TimeoutError."""
        if self._closed:
            raise ConnectionError(self._closed)
        async with asyncio.timeout(CONNECT_SECONDS):
            if self.address.startswith("unix:"):
                streams = await asyncio.open_unix_connection(self.address[5:], limit=_HEAD_LIMIT)
            else:
                host, _, port = self.address.rpartition(":")
                streams = await asyncio.open_connection(host.strip("[]"), int(port), limit=_HEAD_LIMIT)
        self._open.add(streams[1])
        return streams

    def drop(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.transport.abort()

    def close(self, why: str) -> None:
        """Break off whatever is under way; it raises SandboxLost(`why`), as does all that is asked later."""
        self._closed = self._closed or why
        self._idle.clear()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    def request_head(self, method: str, path: str, *more: str) -> bytes:
        """For a request that is spoken by hand, with the token."""
        return "\r\n".join((f"{method} {path} HTTP/1.1", *more, self._head, "")).encode()

    async def _exchange(self, request: bytes) -> dict[str, Any]:
        if self._closed:
            raise ConnectionError(self._closed)
        reader, writer = self._idle.pop() if self._idle else await self.connect()
        try:
            writer.write(request)
            await writer.drain()
            status, headers = await read_head(reader)
            length = int(headers.get("content-length", "-1"))
            if not 0 <= length <= ANSWER_LIMIT:
                raise ConnectionError(f"an answer of {length} bytes")
            answer = json.loads(await reader.readexactly(length))
        except BaseException as error:
            self.drop(writer)
            if isinstance(error, ValueError | asyncio.LimitOverrunError):
                raise ConnectionError(f"it does not speak as an executor does: {error}") from error
            raise
        if headers.get("connection", "").lower() == "close" or self._closed:
            self.drop(writer)
        else:
            self._idle.append((reader, writer))
        if status != 200:
            raise ExecutorRefused(status, str(answer.get("code")), f"{self.name}: {answer.get('error')}")
        assert isinstance(answer, dict)
        return answer


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """(status, headers in lower case). Raises ValueError for what is no HTTP."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(first.split(" ")[1]), headers
