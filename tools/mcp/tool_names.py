"""The names by which a model calls the tools of servers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

PREFIX = "mcp_"
LONGEST = 64
"""Letters, digits, _ and -, at most 64: the chat API refuses a request that has any other name."""
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def model_names(servers: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """(server, tool) to `mcp_SERVER_TOOL`, for the tools of all servers.

    A name that had to be changed, or that another tool has already, ends in a few digits of its hash. Servers
    count in alphabetical order, so the same servers give the same names.
    """
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for server in sorted(servers):
        for tool in servers[server]:
            plain = f"{PREFIX}{server}_{tool}"
            name = _OTHER.sub("_", plain)
            if name != plain or len(name) > LONGEST or name in taken:
                mark = hashlib.sha256(f"{server}\0{tool}".encode("utf-8", "replace")).hexdigest()[:6]
                name = f"{name[: LONGEST - 7]}_{mark}"
            if name not in taken:
                taken.add(name)
                names[server, tool] = name
    return names
