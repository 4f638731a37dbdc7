"""The proxy that an environment names for an address."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from safety.addresses import WebAddress
from tools.network.failures import FetchError


@dataclass(frozen=True, slots=True)
class Proxy:
    """`scheme`: http, https, socks5 or socks5h."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    def login(self) -> list[tuple[bytes, bytes]]:
        """The header by which the proxy knows who asks; none without a user."""
        if not self.user:
            return []
        pair = b64encode(f"{self.user}:{self.password}".encode())
        return [(b"proxy-authorization", b"Basic " + pair)]


_PATIENCE = 15.0
"""Seconds a proxy has to answer."""
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def proxy_for(address: WebAddress, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy of HTTP_PROXY or HTTPS_PROXY, else ALL_PROXY, unless NO_PROXY names the host; None: straight.

    Lower-case names count first, as for curl. An address of this machine is never asked of a proxy.

    Raises:
        FetchError: the variable holds no proxy's URL.
    """
    if address.host == "localhost" or (address.ip is not None and address.ip.is_loopback):
        return None
    variable, spelled = _setting(address.scheme, environ)
    if not spelled or _is_exempt(address, _read(environ, "no_proxy")):
        return None
    try:
        parts = urlsplit(spelled if "://" in spelled else f"http://{spelled}")
        port = parts.port
    except ValueError:
        raise _unusable(variable) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _unusable(variable)
    return Proxy(
        parts.scheme,
        parts.hostname,
        port or _PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


async def connect_to_proxy(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A person set it, so it may be anywhere. Raises FetchError where it does not answer."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await asyncio.open_connection(proxy.host, proxy.port)
    except (TimeoutError, OSError) as error:
        where, reason = f"{proxy.host}:{proxy.port}", str(error) or "no answer"
        raise FetchError(
            "connect", f"the proxy {where} of your environment cannot be reached: {reason}"
        ) from None


async def tunnel_through(
    proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: WebAddress
) -> None:
    """Has `proxy`, connected, join the connection to `address`. Raises FetchError where it does not."""
    where = f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"
    login = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in proxy.login())
    try:
        async with asyncio.timeout(_PATIENCE):
            writer.write(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n{login}\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise FetchError("connect", f"the proxy of your environment gave no answer for {where}") from None
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if not re.match(r"HTTP/1\.[01] 2[0-9][0-9]\b", status):
        raise FetchError("connect", f"the proxy of your environment refused {where}: {status[9:100]}")


def _unusable(variable: str) -> FetchError:
    return FetchError("connect", f"{variable} holds no URL of a proxy, as http://HOST:PORT")


def _setting(scheme: str, environ: Mapping[str, str]) -> tuple[str, str]:
    for name in (f"{scheme}_proxy", "all_proxy"):
        if value := _read(environ, name):
            return name.upper(), value
    return "", ""


def _read(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _is_exempt(address: WebAddress, no_proxy: str) -> bool:
    """`no_proxy`: names with all that lies under them, addresses, networks (10.0.0.0/8), or *."""
    for entry in no_proxy.replace(",", " ").split():
        entry, _, port = entry.lower().partition(":") if entry.count(":") == 1 else (entry.lower(), "", "")
        if port and port != str(address.port):
            continue
        if entry == "*" or _is_under(address.host, entry.removeprefix("*").strip(".")):
            return True
        if address.ip is not None and _is_in_network(address, entry):
            return True
    return False


def _is_under(host: str, name: str) -> bool:
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_in_network(address: WebAddress, entry: str) -> bool:
    from ipaddress import ip_network

    try:
        return address.ip in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
