"""From what a server sent to a page: by its type, HTML and PDF in a child process, text as it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from http import HTTPStatus

from msgspec.structs import replace

from tools.network.charset import decode_text
from tools.network.fetch import Fetched
from tools.web.backend import Link, Page
from tools.web.child import ChildError, Children
from tools.web.plain import LONGEST_LINE, one_line, plain, wrapped

_HTML = re.compile(r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)
_TEXT = re.compile(
    r"text/.*|application/(.*[+-])?(json|xml|yaml|toml|javascript|ecmascript|typescript|sql|graphql|x-sh)"
    r"|application/(x-)?(json|ndjson|jsonl|jsonlines|yaml|httpd-php|tex|latex|rtf|mbox|trig|n-triples).*"
    r"|image/svg\+xml|message/.*"
)
_SNIFFED = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/force-download"})
_HEAD = 4_096


async def page_of(fetched: Fetched, children: Children, seconds: float) -> Page:
    """The page as Markdown or plain text; what is no text, or needs more than `seconds`, has an `error`."""
    url = fetched.url
    if fetched.status >= HTTPStatus.BAD_REQUEST:
        return Page(url, error=_status_told(fetched.status))
    media = fetched.content_type.partition(";")[0].strip().lower()
    notes = [f"the page is cut: {fetched.cut}"] if fetched.cut else []
    if fetched.downgraded:
        notes.append("a redirect led from https to http: anybody on the way may have changed it")
    kind = _kind(media, fetched.body)
    if kind == "html":
        text = await asyncio.to_thread(decode_text, fetched.body, fetched.content_type)
        page = await _in_child(children, "html", url, text.encode("utf-8", "replace"), seconds)
    elif kind == "pdf":
        page = await _in_child(children, "pdf", url, fetched.body, seconds)
    elif kind == "text":
        text = await asyncio.to_thread(decode_text, fetched.body, fetched.content_type)
        page = Page(url, *await asyncio.to_thread(_as_it_is, text, media))
    else:
        better = "vision_analyze" if kind == "image" else ""
        return Page(url, error=_no_text(media, kind), better=better)
    if page.error:
        return Page(url, error="; ".join([page.error, *notes]))
    note = "; ".join(each for each in (*notes, page.note) if each)
    return replace(page, note=note)


def _kind(media: str, body: bytes) -> str:
    """`html`, `pdf`, `text`, `image` or `binary`; where the type tells nothing, by how it begins."""
    if media == "application/pdf" or (media in _SNIFFED and body.startswith(b"%PDF-")):
        return "pdf"
    if media in ("text/html", "application/xhtml+xml"):
        return "html"
    if media.startswith("image/") and media != "image/svg+xml":
        return "image"
    if _TEXT.fullmatch(media):
        return "text"
    if media not in _SNIFFED or b"\0" in body[:_HEAD]:
        return "binary"
    return "html" if _HTML.match(body[:_HEAD].decode("latin-1")) else "text"


async def _in_child(children: Children, job: str, url: str, body: bytes, seconds: float) -> Page:
    try:
        found = await children.do(job, body, url=url, seconds=seconds)
    except ChildError as error:
        return Page(url, error=f"it cannot be read: {error}")
    links = tuple(Link(address, text) for address, text in found["links"])
    text, better = wrapped(found["markdown"]), found.get("better", "")
    return Page(url, found["title"], text, note=found["note"], links=links, better=better)


def _as_it_is(text: str, media: str) -> tuple[str, str]:
    """Title and text. JSON on one line is broken into lines, so that it can be read in parts."""
    if "json" in media and len(text) > LONGEST_LINE and text.count("\n") < len(text) // LONGEST_LINE:
        with contextlib.suppress(ValueError, RecursionError):  # it is no JSON, but text all the same
            text = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    text = wrapped(plain(text))
    heading = re.match(r"# +(\S.*)", text) if "markdown" in media else None
    return (one_line(heading[1]) if heading else ""), text


def _status_told(status: int) -> str:
    try:
        phrase = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        phrase = ""
    hint = "; the site refuses programs, perhaps not a browser" if status in (401, 403, 429, 451, 503) else ""
    return f"the server answers {status}{phrase}{hint}"


def _no_text(media: str, kind: str) -> str:
    if kind == "image":
        return f"it is a picture ({media})"
    return f"it is no text but {media or 'binary data'}; fetch it with a command if it is needed"
