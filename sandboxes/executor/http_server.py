"""A small HTTP/1.1 server for programs that know the token: JSON in, JSON out, connections kept open.

It is no server for browsers and refuses them: a page that a person looks at must not reach it by any name.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sandboxes.executor.execution_log import Refused

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 32 * 1024 * 1024
"""Bytes. A file of 16 MiB fits in base64."""
HEAD_SECONDS = 10.0
BODY_SECONDS = 60.0
"""How long a caller may take to send them, from its first byte on."""
IDLE_SECONDS = 600.0
CONNECTIONS = 1024
SHORTEST_TOKEN = 16
_REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 409: "Conflict", 410: "Gone", 411: "Length Required", 413: "Content Too Large",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """Raises Refused unless the body is a JSON object."""
        try:
            found = json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise Refused(400, "bad_json", f"the body is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise Refused(400, "bad_json", "the body has to be a JSON object")
        return found


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[Request], Awaitable[dict[str, Any]]]
Upgrade = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class HttpServer:
    """
    Args:
        handle: answers a request; may raise Refused.
        upgrade: takes over a connection that asks for it with an `Upgrade` header.
        token: what each request must carry as `Authorization: Bearer …`.
    """

    def __init__(self, handle: Handler, upgrade: Upgrade, token: str) -> None:
        if len(token) < SHORTEST_TOKEN:
            raise ValueError(f"the token has to be {SHORTEST_TOKEN} characters or longer")
        self._handle = handle
        self._upgrade = upgrade
        self._token = token.encode()
        self._open: set[asyncio.StreamWriter] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For `asyncio.start_server(…, limit=HEAD_LIMIT)`."""
        self._open.add(writer)
        try:
            if len(self._open) > CONNECTIONS:
                self._answer(writer, 503, {"error": "too many connections", "code": "busy"}, keep=False)
            else:
                while await self._exchange(reader, writer):
                    pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller has gone
        finally:
            self._open.discard(writer)
            writer.close()

    def close(self) -> None:
        """Break off every connection."""
        for writer in self._open:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; True if the connection may be used for another."""
        request = None
        try:
            request = await self._read_head(reader, writer)
            if request.headers.get("upgrade") is not None:
                await self._upgrade(request, reader, writer)
                return False
            request.body = await self._read_body(request, reader, writer)
            answer = await self._handle(request)
        except Refused as refused:
            # Of a request whose body was not read the next bytes are no request.
            keep = request is not None and (
                request.body != b"" or request.headers.get("content-length") in ("0", None)
            )
            self._answer(writer, refused.status, {"error": str(refused), "code": refused.code}, keep=keep)
            await writer.drain()
            return keep
        self._answer(writer, 200, answer)
        await writer.drain()
        return request.headers.get("connection", "").lower() != "close"

    async def _read_head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        loop = asyncio.get_running_loop()
        give_up = loop.call_later(IDLE_SECONDS, writer.transport.abort)
        try:
            first = await reader.readexactly(1)
            give_up.cancel()
            give_up = loop.call_later(HEAD_SECONDS, writer.transport.abort)
            head = first + await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Refused(431, "head_too_large", f"more than {HEAD_LIMIT} bytes of headers") from None
        finally:
            give_up.cancel()
        request = _parse(head)
        self._admit(request)
        return request

    def _admit(self, request: Request) -> None:
        """Raises Refused for a browser, and for whoever does not know the token."""
        headers = request.headers
        if "origin" in headers or "sec-fetch-site" in headers or not _is_address(headers.get("host", "")):
            raise Refused(403, "no_browsers", "this is no server for browsers; ask it by its address")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise Refused(401, "unauthorized", "the bearer token is missing or wrong")

    async def _read_body(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        if "transfer-encoding" in request.headers:
            raise Refused(501, "no_chunks", "send the body with Content-Length")
        length = request.headers.get("content-length", "0" if request.method == "GET" else "")
        if not (length.isascii() and length.isdigit()):
            raise Refused(411, "length_required", "send Content-Length")
        if int(length) > BODY_LIMIT:
            raise Refused(413, "too_large", f"{length} bytes; {BODY_LIMIT} are the most")
        if length == "0":
            return b""
        give_up = asyncio.get_running_loop().call_later(BODY_SECONDS, writer.transport.abort)
        try:
            return await reader.readexactly(int(length))
        finally:
            give_up.cancel()

    def _answer(
        self, writer: asyncio.StreamWriter, status: int, answer: dict[str, Any], *, keep: bool = True
    ) -> None:
        body = json.dumps(answer).encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        writer.write(head.encode() + body)


def _parse(head: bytes) -> Request:
    lines = head.decode("latin-1").split("\r\n")[:-2]
    try:
        method, path, version = lines[0].split(" ")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip() or name.lower() in headers:
                raise ValueError(line)
            headers[name.lower()] = value.strip()
    except ValueError:
        raise Refused(400, "bad_request", "that is no HTTP/1.1 request") from None
    if version != "HTTP/1.1":
        raise Refused(400, "bad_request", "only HTTP/1.1 is spoken here")
    return Request(method, path, headers)


def _is_address(host: str) -> bool:
    """Whether a Host header names a number or this machine: a page can make no other name lead here."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
