"""What the web tools ask for, whoever does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

CRAWL_TIMES = 8
"""A crawl may take as many times as long as one page (`web.timeout`)."""


class WebError(Exception):
    """The whole call failed. The text says in whose part and what to do next.

    `ours`: no word of it is a page's or a server's.
    """

    def __init__(self, text: str, *, ours: bool = False) -> None:
        super().__init__(text)
        self.ours = ours


class Hit(Struct, frozen=True):
    """One result of a search. `url` is whole, as the search engine gave it."""

    title: str
    url: str
    description: str


class Link(Struct, frozen=True):
    """A link of a page; `url` is absolute and has no fragment."""

    url: str
    text: str = ""


class Page(Struct, frozen=True):
    """A page as Markdown, or the reason why there is none.

    `url` is where it was found in the end, `asked` the address that was asked for where that is another.
    `note` says what a reader of the text has to know: that it is cut, that its structure was lost, …
    `better` is the tool that may do more with it, "" for none.
    """

    url: str
    title: str = ""
    markdown: str = ""
    error: str = ""
    note: str = ""
    asked: str = ""
    links: tuple[Link, ...] = ()
    better: str = ""


class Crawl(Struct, frozen=True):
    """The pages of a site in the order in which they were read; `note` says why there are not more."""

    pages: list[Page]
    note: str = ""


class WebBackend(Protocol):
    """Searches and reads. Each method raises WebError where nothing at all could be had."""

    async def search(self, query: str, limit: int) -> list[Hit]:
        """At most `limit` results, the best first."""
        ...

    async def extract(self, urls: Sequence[str]) -> list[Page]:
        """The pages in the order of `urls`, read at the same time; one that fails has an `error`."""
        ...

    async def crawl(self, url: str, instructions: str, limit: int) -> Crawl:
        """The page at `url` and others of its site, at most `limit`; `instructions` say what is wanted."""
        ...

    async def aclose(self) -> None: ...
