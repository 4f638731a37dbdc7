"""Firecrawl as the backend: the service by its key, or a server of one's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tools.network.failures import FetchError
from tools.web.backend import CRAWL_TIMES, Crawl, Hit, Link, Page, WebError
from tools.web.plain import one_line, plain, wrapped

if TYPE_CHECKING:
    from configuration.tool_settings import WebSettings
    from tools.network.guard import Guard

SERVICE = "https://api.firecrawl.dev"
_RETRIES = 2
_FIRST_LOOK, _LAST_LOOK = 0.25, 3.0
"""Seconds between two looks at a crawl that runs; the service tells of its end to nobody."""
_GRACE = 2.0
"""Seconds that the service has to say itself that a page took too long."""
_DIRECT = "or set web.backend: direct to do without"


class FirecrawlBackend:
    """Pages are fetched by the service, which is told the addresses; `guard` keeps private ones from it."""

    def __init__(self, web: WebSettings, key: str, guard: Guard) -> None:
        self._web = web
        self._key = key
        self._guard = guard
        self._connected: Any = None

    async def search(self, query: str, limit: int) -> list[Hit]:
        """See `WebBackend.search`."""
        client = await self._client()
        async with self._told("the search"):
            found = await client.search(query, limit=limit, timeout=round(self._web.timeout * 1_000))
        return [_hit(row) for row in found.web or []]

    async def extract(self, urls: Sequence[str]) -> list[Page]:
        """See `WebBackend.extract`."""
        await self._client()
        return list(await asyncio.gather(*(self._scrape(url) for url in urls)))

    async def crawl(self, url: str, instructions: str, limit: int) -> Crawl:
        """See `WebBackend.crawl`. The service makes rules of `instructions`, which pages to take."""
        client = await self._client()
        if problem := await self._why_private(url):
            raise WebError(f"{url}: {problem}")
        more: dict[str, Any] = {"prompt": instructions} if instructions else {}
        if not self._web.obey_robots:
            more["ignore_robots_txt"] = True
        async with self._told(f"the crawl of {url}"):
            job = await client.start_crawl(
                url, limit=limit, allow_external_links=False, formats=["markdown"], only_main_content=True,
                **more,
            )  # fmt: skip
        return await self._crawled(job.id, url, limit)

    async def aclose(self) -> None:
        client, self._connected = self._connected, None
        if client is not None:
            await client.async_http_client.close()

    async def _scrape(self, url: str) -> Page:
        if problem := await self._why_private(url):
            return Page(url, error=problem)
        try:
            async with self._told(f"reading {url}"):
                document = await self._connected.scrape(
                    url, formats=["markdown"], only_main_content=True, auto_resume=False,
                    timeout=round(self._web.timeout * 1_000),
                )  # fmt: skip
        except WebError as error:
            return Page(url, error=str(error))
        return _page(document, url)

    async def _crawled(self, job: str, url: str, limit: int) -> Crawl:
        """What the crawl has brought at its end, or when its time is over. Given up, it is ended there."""
        from firecrawl.v2.types import PaginationConfig

        until = time.monotonic() + CRAWL_TIMES * self._web.timeout
        wait, state = _FIRST_LOOK, None
        try:
            while True:
                async with self._told(f"the crawl of {url}"):
                    state = await self._connected.get_crawl_status(
                        job, PaginationConfig(max_results=limit), request_timeout=self._web.timeout + _GRACE
                    )
                if state.status != "scraping" or time.monotonic() >= until:
                    break
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LAST_LOOK)
        finally:
            if state is None or state.status == "scraping":
                await self._cancel(job)
        pages = [_page(document, url) for document in state.data[:limit]]
        if not pages:
            raise WebError(f"Firecrawl found no page at {url} (the crawl is {state.status})")
        notes = {"scraping": "the time for a crawl is over; there are more pages", "completed": ""}
        return Crawl(pages, notes.get(state.status, f"the crawl is {state.status}"))

    async def _cancel(self, job: str) -> None:
        """A crawl that nobody waits for would go on to cost credits."""
        import logging

        try:
            async with asyncio.timeout(_GRACE):
                await self._connected.cancel_crawl(job)
        except Exception as error:  # noqa: BLE001 - the reason for giving it up is what matters
            logging.getLogger("hermes.tools").warning("the crawl %s could not be ended: %r", job, error)

    async def _why_private(self, url: str) -> str:
        """Why the service is not told `url`, "" if it is. A name that is not found here is its matter."""
        from safety.addresses import why_refused

        if reason := why_refused(url, self._guard.allowed):
            return f"it must not be reached: {reason}"
        if not self._web.api_url:
            return ""
        parts = urlsplit(url)
        try:
            await self._guard.resolve(
                parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
            )
        except FetchError as error:
            return str(error) if error.kind == "refused" else ""
        return ""

    async def _client(self) -> Any:
        if self._connected is None:
            self._connected = await asyncio.to_thread(self._connect)
        return self._connected

    def _connect(self) -> Any:
        # Not AsyncFirecrawl: it has no way to be closed.
        from firecrawl.v2.client_async import AsyncFirecrawlClient

        return AsyncFirecrawlClient(
            api_key=self._key,  # "" too: None would take one from the environment
            api_url=self._web.api_url.rstrip("/") or SERVICE,
            timeout=self._web.timeout + _GRACE,
            max_retries=_RETRIES,
        )

    @asynccontextmanager
    async def _told(self, what: str) -> AsyncIterator[None]:
        """What goes wrong inside, as a WebError that says in whose part and what helps."""
        import httpx
        from firecrawl.v2.utils.error_handler import FirecrawlError

        server = self._web.api_url or "Firecrawl"
        try:
            async with asyncio.timeout(2 * (self._web.timeout + _GRACE)):
                yield
        except FirecrawlError as error:
            raise WebError(f"{what} failed: {self._refusal(server, error)}") from None
        except (TimeoutError, httpx.TimeoutException):
            late = f"{what} failed: {server} did not answer within {self._web.timeout:g} s"
            raise WebError(late, ours=True) from None
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            unreached = f"{what} failed: {server} cannot be reached ({why}); {_DIRECT[3:]}"
            raise WebError(unreached, ours=True) from None
        except (ValueError, TypeError, AttributeError) as error:
            # Pydantic's errors are ValueErrors, too: what came is not what a Firecrawl server sends.
            raise WebError(
                f"{what} failed: {server} sent no usable answer ({one_line(str(error), 200)})"
            ) from None

    def _refusal(self, server: str, error: Any) -> str:
        told = one_line(str(error), 300)
        match error.status_code:
            case 401 if not self._key:
                return f"{server} wants a key: hermes config set-key FIRECRAWL_API_KEY, {_DIRECT}"
            case 401:
                return (
                    f"{server} refuses FIRECRAWL_API_KEY: hermes config set-key FIRECRAWL_API_KEY, {_DIRECT}"
                )
            case 402:
                return f"the credits of the Firecrawl account are used up; buy more, {_DIRECT}"
            case 429:
                return f"{server} takes no more requests for now; wait a minute, {_DIRECT}"
            case 408:
                return f"the page took longer than {self._web.timeout:g} s"
        return f"{server} says: {told}"


def _hit(row: Any) -> Hit:
    data = getattr(row, "metadata", None) or row  # a hit that the server read at once is a document
    url = getattr(data, "source_url", None) or data.url or ""
    return Hit(data.title or "", url, data.description or "")


def _page(document: Any, asked: str) -> Page:
    about = document.metadata_typed
    url = about.url or about.source_url or asked
    status = about.status_code or 200
    markdown = wrapped(plain(document.markdown or ""))
    title = about.title[0] if isinstance(about.title, list) else about.title
    if about.error or status >= 400:
        return Page(
            url, error=f"the site answers {status}" + (f": {one_line(about.error)}" if about.error else "")
        )
    links = tuple(Link(each) for each in document.links or ())
    note = one_line(document.warning or "")
    if not markdown:
        note = "; ".join(filter(None, ("there is no text in it", note)))
    return Page(
        url, one_line(title or ""), markdown, note=note, asked="" if url == asked else asked, links=links
    )
