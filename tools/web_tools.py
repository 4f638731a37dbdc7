"""The web tools: web_search, web_extract, web_crawl.

Whoever searches and reads (`tools.web.choice`), what comes is text of strangers: it is marked as such and
bounded, and addresses in it stand in full, so that following one is known to be no invention.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from safety.gate import EffectRequest
from settings import SettingsError
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings, surroundings_here
from tools.tool import ArgumentError, error_reply, ok_reply, tool
from tools.untrusted import OURS, WEB_PAGE
from tools.web.backend import WebBackend, WebError
from tools.web.choice import KEY, make_backend, why_unusable

if TYPE_CHECKING:
    from tools.web.backend import Page

_MOST_URLS = 5
_MOST_HITS = 20
_MOST_PAGES = 50
_LONGEST_QUERY = 400
"""Characters. Search engines take few more, and a query is no way to send a text somewhere."""
_CRAWL_ROOM = 4
"""All pages of a crawl together may have as many times the characters of one page (web.page_limit)."""


def check_firecrawl_api_key() -> bool:
    """Whether there is a key for Firecrawl, in the environment or in `.env`."""
    return bool(surroundings_here().secrets.get(KEY))


def check_web_requirements(around: Surroundings | None = None) -> str:
    """ "" if the web tools can be used, else the reason and the fix in one line."""
    return why_unusable(around or surroundings_here())


def _describe_search(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    query = arguments["query"] = _checked_query(arguments["query"])
    return EffectRequest("web_search", ("read", "net"), f"search the web for: {query}", grant="web searches")


def _describe_extract(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    urls = arguments["urls"] = list(dict.fromkeys(map(whole_url, arguments["urls"])))
    if not 1 <= len(urls) <= _MOST_URLS:
        raise ArgumentError(f"web_extract takes 1 to {_MOST_URLS} URLs, not {len(urls)}")
    refused = {url: why for url in urls if (why := _why_out_of_reach(runtime, url))}
    opened = [url for url in urls if url not in refused]  # of the others the reply will say it
    if not opened:
        raise ArgumentError("; ".join(f"{url[:500]} cannot be read: {why}" for url, why in refused.items()))
    return EffectRequest(
        "web_extract", ("read", "net"), "read\n" + "\n".join(opened), grant=_grant(opened), urls=tuple(opened)
    )


def _describe_crawl(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    url = arguments["url"] = whole_url(arguments["url"])
    if why := _why_out_of_reach(runtime, url):
        raise ArgumentError(f"{url[:500]} cannot be read: {why}")
    summary = f"read {url} and pages it links to"
    if arguments.get("instructions", "").strip():
        wanted = arguments["instructions"] = _checked_query(arguments["instructions"])
        summary += f", looking for: {wanted}"
    return EffectRequest("web_crawl", ("read", "net"), summary, grant=_grant([url]), urls=(url,))


def _why_out_of_reach(runtime: ToolRuntime, url: str) -> str:
    from tools.network.guard import why_out_of_reach

    return why_out_of_reach(url, runtime.around)


def _grant(urls: Sequence[str]) -> str:
    hosts = {urlsplit(url).hostname for url in urls}
    return f"fetch from {hosts.pop()}" if len(hosts) == 1 else ""


def whole_url(url: str) -> str:
    """`url` with a scheme, as people leave it out. Raises ArgumentError where it is no address."""
    url = url.strip()
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port is None or parts.port else None
    except ValueError:  # no port is that large, no host has such brackets
        host = None
    if not host or any(each.isspace() for each in url):
        raise ArgumentError(f"{url[:200]!r} is no address of a page")
    return url


def _checked_query(query: str) -> str:
    query = " ".join(query.split())
    if not query:
        raise ArgumentError("the query is empty")
    if len(query) > _LONGEST_QUERY:
        raise ArgumentError(
            f"the query has {len(query)} characters; at most {_LONGEST_QUERY}, a few words are best"
        )
    return query


_web_tool = partial(
    tool, effects=("read", "net"), requires=check_web_requirements, side_by_side=True, in_place=False
)


@_web_tool(describe=_describe_search)
async def web_search(
    runtime: ToolRuntime, query: str, limit: Annotated[int, "results, at most 20"] = 5
) -> ToolReply:
    """Search the web: titles, URLs, descriptions."""
    from tools.web.reply import hit_rows

    try:
        async with _backend(runtime.around) as backend:
            rows = hit_rows(await backend.search(query, _within(limit, _MOST_HITS)))
    except WebError as error:
        return error_reply(str(error)).by(OURS if error.ours else "")
    note = {} if rows else {"note": "nothing was found; try fewer or other words"}
    return ok_reply(results=rows, **note).by("search results" if rows else OURS)


@_web_tool(describe=_describe_extract)
async def web_extract(
    runtime: ToolRuntime,
    urls: Annotated[list[str], "at most 5"],
    query: Annotated[str, "what to look for in long pages"] = "",
) -> ToolReply:
    """Read web pages and PDFs as Markdown. Long ones are cut; `file` has all of it."""
    from tools.web.reply import pages_reply

    try:
        async with _backend(runtime.around) as backend:
            pages = await backend.extract(urls)
    except WebError as error:
        return error_reply(str(error))
    reply = await pages_reply(runtime, pages, query, runtime.settings.web.page_limit)
    return reply.by(WEB_PAGE)


@_web_tool(describe=_describe_crawl)
async def web_crawl(
    runtime: ToolRuntime,
    url: str,
    instructions: Annotated[str, "what to look for"] = "",
    limit: Annotated[int, "pages, at most 50"] = 10,
) -> ToolReply:
    """Read a page and pages of the same site it leads to."""
    from tools.web.reply import pages_reply

    try:
        async with _backend(runtime.around) as backend:
            crawl = await backend.crawl(url, instructions, _within(limit, _MOST_PAGES))
    except WebError as error:
        return error_reply(str(error))
    limit_each = runtime.settings.web.page_limit
    room = min(limit_each, _CRAWL_ROOM * limit_each // max(len(crawl.pages), 1))
    reply = await pages_reply(runtime, crawl.pages, instructions, room, crawl.note)
    return reply.by(WEB_PAGE)


def _within(limit: int, most: int) -> int:
    return max(1, min(limit, most))


@asynccontextmanager
async def _backend(around: Surroundings) -> AsyncIterator[WebBackend]:
    backend = make_backend(around)
    try:
        yield backend
    finally:
        await backend.aclose()


def web_search_tool(query: str, limit: int = 5) -> str:
    """Search without an agent, as this folder's settings say: JSON, `{"results": […]}` or `{"error": …}`."""
    from tools.web.reply import hit_rows

    async def search(backend: WebBackend) -> dict[str, Any]:
        return {"results": hit_rows(await backend.search(_checked_query(query), _within(limit, _MOST_HITS)))}

    return _run(search)


