"""Which web addresses a tool may go to: rules alone, nothing is looked up and nothing is connected to.

A public address may be reached. What lies on this machine, in a network of one's own or at the place a
cloud hands out its keys may not, in whatever spelling, unless a person named the host.

Sources: the IANA registries of special-purpose addresses (IPv4 and IPv6), the URL Standard of WHATWG for how
hosts are spelled and for numeric forms of IPv4, the documentation of the clouds for their metadata services.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import quote

from configuration.home import SettingsError

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_WEB_PORTS = {
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513,
    514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719,
    1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
    6697, 10080,
}  # fmt: skip
"""Other protocols live there, and some take a request for commands ("bad ports" of the Fetch Standard)."""
LONGEST_URL = 8_000
"""Characters; servers and browsers take about as many."""

_CLOUD = "the metadata service of a cloud"
# The first that fits decides, so the narrow ones come first.
_REFUSED_V4 = f"""
169.254.169.254/32  {_CLOUD}
169.254.170.0/24    {_CLOUD}
100.100.100.200/32  {_CLOUD}
168.63.129.16/32    {_CLOUD}
192.0.0.192/32      {_CLOUD}
0.0.0.0/8           this machine itself
127.0.0.0/8         this machine itself
10.0.0.0/8          a private network
172.16.0.0/12       a private network
192.168.0.0/16      a private network
100.64.0.0/10       a provider's inner network
169.254.0.0/16      a link-local address
192.0.0.0/24        a reserved range
192.0.2.0/24        a range for documentation
198.51.100.0/24     a range for documentation
203.0.113.0/24      a range for documentation
198.18.0.0/15       a range for benchmarks
192.88.99.0/24      a reserved range
224.0.0.0/4         a multicast address
240.0.0.0/4         a reserved range
"""
_REFUSED_V6 = f"""
fd00:ec2::254/128   {_CLOUD}
fd20:ce::254/128    {_CLOUD}
::/128              this machine itself
::1/128             this machine itself
fc00::/7            a private network
fe80::/10           a link-local address
fec0::/10           a private network
ff00::/8            a multicast address
64:ff9b:1::/48      a private network
2001:db8::/32       a range for documentation
3fff::/20           a range for documentation
2001:2::/48         a range for benchmarks
100::/64            a reserved range
100:0:0:1::/64      a reserved range
2001::/23           a reserved range
"""
_GLOBAL_V6 = IPv6Network("2000::/3")
"""The only part of IPv6 that is given out to the public so far."""
_CARRIES_V4 = ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96")
"""IPv4 in the last 32 bits: mapped, translated (RFC 2765), compatible, NAT64."""


class RefusedAddress(ValueError):
    """A URL that is not one, or must not be gone to. Its text says why, in half a sentence."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A URL in one spelling only.

    `host` is ASCII in lower case without a final dot or brackets, a numeric one in its usual form; `target`
    is path and query as a request spells them; `ip` is set where the host is an address and no name.
    """

    scheme: str
    host: str
    port: int
    target: str
    ip: IPAddress | None = None

    @property
    def authority(self) -> str:
        """Host and port as a header spells them: a default port is left out."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == DEFAULT_PORTS[self.scheme] else f"{shown}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


class AllowedHosts:
    """Hosts that a person named in `web.allowed_hosts`: they may lead to private addresses.

    Args:
        entries: NAME, NAME:PORT, an IP address, or one with a port ([::1]:8080). Without a port: any.

    Raises:
        SettingsError: an entry is none of these.
    """

    def __init__(self, entries: Sequence[str] = ()) -> None:
        self._hosts: set[tuple[str, int]] = set()
        for entry in entries:
            try:
                self._hosts.add(_read_entry(entry))
            except RefusedAddress as refusal:
                raise SettingsError(
                    f"web.allowed_hosts: {entry!r} cannot be used: {refusal}. Write NAME or NAME:PORT"
                ) from None

    def covers(self, host: str, port: int) -> bool:
        """Whether `host`, as `WebAddress` spells it, was named for `port`."""
        return self.names(host, port) or (host, 0) in self._hosts

    def names(self, host: str, port: int) -> bool:
        """Whether just this port of `host` was named."""
        return (host, port) in self._hosts


