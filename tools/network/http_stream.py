"""What carries the HTTP library's bytes: connections that the guard made."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from safety.addresses import DEFAULT_PORTS
from tools.network.failures import FetchError
from tools.network.proxies import Proxy, connect_to_proxy

if TYPE_CHECKING:
    from httpcore2 import SOCKET_OPTION, AsyncConnectionPool, Request

    from safety.addresses import WebAddress
    from tools.network.guard import Guard


def connection_pool(guard: Guard, scheme: str, proxy: Proxy | None) -> AsyncConnectionPool:
    """Connections for one request, straight and checked, or by way of the proxy that the person set."""
    import httpcore2

    tls = guard.tls if scheme == "https" else None  # making one takes a while
    if proxy is None:
        return httpcore2.AsyncConnectionPool(ssl_context=tls, network_backend=_backend(guard, None))
    if proxy.scheme.startswith("socks") and find_spec("socksio") is None:
        raise FetchError(
            "connect", f"the proxy of your environment is {proxy.scheme}://…: for that, pip install socksio"
        )
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    auth = (proxy.user, proxy.password) if proxy.user else None
    known = httpcore2.Proxy(f"{proxy.scheme}://{host}:{proxy.port}", auth=auth)
    return httpcore2.AsyncConnectionPool(ssl_context=tls, proxy=known, network_backend=_backend(guard, proxy))


def request_for(method: str, address: WebAddress, headers: Mapping[str, str], *, proxied: bool) -> Request:
    """The request as the HTTP library takes it. The URL goes in pieces: read once, it has one meaning."""
    import httpcore2

    # A proxy is told the host as it stands here, and an IPv6 address needs its brackets there.
    host = f"[{address.host}]" if proxied and ":" in address.host else address.host
    port = None if address.port == DEFAULT_PORTS[address.scheme] else address.port
    url = httpcore2.URL(
        scheme=address.scheme.encode(), host=host.encode(), port=port, target=address.target.encode()
    )
    # h11 takes no character outside of latin-1 and no line break: it says so as a protocol error.
    fields = [(b"host", address.authority.encode())]
    fields += [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in headers.items()
    ]
    return httpcore2.Request(method, url, headers=fields, extensions={"sni_hostname": address.host})


def _backend(guard: Guard, proxy: Proxy | None) -> Any:
    import httpcore2

    class Backend(httpcore2.AsyncNetworkBackend):
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[SOCKET_OPTION] | None = None,
        ) -> httpcore2.AsyncNetworkStream:
            if proxy is None:
                return Stream(host, *await guard.open_connection(host, port))
            return Stream(host, *await connect_to_proxy(proxy))

    class Stream(httpcore2.AsyncNetworkStream):
        def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._host, self._reader, self._writer = host, reader, writer

        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            try:
                return await self._reader.read(max_bytes)
            except OSError as error:
                raise httpcore2.ReadError(str(error)) from error

        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            try:
                self._writer.write(buffer)
                await self._writer.drain()
            except OSError as error:
                raise httpcore2.WriteError(str(error)) from error

        async def aclose(self) -> None:
            # Nothing is left to be said, and a server that does not close keeps nobody waiting.
            self._writer.transport.abort()
            await asyncio.sleep(0)

        async def start_tls(
            self,
            ssl_context: ssl.SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,
        ) -> httpcore2.AsyncNetworkStream:
            name = server_hostname or self._host
            try:
                await self._writer.start_tls(ssl_context, server_hostname=name)
            except (ssl.SSLError, OSError) as error:
                await self.aclose()
                from tools.network.tls_faults import explain

                raise FetchError("tls", explain(error, name)) from error
            return self

        def get_extra_info(self, info: str) -> Any:
            return self._reader.at_eof() if info == "is_readable" else self._writer.get_extra_info(info)

    return Backend()
