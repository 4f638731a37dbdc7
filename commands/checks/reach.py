"""Whether a server that the settings name takes connections. Nothing is said to it, and no key goes there."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from commands.checks.finding import Finding, Scene, off, ok, problem
from models.providers import is_loopback, shown_url

SECONDS = 1.5
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def set_proxy(scene: Scene) -> str:
    """The variable that names a proxy, "" if none does."""
    return next((name for name in _PROXIES if scene.environ.get(name)), "")


def reach(scene: Scene, name: str, setting: str, url: str, example: str, told: str) -> Finding:
    """Whether `url` is an address, and somebody takes connections there. `example` shows an address, `told`
    is what to say of it where it does.

    Who is behind a proxy is not tried: a connection past it says nothing.
    """
    place, shown = _place(url), shown_url(url)
    if place is None:
        wrong = f"{setting} {shown!r} is not a URL; it should look like {example}"
        return problem(name, wrong, f"hermes config set {setting} URL")
    if scene.offline:
        return off(name, f"{told}: not asked (--offline)")
    if (scene.settings.model.proxy or set_proxy(scene)) and not is_loopback(url):
        return ok(name, f"{told}; not tried, as a proxy stands between")
    try:
        socket.create_connection(place, SECONDS).close()
    except TimeoutError:
        why = f"{shown} does not answer within {SECONDS:g} s"
    except (OSError, UnicodeError) as error:
        why = f"{shown} cannot be reached: {getattr(error, 'strerror', None) or error}"
    else:
        return ok(name, told)
    return problem(name, f"{why} ({setting})", f"start it, or mend or unset {setting}")


def _place(url: str) -> tuple[str, int] | None:
    """Host and port."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port and parts.scheme in _PORTS else None
