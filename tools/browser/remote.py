"""A browser that runs already, here or elsewhere: it is used through its CDP address and left as it was."""

from __future__ import annotations

import re
from pathlib import Path

_CDP_URL = re.compile(r"(?:wss?|https?)://[^\s/]+\S*|[1-9]\d{0,4}")


def why_no_cdp_url(url: str) -> str:
    """ "" if `url` can be the address of a browser, else what is wrong with it."""
    if not url:
        return (
            "browser.cdp_url is empty: set it to ws://…, http://HOST:PORT, or choose another browser.backend"
        )
    if not _CDP_URL.fullmatch(url):
        return f"browser.cdp_url: {url!r} is no address of a browser: ws://…, http://HOST:PORT, or a port"
    return ""


class RemoteBrowser:
    """Somebody else started it, and their tabs are in it."""

    guarded = False
    shared = True
    group = 0
    ended = ""

    def __init__(self, cdp_url: str) -> None:
        self._cdp_url = cdp_url

    async def open(self, folder: Path, environment: dict[str, str]) -> str:
        return self._cdp_url

    def refusals(self) -> list[str]:
        return []

    async def close(self) -> None:
        """It goes on."""
