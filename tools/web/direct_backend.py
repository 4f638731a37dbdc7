"""hermes itself as the backend: search engines that need no key, and pages fetched from here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec.structs import replace

from tools.network.fetch import FetchError, Limits, fetch
from tools.web.backend import CRAWL_TIMES, Crawl, Hit, Page, WebError
from tools.web.child import ChildError, Children
from tools.web.robots import MOST_BYTES, NOTHING_ALLOWED, Robots, read_robots

if TYPE_CHECKING:
    from configuration.tool_settings import WebSettings
    from tools.network.guard import Guard

_FOR_SEARCHES = (
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "LANG", "PATH",
)  # fmt: skip


class DirectBackend:
    """Needs no key and no service. `environ` tells the proxies."""

    def __init__(self, web: WebSettings, guard: Guard, environ: Mapping[str, str]) -> None:
        self._web = web
        self._guard = guard
        self._environ = environ
        self._readers = Children()

    async def search(self, query: str, limit: int) -> list[Hit]:
        """See `WebBackend.search`. The engines are those of `web.search_engine`."""
        names = {*_FOR_SEARCHES, *(name.lower() for name in _FOR_SEARCHES)}
        child = Children({name: self._environ[name] for name in names if name in self._environ})
        engines, seconds = self._web.search_engine, self._web.timeout
        try:
            found = await child.do("search", seconds=seconds, query=query, limit=limit, engines=engines)
        except ChildError as error:
            raise WebError(f"the search failed: {error}", ours=error.ours) from None
        finally:
            await child.aclose()
        return [Hit(*row) for row in found["hits"]]

    async def extract(self, urls: Sequence[str]) -> list[Page]:
        """See `WebBackend.extract`."""
        return list(await asyncio.gather(*(self._read(url) for url in urls)))

    async def crawl(self, url: str, instructions: str, limit: int) -> Crawl:
        """See `WebBackend.crawl`."""
        from tools.web.crawl import Crawler

        seconds = CRAWL_TIMES * self._web.timeout
        crawler = Crawler(self._read, self._robots, limit=limit, wanted=instructions, seconds=seconds)
        return await crawler.run(url)

    async def aclose(self) -> None:
        await self._readers.aclose()

    async def _read(self, url: str) -> Page:
        from tools.web.page_text import page_of

        try:
            fetched = await fetch(url, guard=self._guard, limits=self._limits())
        except FetchError as error:
            return Page(url, error=str(error))
        page = await page_of(fetched, self._readers, self._web.timeout)
        return page if fetched.url == url else replace(page, asked=url)

    async def _robots(self, url: str) -> Robots:
        """What the site of `url` asks for. What cannot be known for a fault of the site counts as a no (RFC
        9309, 2.3.1); without the setting `web.obey_robots` nothing is asked."""
        if not self._web.obey_robots:
            return Robots()
        parts = urlsplit(url)
        try:
            address = f"{parts.scheme}://{parts.netloc}/robots.txt"
            fetched = await fetch(address, guard=self._guard, limits=self._limits(MOST_BYTES))
        except FetchError as error:
            raise WebError(f"{url}: {error}") from None
        if fetched.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return NOTHING_ALLOWED
        if fetched.status != HTTPStatus.OK:
            return Robots()
        return read_robots(fetched.body.decode("utf-8", "replace"))

    def _limits(self, most: int = 0) -> Limits:
        return Limits(max_bytes=most or self._web.max_bytes, timeout=self._web.timeout)