def web_extract_tool(urls: Sequence[str]) -> str:
    """Read pages without an agent: JSON, `{"pages": […]}`, each with its whole `content` or an `error`."""

    async def extract(backend: WebBackend) -> dict[str, Any]:
        return {"pages": _whole(await backend.extract([whole_url(url) for url in urls]))}

    return _run(extract)


def web_crawl_tool(url: str, instructions: str = "", limit: int = 10) -> str:
    """Read a site without an agent: JSON as of `web_extract_tool`, with a `note` where there is more."""

    async def crawl(backend: WebBackend) -> dict[str, Any]:
        found = await backend.crawl(whole_url(url), instructions, _within(limit, _MOST_PAGES))
        return {"pages": _whole(found.pages), **({"note": found.note} if found.note else {})}

    return _run(crawl)


def _whole(pages: Sequence[Page]) -> list[dict[str, str]]:
    rows = [
        {
            "url": page.url,
            "title": page.title,
            "content": page.markdown,
            "error": page.error,
            "note": page.note,
        }
        for page in pages
    ]
    return [{name: value for name, value in row.items() if value} for row in rows]


def _run(work: Callable[[WebBackend], Awaitable[dict[str, Any]]]) -> str:
    from conversation.blocking import run_blocking

    async def whole() -> dict[str, Any]:
        try:
            async with _backend(surroundings_here()) as backend:
                return await work(backend)
        except (WebError, ArgumentError, SettingsError) as error:
            return {"error": str(error)}

    return json.dumps(run_blocking(whole()), ensure_ascii=False)
