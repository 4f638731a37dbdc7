"""An HTML page as Markdown: what a person would see of it, without what stands around it.

Runs in a child process (`tools.web.child`): a page may be built to need all time and memory there is.
"""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote, urldefrag, urljoin, urlsplit

from safety.terminal_text import without_hostile
from tools.web.plain import one_line, plain

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_NO_TEXT = frozenset({
    "script", "style", "noscript", "template", "iframe", "frame", "object", "embed", "applet", "svg",
    "canvas", "audio", "video", "map", "select", "button", "input", "textarea", "datalist", "dialog", "meta",
    "link",
})  # fmt: skip
_AROUND = frozenset({"nav", "aside", "footer", "form", "menu"})
_AROUND_ROLES = frozenset({
    "navigation", "complementary", "contentinfo", "search", "banner", "menu", "menubar", "toolbar", "alert",
})  # fmt: skip
_BANNER = re.compile(
    r"(cookie|consent|gdpr|privacy)[-_]?(banner|notice|bar|popup|modal|overlay|dialog|wall|message|manager|law)"
    r"|onetrust|didomi|usercentrics|cookiebot|truste-|cc-window|qc-cmp",
    re.IGNORECASE,
)
_HIDING = re.compile(
    r"display:none|visibility:(hidden|collapse)|font-size:0+\.?0*(px|pt|em|rem|%)?(;|!|$)"
    r"|(^|;)(max-)?(height|width):0(px|em|%)?(;|!|$)|(left|top|text-indent|margin-left):-\d{3,}"
    r"|clip:rect\([01]|clip-path:inset\((50|100)%|scale\(0\)|color:transparent"
    r"|^(?!.*trans(form|ition)).*opacity:0*\.?0+(;|!|$)",
    re.IGNORECASE,
)
"""Of a style, blanks taken out. What is transparent and moves is what scripts let appear."""
_KEPT = frozenset({"href", "src", "alt", "class", "id", "role", "colspan", "start", "type"})
DEEPEST = 120
"""Elements in elements; what lies deeper becomes text of the last one. Real pages have some 30."""
MOST_ELEMENTS = 60_000
MOST_CHARACTERS = 2_000_000
_MOST_LINKS = 5_000
_LEAST_SECONDS = 0.05
"""For making Markdown, also where finding out what is seen has taken all the time there was."""
_REFRESH = re.compile(r"\s*\d+\s*[;,]\s*(?:url\s*=\s*)?[\"']?([^\"'\s]+)", re.IGNORECASE)
_LONGEST_LINK = 2_000
_MARKS = "!#$%&()*+,-./:;=?@[]_~"
_WORD = re.compile(r"[A-Za-z0-9" + re.escape(_MARKS) + "]+")
"""What would end an address in Markdown, in a table or in JSON is not in it."""
_TAG = re.compile(r"[a-z][a-z0-9_-]*")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MAIN_SHARE = 0.4
"""Of a page's text that its main part must hold to stand for the page."""
_AROUND_SHARE = 0.6
"""Of a page's text that navigation and the like may hold; a page that is made of it keeps it."""


_State: TypeAlias = Literal["kept", "flat", "unseen"]
"""Of an open element: it is in the tree, only its text is, or nothing of it is."""


class _TimeUp(Exception):
    """The conversion took too long."""


def html_page(text: str, url: str, seconds: float) -> dict[str, Any]:
    """`title`, `markdown`, `note` and `links` (pairs of address and text) of the page found at `url`;
    `better` is a tool that may do more with it, or ""."""
    until = time.monotonic() + seconds
    root, full, refresh = _seen(text)
    base = _base(root, url)
    title = one_line(_text(found)) if (found := root.find(".//title")) is not None else ""
    for part in [*root.iter("head")]:
        part.clear()
    links = _absolute(root, base)
    notes = ["the page is longer than what is read of it"] if full else []
    better = ""
    _drop_around(root)
    main = _main_part(root)
    try:
        with _Alarm(max(until - time.monotonic(), _LEAST_SECONDS)):
            markdown = _markdown(main)
    except (_TimeUp, RecursionError):
        markdown = "\n".join(line for each in _lines(main) if (line := each.strip()))
        notes.append("the page is built too strangely to keep its structure: this is its text alone")
    if onward := whole_address(_joined(base, refresh)) if refresh else "":
        notes.append(f"it sends browsers on to {onward}")
        links.append((onward, ""))
    elif not markdown.strip():
        notes.append("there is no text in it; perhaps it is made by scripts")
        better = "browser_navigate"
    markdown = plain(markdown)[:MOST_CHARACTERS]
    note = "; ".join(notes)
    return {"title": title, "markdown": markdown, "note": note, "links": links, "better": better}


def _seen(text: str) -> tuple[Element, bool, str]:
    """The tree of what a person sees, whether it had to be cut, and where browsers are sent on to ("")."""
    from lxml import etree

    target = _Seen()
    parser: Any = etree.HTMLParser(target=target, encoding="utf-8")
    parser.feed(text.replace("\0", "").encode("utf-8", "replace") or b"<html></html>")
    root = parser.close()
    return (etree.Element("html") if root is None else root), target.full, target.refresh


