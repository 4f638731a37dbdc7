"""An HTTP proxy on loopback, so that a browser reaches nothing but what the guard lets through.

It is for the user it runs as: where the system tells who has connected (Linux), others are turned away, who
could go out under that user's name by way of the proxy of the environment. Elsewhere whoever is on the
machine can use it while it runs. Web pages cannot speak to it as to a proxy.
"""

from __future__ import annotations

import asyncio
import html
import logging
import os
import re
from typing import TYPE_CHECKING, TypeAlias

from safety.addresses import RefusedAddress, WebAddress, read_address, why_host_refused
from tools.network.failures import FetchError
from tools.network.forwarding import ClientLeft, Forwarding, Peer
from tools.network.guard import Guard, refusal
from tools.network.loopback_peer import peer_uid
from tools.network.proxies import Proxy, connect_to_proxy, proxy_for, tunnel_through
from tools.network.splice import finish, splice

if TYPE_CHECKING:
    import h11

log = logging.getLogger("hermes.network")

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEAD_TIME = 30.0
"""Seconds a client has to say what it wants."""
IDLE = 600.0
"""Seconds after which a connection on which nothing moves is closed."""
MOST_CONNECTIONS = 256
_HEAD_SIZE = 262_144
_REMEMBERED = 50
"""Refusals; a browser adds some of its own, for what it reports home and looks up."""
_STATUS = {"refused": 403, "timeout": 504}


class FilteringProxy:
    """Tunnels (CONNECT) for https and WebSockets, and plain http requests, each to a checked address."""

    def __init__(self, guard: Guard, *, idle: float = IDLE) -> None:
        self._guard = guard
        self._idle = idle
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._refused: dict[str, str] = {}

    @property
    def refused(self) -> list[str]:
        """Where no connection was made, the last at the end, each once as "HOST:PORT: reason"."""
        return [f"{goal}: {reason}" for goal, reason in self._refused.items()]

    def reason_for(self, url: str) -> str:
        """Why the host of `url` was not reached the last time, "" if it was not tried or not refused."""
        try:
            address = read_address(url)
        except RefusedAddress as refused:
            return str(refused)
        return self._refused.get(f"{address.host}:{address.port}", "")

    async def start(self) -> str:
        """Begins to listen, in the running loop; gives its URL, http://127.0.0.1:PORT."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def aclose(self) -> None:
        """Stops listening and ends every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11

        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        client = Peer(reader, writer, h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_SIZE))
        try:
            async with asyncio.timeout(HEAD_TIME):
                request = await client.next_event()
            if isinstance(request, h11.Request):
                await self._answer(client, request)
                await finish(writer)
        except asyncio.CancelledError:
            pass  # by aclose, which waits for the end of this task
        except (h11.ProtocolError, OSError) as error:
            log.debug("a connection ended early: %r", error)
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _answer(self, client: Peer, request: h11.Request) -> None:
        import h11

        goal = request.target.decode("latin-1")[:300]
        try:
            if _is_foreign(client.writer):
                raise FetchError("refused", "this proxy belongs to another user of this machine")
            if len(self._serving) > MOST_CONNECTIONS:
                raise FetchError("connect", f"more than {MOST_CONNECTIONS} connections at the same time")
            address = _goal(request)
            goal = f"{address.host}:{address.port}"
            if request.method == b"CONNECT":
                await self._tunnel(client, address)
            else:
                await self._forward(client, request, address)
        except FetchError as error:
            self._refused.pop(goal, None)
            self._refused[goal] = str(error)
            if len(self._refused) > _REMEMBERED:
                del self._refused[next(iter(self._refused))]
            if client.state.our_state is h11.SEND_RESPONSE:
                await _say(client, error)

    async def _tunnel(self, client: Peer, address: WebAddress) -> None:
        import h11

        proxy = self._proxy_for(address)
        reader, writer = await self._connect(address, proxy)
        try:
            if proxy is not None:
                await tunnel_through(proxy, reader, writer, address)
            await client.next_event()  # the end of the request; what follows belongs to the tunnel
            await client.send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
            writer.write(client.state.trailing_data[0])
            await splice((client.reader, client.writer), (reader, writer), self._idle)
            await finish(writer)
        finally:
            writer.transport.abort()

    async def _forward(self, client: Peer, request: h11.Request, address: WebAddress) -> None:
        import h11

        proxy = self._proxy_for(address)
        reader, writer = await self._connect(address, proxy)
        target, extra = _of_server(request.target), list[tuple[bytes, bytes]]()
        if proxy is not None:
            target, extra = request.target, proxy.login()
        try:
            origin = Peer(reader, writer, h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_SIZE))
            await Forwarding(client, origin, self._idle).run(
                request, target, address.authority.encode(), extra
            )
        except ClientLeft:
            return
        except (h11.ProtocolError, OSError) as error:
            if client.state.our_state is not h11.SEND_RESPONSE:
                raise  # a part of an answer has gone out: all that can be said is that it ends
            reason = str(error) or type(error).__name__
            raise FetchError("protocol", f"{address.host} gave no answer: {reason}") from error
        finally:
            writer.transport.abort()

    def _proxy_for(self, address: WebAddress) -> Proxy | None:
        if reason := why_host_refused(address.host, address.port, self._guard.allowed):
            raise refusal(address.host, address.port, reason)
        return proxy_for(address, self._guard.environ)

    async def _connect(self, address: WebAddress, proxy: Proxy | None) -> Streams:
        if proxy is None:
            return await self._guard.open_connection(address.host, address.port)
        if proxy.scheme != "http":
            raise FetchError("connect", f"a browser cannot go through a proxy of the kind {proxy.scheme}://")
        return await connect_to_proxy(proxy)


def _is_foreign(writer: asyncio.StreamWriter) -> bool:
    peer, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    uid = peer_uid(peer[:2], own[:2]) if peer and own else None
    return uid is not None and uid != os.getuid()


def _goal(request: h11.Request) -> WebAddress:
    """Where a request wants to go. Raises FetchError where that cannot be told."""
    target = request.target.decode("latin-1")
    if request.method == b"CONNECT":
        scheme, form = "https", re.fullmatch(r"(?P<authority>[^/?#@]+:[0-9]+)", target)
    else:
        scheme, form = "http", re.match(r"http://(?P<authority>[^/?#]*)", target, re.IGNORECASE)
    if not form:
        raise FetchError("protocol", "this is a proxy, and was not asked as one")
    try:
        return read_address(f"{scheme}://{form['authority']}")
    except RefusedAddress as error:
        raise FetchError("refused", str(error)) from None


def _of_server(target: bytes) -> bytes:
    """What stands behind the host in an absolute address: what the server itself is told."""
    path = re.sub(rb"\Ahttp://[^/?#]*", b"", target, flags=re.IGNORECASE)
    return path if path.startswith(b"/") else b"/" + path


async def _say(client: Peer, error: FetchError) -> None:
    import h11

    page = (
        f"<!doctype html><title>Not reached</title><p>hermes did not connect: {html.escape(str(error))}.</p>"
    )
    body = page.encode()
    headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    await client.send(h11.Response(status_code=_STATUS.get(error.kind, 502), headers=headers))
    await client.send(h11.Data(data=body))
    await client.send(h11.EndOfMessage())
