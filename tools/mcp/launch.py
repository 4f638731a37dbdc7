"""From a server's settings to what is started or spoken to, and what stands in the way."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from configuration.tool_settings import McpServerSettings
from sandboxes.child_environment import child_environment
from tools.surroundings import Surroundings

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FOLDER = "${CWD}"


@dataclass(frozen=True, slots=True)
class Launch:
    """A program with its environment and folder, or an address with its headers. Secrets are filled in."""

    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def launch_of(server: McpServerSettings, around: Surroundings) -> Launch:
    """What `launch_problem` has nothing against.

    A program starts in the person's home folder, not in the working folder: what lies there could pass itself
    off as a part of it. `${CWD}` in its arguments is the working folder.
    """
    if server.url:
        return Launch(url=server.url, headers=_filled(server.headers, around.secrets))
    environment = child_environment(around.environ, server.env_pass)
    environment |= _filled(server.env, around.secrets)
    program = shutil.which(os.path.expanduser(server.command), path=environment["PATH"]) or server.command
    home = environment.get("HOME", "")
    folder = home if os.path.isdir(home) else "/"
    args = [each.replace(_FOLDER, around.cwd or os.getcwd()) for each in server.args]
    return Launch(argv=(program, *args), environment=environment, folder=folder)


def launch_problem(server: McpServerSettings, around: Surroundings) -> str:
    """Why it cannot be started, and the fix, in one line; "" if nothing is known to be in the way."""
    if bool(server.command) == bool(server.url):
        return "it needs either a command or a url in the settings"
    missing = sorted(placeholders(server) - around.secrets.keys())
    if missing:
        return f"{missing[0]} is not set; use: hermes config set-key {missing[0]}"
    if server.url:
        return url_problem(server.url, insecure=server.insecure)
    command = os.path.expanduser(server.command)
    if os.sep in command and not os.path.isabs(command):
        return f"its command {server.command} is a relative path; give the whole path"
    path = child_environment({"PATH": around.environ.get("PATH", "")})["PATH"]
    if not shutil.which(command, path=path):
        return f"its command {server.command} is not found; install it or give its whole path"
    return ""


def placeholders(server: McpServerSettings) -> set[str]:
    """The keys that its environment and headers are filled in with."""
    values = [*server.env.values(), *server.headers.values()]
    return {name for value in values for name in _PLACEHOLDER.findall(value)}


def url_problem(url: str, *, insecure: bool) -> str:
    """Why a server is not spoken to at `url`; "" if it is."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return "its url cannot be read"
    if parts.scheme not in ("http", "https") or not host:
        return "its url must begin with https:// (or http:// for this machine)"
    if parts.username or parts.password:
        return "its url holds a login; put it into headers as ${NAME}"
    if parts.scheme == "http" and not insecure and not _is_loopback(host):
        return (
            "its url is http:// to another machine, where others can read along; use https:// or set insecure"
        )
    return ""


def _is_loopback(host: str) -> bool:
    import ipaddress

    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _filled(values: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _PLACEHOLDER.sub(lambda found: secrets.get(found[1], ""), value)
        for name, value in values.items()
    }
