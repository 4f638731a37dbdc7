"""What the model reads of pages: bounded, with the whole of what is long in files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from sandboxes.sandbox import SandboxError
from tools.kept_files import KeptFiles
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import error_reply, ok_reply
from tools.web.backend import Hit, Page
from tools.web.excerpt import excerpt
from tools.web.plain import one_line
from tools.web.summary import summarized, wants_summary

_BETTER = {"browser_navigate": "runs scripts", "vision_analyze": "looks at pictures"}
_LEAST = 500
"""Characters that a page may have, however many there are."""
_MOST_NOTED = 500_000
"""Characters of a page whose addresses count as found."""
_BETWEEN = re.compile(r"[^\x21-\x7e]|[\[\]]|\)(?=\S)")
"""What may stand right behind an address, or between two, in Markdown and in other scripts."""


def hit_rows(hits: Sequence[Hit]) -> list[dict[str, str]]:
    """The results that lead somewhere, made harmless."""
    return [
        {"title": one_line(hit.title, 200), "url": hit.url, "description": one_line(hit.description, 400)}
        for hit in hits
        if hit.url.startswith(("http://", "https://")) and len(hit.url) <= 2_000
    ]


async def pages_reply(
    runtime: ToolRuntime, pages: Sequence[Page], query: str, room: int, note: str = ""
) -> ToolReply:
    """The pages, each with at most `room` characters of text. An error if there is not one."""
    pages = [_pointed(runtime, page) for page in pages]
    rows = [await _row(runtime, page, query, max(room, _LEAST)) for page in pages]
    more = {"note": note} if note else {}
    if pages and all(page.error for page in pages):
        if len(pages) == 1:
            return error_reply(f"{pages[0].url}: {pages[0].error}", **more)
        return error_reply("none of the pages could be read", pages=rows, **more)
    return ok_reply(pages=rows, **more)


def _pointed(runtime: ToolRuntime, page: Page) -> Page:
    """With a word on the tool that may do more with it, if that one is on."""
    if not page.better or not runtime.has_tool(page.better):
        return page
    told = f"; {page.better} {_BETTER[page.better]}"
    return replace(page, error=page.error + told) if page.error else replace(page, note=page.note + told)


async def _row(runtime: ToolRuntime, page: Page, query: str, room: int) -> dict[str, Any]:
    row: dict[str, Any] = {"url": page.url}
    if page.asked:
        row["asked"] = page.asked
    if page.error:
        return {**row, "error": page.error}
    if page.title:
        row["title"] = page.title
    notes = [page.note] if page.note else []
    text = page.markdown
    if len(text) > room:
        text = ""
        if wants_summary(runtime, page):
            text, told = await summarized(runtime, page, query)
            notes.append(told)
        text = text or excerpt(page.markdown, room, query)
        row["length"] = len(page.markdown)
        try:
            kept = runtime.store(KeptFiles)
            row["file"] = await kept.keep_page(runtime.sandbox, page.url, page.markdown)
        except (OSError, SandboxError) as error:
            notes.append(f"the whole page could not be kept in a file: {error}")
    row["content"] = text
    _note_addresses(runtime, page)
    return {**row, "note": "; ".join(notes)} if notes else row


def _note_addresses(runtime: ToolRuntime, page: Page) -> None:
    """Addresses stood in the page before the model read it, whether they are shown or only in the file."""
    text = page.markdown[:_MOST_NOTED]
    runtime.gate.addresses.note(text)
    runtime.gate.addresses.note(_BETWEEN.sub(" ", text))
    runtime.gate.addresses.note("\n".join(link.url for link in page.links))
