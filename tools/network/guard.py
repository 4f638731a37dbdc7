"""Connections to the web, each to an address that was checked.

A name is looked up once, every address that it has is checked, and the connection goes to one of those: no
second lookup can say something else in between (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from safety.addresses import (
    NONE_ALLOWED,
    AllowedHosts,
    RefusedAddress,
    read_address,
    why_host_refused,
    why_private,
)
from tools.network.failures import FetchError

if TYPE_CHECKING:
    import ssl

    from tools.surroundings import Surroundings

Lookup: TypeAlias = Callable[[str, int], list[str]]
"""Says which IP addresses a name has. Blocks; raises OSError where there are none."""

LOOKUP_TIME = 8.0
"""Seconds that finding a name may take."""
CONNECT_TIME = 10.0
"""Seconds, once its addresses are known."""
HEAD_START = 0.25
"""Seconds an address has before the next is tried beside it (RFC 8305 calls for 0.1 to 2)."""
MOST_ADDRESSES = 8
"""Addresses of one name that are tried; all are checked."""


def look_up(host: str, port: int) -> list[str]:
    """The addresses of `host` as this machine finds them, best first. Blocks. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Guard:
    """Lets nothing but public addresses, and the hosts a person allowed, be connected to.

    Args:
        allowed: the setting `web.allowed_hosts`.
        environ: where the variables for proxies and certificates are read.
        lookup: how names are found.
        tls: how certificates are checked; None: as this machine does.
    """

    def __init__(
        self,
        allowed: AllowedHosts = NONE_ALLOWED,
        *,
        environ: Mapping[str, str] | None = None,
        lookup: Lookup = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.allowed = allowed
        self.environ: Mapping[str, str] = environ or {}
        self._lookup = lookup
        self._given_tls = tls

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """How certificates are checked. Made at first use: reading the authorities takes a moment."""
        return self._given_tls or _trust(self.environ)

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of `host` (a name, or an address in its usual spelling), all of them checked.

        Raises:
            FetchError: `refused`, `dns` or `timeout`.
        """
        if reason := why_host_refused(host, port, self.allowed):
            raise refusal(host, port, reason)
        addresses = [host] if _is_address(host) else await self._find(host, port)
        if not self.allowed.covers(host, port):
            for address in addresses:
                if reason := why_private(address):
                    raise refusal(host, port, f"{host} leads to {address}: {reason}")
        return addresses

    async def open_connection(
        self, host: str, port: int, timeout: float = CONNECT_TIME
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to one of the checked addresses. `timeout` counts from when they are found.

        Raises:
            FetchError: `refused`, `dns`, `timeout` or `connect`.
        """
        addresses = await self.resolve(host, port)
        try:
            async with asyncio.timeout(timeout):
                return await connect_to_one(addresses[:MOST_ADDRESSES], port)
        except TimeoutError:
            raise FetchError("timeout", f"{host}, port {port}, did not answer for {timeout:g} s") from None
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise FetchError("connect", f"{host}, port {port}, cannot be reached: {reason}") from None

    async def _find(self, host: str, port: int) -> list[str]:
        try:
            async with asyncio.timeout(LOOKUP_TIME):
                addresses = await _in_thread(lambda: self._lookup(host, port))
        except TimeoutError:
            raise FetchError(
                "dns", f"looking up the name {host} took longer than {LOOKUP_TIME:g} s"
            ) from None
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise FetchError("dns", f"no address was found for the name {host}: {reason}") from None
        if not addresses:
            raise FetchError("dns", f"no address was found for the name {host}")
        return addresses


def guard_of(around: Surroundings) -> Guard:
    """The guard that the settings of an agent ask for. Raises SettingsError."""
    return Guard(AllowedHosts(around.settings.web.allowed_hosts), environ=around.environ)


def why_out_of_reach(url: str, around: Surroundings) -> str:
    """Why `url` must not be gone to, by its form alone, with the fix; "" if that is in order.

    Nobody need be asked for a word on such a one. What a name leads to is found out when it is looked up.

    Raises:
        SettingsError: `web.allowed_hosts` cannot be used.
    """
    allowed = AllowedHosts(around.settings.web.allowed_hosts)
    try:
        address = read_address(url)
    except RefusedAddress as refused:
        return str(refused)
    reason = why_host_refused(address.host, address.port, allowed)
    return str(refusal(address.host, address.port, reason)) if reason else ""


def refusal(host: str, port: int, reason: str) -> FetchError:
    shown = f"[{host}]" if ":" in host else host
    entry = host if port in (80, 443) else f"{shown}:{port}"
    return FetchError(
        "refused",
        f"{reason}. Only public addresses may be reached, unless a person adds {entry} to web.allowed_hosts",
    )


async def connect_to_one(
    addresses: list[str], port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first of `addresses` that takes it; each has a head start before the next.

    Raises:
        OSError: none takes it; told is the first one's reason.
    """
    waiting = list(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.ensure_future(_connect(waiting.pop(0), port)))
            patience = HEAD_START if waiting else None
            await asyncio.wait(trying, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in trying if task.done()]:
                trying.discard(task)
                try:
                    connected = task.result()
                except OSError as error:
                    errors.append(error)
                else:
                    return await asyncio.open_connection(sock=connected)
    finally:
        for task in trying:
            task.add_done_callback(_close_late)
            task.cancel()
    raise errors[0] if errors else OSError("there is no address")


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, (address, port))
    except BaseException:
        connecting.close()
        raise
    return connecting


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    """Two may have answered at the same moment, and one is enough."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _in_thread(ask: Callable[[], list[str]]) -> list[str]:
    """`ask` in a thread that nothing waits for at the end: a name server may be silent for minutes."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def run() -> None:
        try:
            addresses, error = ask(), None
        except Exception as failed:  # noqa: BLE001 - goes to whoever waits
            addresses, error = [], failed
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, answer, addresses, error)

    threading.Thread(target=run, daemon=True, name="name lookup").start()
    return await answer


def _settle(answer: asyncio.Future[list[str]], addresses: list[str], error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(addresses)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    import ssl

    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if file or folder:
        try:
            return ssl.create_default_context(cafile=file or None, capath=folder or None)
        except OSError as error:
            where = f"SSL_CERT_FILE or SSL_CERT_DIR ({file or folder})"
            raise FetchError("tls", f"the certificates of {where} cannot be read: {error}") from None
    import httpcore2

    return httpcore2.default_ssl_context()