NONE_ALLOWED = AllowedHosts()


def why_refused(url: str, allowed: AllowedHosts = NONE_ALLOWED) -> str:
    """Why `url` must not be gone to, by its form alone; "" if that is in order.

    A name that leads to a private address is found out when it is looked up, not here.
    """
    try:
        check_address(read_address(url), allowed)
    except RefusedAddress as refusal:
        return str(refusal)
    return ""


def check_address(address: WebAddress, allowed: AllowedHosts = NONE_ALLOWED) -> None:
    """Raises RefusedAddress where `address` must not be gone to for certain, and its host is not allowed."""
    if reason := why_host_refused(address.host, address.port, allowed):
        raise RefusedAddress(reason)


def why_host_refused(host: str, port: int, allowed: AllowedHosts = NONE_ALLOWED) -> str:
    """Why `host`, a name or an address in its usual form, must not be connected to, whatever it leads to."""
    if port in _NO_WEB_PORTS and not allowed.names(host, port):
        return f"port {port} is not one of the web"
    if allowed.covers(host, port):
        return ""
    if host == "localhost" or host.endswith(".localhost"):
        return f"{host} is this machine itself"
    if host in ("metadata.google.internal", "metadata.goog"):
        return f"{host} is {_CLOUD}"
    try:
        ip = ip_address(host)
    except ValueError:
        return ""
    reason = why_private(ip)
    return f"{host} is {reason}" if reason else ""


