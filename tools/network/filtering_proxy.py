"""An HTTP proxy on loopback, so that a browser reaches nothing but what the guard lets through."""

from __future__ import annotations

from tools.network.guard import Guard


class FilteringProxy:
    """`refused` holds the last few connections that were not made, as "HOST:PORT: reason"."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.refused: list[str] = []

    async def start(self) -> str:
        """Begins to listen, in the running loop; gives its URL, http://127.0.0.1:PORT."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Ends every connection."""
