"""Connections to the web, each to an address that was checked.

A name is looked up once, every address that it has is checked, and the connection goes to one of those: no
second lookup can say something else in between (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from safety.addresses import NONE_ALLOWED, AllowedHosts, why_host_refused, why_private
from tools.network.failures import FetchError

if TYPE_CHECKING:
    import ssl

Lookup: TypeAlias = Callable[[str, int], list[str]]
"""Says which IP addresses a name has. Blocks; raises OSError where there are none."""
T = TypeVar("T")

LOOKUP_TIME = 10.0
"""Seconds that finding a name may take."""
CONNECT_TIME = 15.0
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
            raise refusal(host, reason)
        addresses = [host] if _is_address(host) else await self._find(host, port)
        if not self.allowed.covers(host, port):
            for address in addresses:
                if reason := why_private(address):
                    raise refusal(host, f"{host} leads to {address}: {reason}")
        return addresses

    async def open_connection(
        self, host: str, port: int, timeout: float = CONNECT_TIME
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to one of the checked addresses.

        Raises:
            FetchError: `refused`, `dns`, `timeout` or `connect`.
        """

        def connect(address: str) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
            return asyncio.open_connection(address, port)

        return await self.connect_with(connect, host, port, timeout)

    async def connect_with(
        self, connect: Callable[[str], Awaitable[T]], host: str, port: int, timeout: float
    ) -> T:
        """What `connect` gives for the first checked address of `host` that takes a connection.

        Raises:
            FetchError: as `open_connection` does.
        """
        addresses = await self.resolve(host, port)
        try:
            async with asyncio.timeout(timeout):
                return await first_of(connect, addresses[:MOST_ADDRESSES])
        except TimeoutError:
            raise FetchError("timeout", f"{host}, port {port}, did not answer for {timeout:g} s") from None
        except OSError as error:
            reason = error.strerror or str(error)
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


def refusal(host: str, reason: str) -> FetchError:
    return FetchError(
        "refused",
        f"{reason}. Only public addresses may be reached, unless the person adds {host} to web.allowed_hosts",
    )


async def first_of(connect: Callable[[str], Awaitable[T]], addresses: list[str]) -> T:
    """What `connect` gives for the first of `addresses` that takes it; each has a head start before the next.

    Raises:
        OSError: none takes it; told is the first one's reason.
    """
    waiting = list(addresses)
    trying: dict[asyncio.Task[T], None] = {}
    errors: list[OSError] = []
    try:
        while waiting or trying:
            if waiting:
                trying[asyncio.ensure_future(_begin(connect, waiting.pop(0)))] = None
            patience = HEAD_START if waiting else None
            done, _ = await asyncio.wait(trying, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del trying[task]
                if task.cancelled():
                    raise asyncio.CancelledError
                error = task.exception()
                if error is None:
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                errors.append(error)
    finally:
        for task in trying:
            task.cancel()
    raise errors[0] if errors else OSError("there is no address")


async def _begin(connect: Callable[[str], Awaitable[T]], address: str) -> T:
    return await connect(address)


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
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    import httpcore2

    return httpcore2.default_ssl_context()