def why_private(ip: IPAddress | str) -> str:
    """What kind of non-public address `ip` is ("a private network"), "" for a public one.

    An IPv6 address that carries one of IPv4 is as private as that one.

    Raises:
        ValueError: `ip` is no address.
    """
    if isinstance(ip, str):
        ip = ip_address(ip.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return next((reason for network, reason in _table(_REFUSED_V4) if ip in network), "")
    ip = IPv6Address(int(ip))  # without its zone
    carried = _carried(ip)
    for inner in carried:
        if reason := why_private(inner):
            return f"{reason} ({inner}, written as IPv6)"
    if carried:
        return ""
    if reason := next((reason for network, reason in _table(_REFUSED_V6) if ip in network), ""):
        return reason
    return "" if ip in _GLOBAL_V6 else "a reserved range"


def read_address(url: str) -> WebAddress:
    """The address that `url` spells. What browsers repair silently is refused, but for white space around it.

    Raises:
        RefusedAddress: it is no http or https URL that has one meaning only.
    """
    url = url.strip(" \t\r\n\f")
    if not url:
        raise RefusedAddress("there is no URL")
    if len(url) > LONGEST_URL:
        raise RefusedAddress(f"the URL is longer than {LONGEST_URL} characters")
    if "\\" in url:
        raise RefusedAddress("the URL holds a backslash")
    if _BLANK.search(url):
        raise RefusedAddress("the URL holds white space or control characters")
    if not (parts := _URL.fullmatch(url)):
        raise RefusedAddress("the URL is not of the form http://HOST/… or https://HOST/…")
    scheme = parts["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise RefusedAddress(f"{scheme[:20]}: addresses are not allowed, only http and https")
    authority = parts["authority"]
    if authority is None:
        raise RefusedAddress("the URL is not of the form http://HOST/… or https://HOST/…")
    if "@" in authority:
        raise RefusedAddress("the URL holds a user name or password")
    host, port = _split_port(authority)
    name, ip = read_host(host)
    target = quote(parts["target"] or "", safe=_KEPT_IN_TARGET)
    if not target.startswith("/"):
        target = "/" + target
    return WebAddress(scheme, name, DEFAULT_PORTS[scheme] if port is None else port, target, ip)


def read_host(host: str) -> tuple[str, IPAddress | None]:
    """`host` in its usual spelling, and as an address if it is one. An IPv6 address stands in brackets.

    Raises:
        RefusedAddress: it is neither a name nor an address.
    """
    if not host:
        raise RefusedAddress("the URL has no host")
    if host.startswith("["):
        return _read_ipv6(host)
    if not host.isascii():
        host = _to_ascii(host)
    host = host.lower().removesuffix(".")
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise RefusedAddress(f"{host[:80]!r} is not the name of a host")
    last = host.rpartition(".")[2]
    if last.isdigit() or _HEX.fullmatch(last):
        ip = _read_ipv4(host)
        return str(ip), ip
    return host, None


_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<authority>[^/?#]*))?(?P<target>[^#]*)(?:#.*)?"
)
_BLANK = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_HEX = re.compile(r"0x[0-9a-f]*")
_KEPT_IN_TARGET = "/?:@!$&'()*+,;=%-._~[]|^{}`"
"""What stands in a path or query as it is; a server is told the rest percent-encoded."""


def _split_port(authority: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", authority)
    if not found:
        raise RefusedAddress(f"{authority[:80]!r} is not the name of a host")
    port = found["port"]
    if not port:
        return found["host"], None
    if not (port.isascii() and port.isdigit()) or not 0 < int(port[:9]) < 65536 or len(port) > 9:
        raise RefusedAddress(f"{port[:20]!r} is not a port")
    return found["host"], int(port)


def _read_ipv6(host: str) -> tuple[str, IPAddress]:
    try:
        ip = IPv6Address(host[1:-1])
    except ValueError:
        raise RefusedAddress(f"{host[:80]!r} is not an IPv6 address") from None
    if ip.scope_id is not None:
        raise RefusedAddress(f"{host[:80]!r} names a network interface")
    return str(ip), ip


def _read_ipv4(host: str) -> IPv4Address:
    """One to four numbers, each decimal, octal (0…) or hexadecimal (0x…); the last fills what is left."""
    pieces = host.split(".")
    try:
        numbers = [_number(piece) for piece in pieces]
    except ValueError:
        raise RefusedAddress(f"{host[:80]!r} looks like an IPv4 address and is none") from None
    *leading, last = numbers
    room: int = 256 ** (5 - len(pieces)) if len(pieces) <= 4 else 0
    if any(number > 255 for number in leading) or last >= room:
        raise RefusedAddress(f"{host[:80]!r} looks like an IPv4 address and is none")
    return IPv4Address(last + sum(number << 8 * (3 - at) for at, number in enumerate(leading)))


def _number(piece: str) -> int:
    if len(piece) > 32:  # the largest that means something has 11 digits; leading zeros may come before
        raise ValueError(piece)
    if piece.startswith("0x"):
        return int(piece[2:] or "0", 16)
    return int(piece, 8 if piece.startswith("0") and piece != "0" else 10)


def _to_ascii(host: str) -> str:
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise RefusedAddress(f"{host[:80]!r} is not the name of a host") from None


def _carried(ip: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that `ip` leads to, or claims to come from."""
    low = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if any(ip in network for network in _networks(_CARRIES_V4)) and int(ip) > 1:
        return [low]
    if ip.sixtofour is not None:
        return [ip.sixtofour]
    if ip.teredo is not None:
        return list(ip.teredo)
    if (int(ip) >> 32) & 0xFFFF_FFFF in (0x0000_5EFE, 0x0200_5EFE) and ip in _GLOBAL_V6:  # ISATAP, RFC 5214
        return [low]
    return []


@cache
def _networks(spelled: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(each) for each in spelled)


@cache
def _table(rows: str) -> tuple[tuple[IPNetwork, str], ...]:
    pairs = (row.split(None, 1) for row in rows.strip().splitlines())
    return tuple((ip_network(network), reason) for network, reason in pairs)


def _read_entry(entry: str) -> tuple[str, int]:
    entry = entry.strip()
    try:
        bare = ip_address(entry)
    except ValueError:
        host, port = _split_port(entry)
        return read_host(host)[0], port or 0
    return str(bare), 0
