"""One page of the web: asked for, followed over redirects, read up to a limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin

from configuration.version import VERSION
from safety.addresses import RefusedAddress, WebAddress, read_address, why_host_refused
from tools.network.cookies import Cookies
from tools.network.failures import FetchError
from tools.network.guard import Guard, refusal
from tools.network.proxies import Proxy, proxy_for
from tools.network.unpacking import ASKED_FOR, PIECE, Unpacker

if TYPE_CHECKING:
    from httpcore2 import AsyncConnectionPool, Response

__all__ = ["FetchError", "Fetched", "Limits", "fetch"]

PROGRESS = 1_024
"""Bytes of a body, as they come over the wire, that have to arrive within `Limits.stall`."""
HEADERS = {
    "user-agent": f"Mozilla/5.0 (compatible; hermes-agent/{VERSION})",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en;q=0.9,*;q=0.5",
}
"""What is sent where the caller does not say otherwise. Only these go to another host on a redirect."""
_OURS = {"host", "connection", "accept-encoding", "content-length", "transfer-encoding", "te", "upgrade"}
_MOVED = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one fetch may take, all redirects together.

    Seconds: `timeout` from beginning to end; `first_byte` from looking up a name until the head of the answer
    is complete; `stall` within which at least `PROGRESS` bytes of a body have to come. `max_bytes`: of a
    body, packed and unpacked.
    """

    max_bytes: int = 10_000_000
    timeout: float = 30.0
    first_byte: float = 15.0
    stall: float = 10.0
    redirects: int = 10


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `url` is where it came from in the end, `redirects` the addresses before that.

    `headers` have lower-case names. `body` is unpacked; `cut` says why it ends early, "" where it is whole.
    `downgraded`: a redirect led from https to http.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    cut: str = ""
    redirects: list[str] = field(default_factory=list)
    downgraded: bool = False

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def truncated(self) -> bool:
        return bool(self.cut)


async def fetch(
    url: str,
    *,
    guard: Guard,
    limits: Limits = Limits(),
    method: Literal["GET", "HEAD"] = "GET",
    headers: Mapping[str, str] | None = None,
    whole: bool = False,
) -> Fetched:
    """Asks for `url`. An answer is one whatever its status; look at `status`.

    `headers` are sent besides `HEADERS`, to the host of `url` alone. With `whole` a body that cannot be had
    whole is an error; without, what came of it is given with the reason in `cut`.

    Raises:
        FetchError: nothing usable came.
    """
    sent = {**HEADERS, **{name.lower(): value for name, value in (headers or {}).items()}}
    visit = _Visit(guard, limits, method, {name: sent[name] for name in sent if name not in _OURS})
    address = _checked(url, guard)
    while True:
        async with visit.answer(address) as response:
            location = _header(response, b"location")
            if response.status not in _MOVED or not location:
                return await visit.read(address, response, whole)
        address = visit.follow(address, location)