class _Seen:
    """What lxml's parser tells is put into a tree of bounded depth and size. Comments are dropped.

    Where a page closes what it never opened, or the other way round, the parser's tale is not balanced.
    """

    def __init__(self) -> None:
        from lxml import etree

        self.full = False
        self.refresh = ""
        self._builder = etree.TreeBuilder()
        self._open: list[tuple[str, _State]] = []
        self._names: Counter[str] = Counter()
        self._states: Counter[_State] = Counter()
        self._elements = self._characters = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            found = _REFRESH.match(attributes.get("content", ""))
            self.refresh = self.refresh or (found[1] if found else "")
        state: _State = "flat"
        if self._states["unseen"] or tag in _NO_TEXT or _is_hidden(tag, attributes):
            state = "unseen"
        elif self._elements >= MOST_ELEMENTS:
            self.full = True
        elif not self.full and self._states["kept"] < DEEPEST and _TAG.fullmatch(tag):
            state = "kept"
            self._elements += 1
            few = {name: _sound(value) for name, value in attributes.items() if name in _KEPT}
            self._builder.start(tag, few)
        self._open.append((tag, state))
        self._names[tag] += 1
        self._states[state] += 1

    def end(self, tag: str) -> None:
        while self._names[tag]:
            if self._close_last() == tag:
                break

    def data(self, text: str) -> None:
        if self._states["unseen"] or not self._states["kept"]:
            return
        self._characters += len(text)
        self.full = self.full or self._characters > MOST_CHARACTERS
        if not self.full:
            self._builder.data(_sound(text))

    def close(self) -> Element | None:
        while self._open:
            self._close_last()
        return self._builder.close() if self._elements else None

    def _close_last(self) -> str:
        tag, state = self._open.pop()
        self._names[tag] -= 1
        self._states[state] -= 1
        if state == "kept":
            self._builder.end(tag)
        return tag


def _sound(text: str) -> str:
    """What a tree of lxml takes: it refuses control characters."""
    return _NO_XML.sub("", without_hostile(text))


def _is_hidden(tag: str, attributes: dict[str, str]) -> bool:
    if tag in ("html", "body"):  # scripts show a page that begins hidden
        return False
    if "hidden" in attributes or (attributes.get("aria-hidden") == "true" and tag != "img"):
        return True
    style = attributes.get("style", "")
    return bool(style) and bool(_HIDING.search("".join(style.split())))


def _base(root: Element, url: str) -> str:
    found = root.find(".//base")
    return _joined(url, found.get("href", "") or "") or url if found is not None else url


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href.strip())
    except ValueError:
        return ""


def _absolute(root: Element, base: str) -> list[tuple[str, str]]:
    """Make links and pictures whole, so that they can be followed as they stand; take out all others."""
    links: dict[str, str] = {}
    for each in root.iter("a", "img"):
        name = "href" if each.tag == "a" else "src"
        value = each.attrib.pop(name, None)
        if value is None or value.startswith("#"):
            continue
        address = whole_address(_joined(base, str(value)))
        if not address:
            continue
        each.set(name, address)
        if name == "href" and len(links) < _MOST_LINKS:
            links.setdefault(urldefrag(address).url, one_line(_text(each), 200))
    return list(links.items())


def whole_address(address: str) -> str:
    """`address` so that it stands in Markdown as one word; "" if it is none of the web."""
    try:
        if urlsplit(address).scheme.lower() not in ("http", "https") or len(address) > _LONGEST_LINK:
            return ""
    except ValueError:
        return ""
    if _WORD.fullmatch(address):
        return address
    return quote(without_hostile(re.sub("[\t\n\r]", "", address)), safe=_MARKS)


def _drop_around(root: Element) -> None:
    """Take out navigation, side columns, footers, forms and cookie banners."""
    whole = len(_text(root)) or 1
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if _stands_around(each) and len(_text(each)) < _AROUND_SHARE * whole:
            _drop(each)
        else:
            waiting.extend(each)


def _stands_around(each: Element) -> bool:
    if each.tag in ("html", "body", "main", "article"):
        return False
    if each.tag in _AROUND or each.get("role", "") in _AROUND_ROLES:
        return True
    return bool(_BANNER.search(f"{each.get('id', '')} {each.get('class', '')}"))


def _drop(element: Element) -> None:
    """Remove `element`; the text behind it stays."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tail:
        before = element.getprevious()
        if before is not None:
            before.tail = (before.tail or "") + element.tail
        else:
            parent.text = (parent.text or "") + element.tail
    parent.remove(element)


def _main_part(root: Element) -> Element:
    body = next(root.iter("body"), root)
    whole = len(_text(body).strip())
    named = [*body.iter("main"), *body.xpath(".//*[@role='main']"), *body.iter("article")]
    for each in named:
        if len(_text(each).strip()) >= max(_MAIN_SHARE * whole, 1):
            return each
    return body


def _text(element: Element) -> str:
    return "".join(_lines(element))


def _lines(element: Element) -> Iterator[str]:
    return (str(each) for each in element.itertext())


class _Alarm:
    """Raises _TimeUp in what runs inside once `seconds` are over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._ring)
        # Again and again: where Python calls back for itself, an exception is not heard.
        signal.setitimer(signal.ITIMER_REAL, self._seconds, 0.1)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    @staticmethod
    def _ring(*_: object) -> None:
        raise _TimeUp


def _markdown(main: Element) -> str:
    from bs4 import BeautifulSoup
    from lxml import etree

    from tools.web.markdown import Converter

    main.tail = None
    soup = BeautifulSoup(etree.tostring(main, encoding="unicode", method="html"), "lxml")
    for items in soup.find_all("ol"):
        for number, item in enumerate(items.find_all("li", recursive=False)):
            item["number"] = str(number)
    return str(Converter().convert_soup(soup))
