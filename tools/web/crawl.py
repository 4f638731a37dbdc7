"""Reading a site: breadth first from one page, politely and with an end."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from tools.web.backend import Crawl, Link, Page, WebError
from tools.web.robots import Robots
from tools.web.site import may_be_page, page_key, shape, site_of

AT_ONCE = 3
DEEPEST = 6
"""Links between the first page and the last."""
_MOST_WAITING = 5_000
_WORD = re.compile(r"\w{3,}")

ReadPage = Callable[[str], Awaitable[Page]]
ReadRobots = Callable[[str], Awaitable[Robots]]


class Crawler:
    """One crawl.

    Args:
        read: reads a page; what fails has an `error` and comes last.
        robots: what the site at an address wants left alone.
        limit: pages at most.
        wanted: words that the links to follow first share.
        seconds: when it ends with what it has.
    """

    def __init__(
        self, read: ReadPage, robots: ReadRobots, *, limit: int, wanted: str, seconds: float
    ) -> None:
        self._read = read
        self._read_robots = robots
        self._limit = limit
        self._wanted = set(_WORD.findall(wanted.casefold()))
        self._until = time.monotonic() + seconds
        self._waiting: list[tuple[int, int, int, str]] = []
        self._met: set[str] = set()
        self._shapes: Counter[str] = Counter()
        self._texts: set[bytes] = set()
        self._pages: list[Page] = []
        self._failed: list[Page] = []
        self._left_alone = 0
        self._number = 0

    async def run(self, url: str) -> Crawl:
        """Raises WebError if the first page cannot be had."""
        robots = await self._allowed(url)
        self._met.add(page_key(url))
        first = await self._read(url)
        if first.error:
            raise WebError(f"{url}: {first.error}")
        self._site = site_of(first.url)
        if self._site != site_of(url):
            robots = await self._allowed(first.url)
        self._add(first, 0)
        read, most = 1, 2 * self._limit + 5  # pages that fail or repeat do not go on for ever
        while self._waiting and len(self._pages) < self._limit and read < most:
            left = self._until - time.monotonic()
            if left <= 0:
                return self._result("the time for a crawl is over; there are more pages")
            batch = self._next(robots)
            read += len(batch)
            try:
                async with asyncio.timeout(left):
                    await self._read_batch(batch)
            except TimeoutError:
                continue
            if robots.delay and self._waiting and len(self._pages) < self._limit:
                await asyncio.sleep(min(robots.delay, left))
        return self._result()

    async def _allowed(self, url: str) -> Robots:
        robots = await self._read_robots(url)
        if not robots.allows(url):
            raise WebError(f"{url}: robots.txt asks programs to leave it alone (web.obey_robots)")
        return robots

    async def _read_batch(self, batch: list[tuple[int, str]]) -> None:
        pages = await asyncio.gather(*(self._read(url) for _, url in batch))
        for (depth, _), page in zip(batch, pages, strict=True):
            if page.error:
                self._failed.append(page)
            elif site_of(page.url) == self._site:
                self._add(page, depth)

    def _next(self, robots: Robots) -> list[tuple[int, str]]:
        count = 1 if robots.delay else min(AT_ONCE, self._limit - len(self._pages))
        batch: list[tuple[int, str]] = []
        while self._waiting and len(batch) < count:
            depth, _, _, url = heapq.heappop(self._waiting)
            if robots.allows(url):
                batch.append((depth, url))
            else:
                self._left_alone += 1
        return batch

    def _add(self, page: Page, depth: int) -> None:
        """Keep `page` unless its text was there already (under another address), and note its links."""
        self._met.add(page_key(page.url))
        text = hashlib.sha256(page.markdown.encode("utf-8", "replace")).digest()
        if page.markdown and text in self._texts:
            return
        self._texts.add(text)
        self._pages.append(page)
        if depth < DEEPEST:
            for link in page.links:
                self._note_link(link, depth + 1)

    def _note_link(self, link: Link, depth: int) -> None:
        try:
            key, looks_like = page_key(link.url), shape(link.url)
            if key in self._met or site_of(link.url) != self._site or not may_be_page(link.url):
                return
        except ValueError:  # a port that is none
            return
        if len(self._waiting) >= _MOST_WAITING or self._shapes[looks_like] >= max(5, self._limit // 2):
            return
        self._met.add(key)
        self._shapes[looks_like] += 1
        self._number += 1
        shared = len(self._wanted & set(_WORD.findall(f"{link.text} {link.url}".casefold())))
        heapq.heappush(self._waiting, (depth, -shared, self._number, link.url))

    def _result(self, note: str = "") -> Crawl:
        notes = [note] if note else []
        if len(self._pages) >= self._limit and self._waiting:
            notes.append(f"{len(self._waiting)} more pages were found and not read")
        if self._left_alone:
            notes.append(f"{self._left_alone} pages were left alone, as robots.txt asks")
        return Crawl([*self._pages, *self._failed], "; ".join(notes))