class _Visit:
    """One fetch: where it has been, what it sends, how much time is left."""

    def __init__(self, guard: Guard, limits: Limits, method: str, headers: dict[str, str]) -> None:
        self._guard = guard
        self._limits = limits
        self._method = method
        self._headers = headers
        self._cookies = Cookies()
        self._deadline = monotonic() + limits.timeout
        self._seen: list[str] = []
        self._states: set[tuple[str, str]] = set()
        self._downgraded = False

    @asynccontextmanager
    async def answer(self, address: WebAddress) -> AsyncIterator[Response]:
        """The head of the answer of `address`, its body still to be read."""
        from tools.network.http_stream import connection_pool

        proxy = proxy_for(address, self._guard.environ)
        pool = connection_pool(self._guard, address.scheme, proxy)
        try:
            response = await self._ask(pool, address, proxy)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await pool.aclose()

    async def _ask(self, pool: AsyncConnectionPool, address: WebAddress, proxy: Proxy | None) -> Response:
        import httpcore2

        from tools.network.http_stream import request_for

        cookies = self._cookies.header(address.url)
        self._states.add((address.url, cookies))
        headers = {**self._headers, "accept-encoding": ASKED_FOR} | ({"cookie": cookies} if cookies else {})
        request = request_for(self._method, address, headers, proxied=proxy is not None)
        patience = min(self._limits.first_byte, self._deadline - monotonic())
        try:
            async with asyncio.timeout(patience):
                response = await pool.handle_async_request(request)
        except TimeoutError:
            limit = min(self._limits.first_byte, self._limits.timeout)
            raise FetchError("timeout", f"{address.host} gave no answer within {limit:g} s") from None
        except httpcore2.ProxyError as error:
            raise FetchError("connect", f"the proxy of your environment refused: {error}") from None
        except httpcore2.NetworkError as error:
            reason = str(error) or "it was closed"
            raise FetchError("connect", f"the connection to {address.host} broke: {reason}") from None
        except httpcore2.LocalProtocolError as error:
            raise FetchError("protocol", f"the request cannot be sent: {error}") from None
        except httpcore2.ProtocolError as error:
            raise FetchError(
                "protocol", f"{address.host} did not answer as a web server does: {error}"
            ) from None
        self._cookies.note(address.url, _all_headers(response, b"set-cookie"))
        return response

    def follow(self, address: WebAddress, location: str) -> WebAddress:
        """The address that a redirect at `address` leads to."""
        self._seen.append(address.url)
        if len(self._seen) > self._limits.redirects:
            raise FetchError(
                "redirects", f"{self._seen[0]} redirects more than {self._limits.redirects} times"
            )
        try:
            goal = urljoin(address.url, location.strip().replace(" ", "%20"))
        except ValueError:
            goal = location
        there = _checked(goal, self._guard, f"{address.url} redirects to {location[:200]!r}: ")
        if (there.url, self._cookies.header(there.url)) in self._states:
            circle = " → ".join([*self._seen[-3:], there.url])
            raise FetchError("redirects", f"the redirects go in a circle: {circle}")
        if address.scheme == "https" and there.scheme == "http":
            self._downgraded = True
        if (address.scheme, address.host, address.port) != (there.scheme, there.host, there.port):
            self._headers = {name: self._headers[name] for name in HEADERS if name in self._headers}
        return there

    async def read(self, address: WebAddress, response: Response, whole: bool) -> Fetched:
        body, cut = b"", ""
        if self._method != "HEAD" and response.status not in (204, 304):
            body, cut = await self._read_body(address, response, whole)
        headers: dict[str, str] = {}
        for name, value in response.headers:
            key = name.decode("latin-1").lower()
            text = _text(value)
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return Fetched(
            address.url, response.status, headers, body, cut, self._seen, downgraded=self._downgraded
        )

    async def _read_body(self, address: WebAddress, response: Response, whole: bool) -> tuple[bytes, str]:
        body = _Body(self._limits.max_bytes)
        try:
            await self._collect(body, response)
            return bytes(body.bytes), ""
        except FetchError as error:
            if whole or not body.bytes:
                raise FetchError(error.kind, f"{address.url}: {error}") from None
            return bytes(body.bytes), str(error)

    async def _collect(self, body: _Body, response: Response) -> None:
        """Reads into `body`. Raises FetchError where it cannot be read to its end."""
        import httpcore2

        unpacker = Unpacker(",".join(_all_headers(response, b"content-encoding")))
        since, fresh = monotonic(), 0
        chunks = response.aiter_stream()
        while True:
            slow_at = since + self._limits.stall
            try:
                async with asyncio.timeout(max(0.0, min(slow_at, self._deadline) - monotonic())):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                if monotonic() >= self._deadline:
                    raise FetchError("timeout", f"it took longer than {self._limits.timeout:g} s") from None
                raise FetchError(
                    "timeout", f"the server sent next to nothing for {self._limits.stall:g} s"
                ) from None
            except httpcore2.ProtocolError:
                raise FetchError("protocol", "the page breaks off before its end") from None
            except httpcore2.NetworkError:
                raise FetchError("connect", "the connection broke in the middle of the page") from None
            if chunk is None:
                break
            body.count(len(chunk))
            for piece in unpacker.feed(chunk):
                body.add(piece)
            fresh += len(chunk)
            if fresh >= PROGRESS:
                since, fresh = monotonic(), 0
        if not unpacker.complete:
            raise FetchError("protocol", "the packed page ends early")


class _Body:
    """What came of a body, and no more than may."""

    def __init__(self, limit: int) -> None:
        self.bytes = bytearray()
        self._limit = limit
        self._received = 0

    def count(self, received: int) -> None:
        """So much came over the wire: there are ways to send for ever what unpacks to nothing."""
        self._received += received
        if self._received > self._limit + PIECE:
            raise self._too_large()

    def add(self, piece: bytes) -> None:
        room = self._limit - len(self.bytes)
        self.bytes += piece[:room]
        if len(piece) > room:
            raise self._too_large()

    def _too_large(self) -> FetchError:
        return FetchError("too_large", f"it is larger than {self._limit:,} bytes")


def _checked(url: str, guard: Guard, before: str = "") -> WebAddress:
    try:
        address = read_address(url)
    except RefusedAddress as error:
        raise FetchError("refused", f"{before}{error}") from None
    if reason := why_host_refused(address.host, address.port, guard.allowed):
        raise refusal(address.host, address.port, before + reason)
    return address


def _header(response: Response, name: bytes) -> str:
    return next((_text(value) for key, value in response.headers if key.lower() == name), "")


def _all_headers(response: Response, name: bytes) -> list[str]:
    return [_text(value) for key, value in response.headers if key.lower() == name]


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
