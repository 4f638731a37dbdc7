"""Web addresses nobody made up: those a person named, and those that stood in what was found.

An address can carry something out. One that stands word for word in a page or in a list of results was
written before the model knew what it knows now, so it carries nothing; but not if it stands there because the
model wrote it first, and a tool or a page repeats it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"https?://[^\s\"'<>\\`|^]{1,4000}", re.IGNORECASE)
_CLOSING = ".,;:!?*_~)]}"
"""Marks that may follow an address in a sentence, or belong to it."""
_MOST_READINGS = 10
_LONGEST = 4_000
_MOST = 20_000
_MOST_MADE_UP = 500
"""Of a model that writes more, no address that is found later is told apart: none counts then."""


class KnownAddresses:
    """Grows with a conversation; the `_MOST` first are kept."""

    def __init__(self) -> None:
        self._addresses: set[str] = set()
        self._hosts: set[str] = set()
        self._made_up: tuple[str, ...] = ()

    def note_person(self, text: str) -> None:
        """A person said `text`: any address on a host they name is one of theirs."""
        for found in _ADDRESS.findall(text):
            for address in _readings(found):
                self._hosts.add(_host(address))
        self._hosts.discard("")
        self.note(text)

    def note(self, text: str) -> None:
        """`text` was found on the web, or came from a tool server."""
        if "://" not in text or len(self._made_up) >= _MOST_MADE_UP:
            return
        for found in _ADDRESS.findall(text):
            for address in _readings(found):
                plain = _plain(address)
                if plain and len(self._addresses) < _MOST and not plain.startswith(self._made_up):
                    self._addresses.add(plain)
                    self._addresses.add(_front(plain))

    def note_model(self, text: str) -> None:
        """The model wrote `text`: an address in it that is not known yet stays the model's, and so does
        what begins with it, whoever repeats it."""
        if "://" not in text:
            return
        for found in _ADDRESS.findall(text):
            if len(self._made_up) >= _MOST_MADE_UP:
                return
            address = found.rstrip(_CLOSING)
            if (plain := _plain(address)) and not self.knows(address) and plain not in self._made_up:
                self._made_up += (plain,)

    def knows(self, url: str) -> bool:
        """Whether `url` was not made up: it was met word for word, or its host was named by a person."""
        if len(url) > _LONGEST or _has_login(url):
            return False
        return _host(url) in self._hosts or any(each in self._addresses for each in _same(_plain(url)))

    def forget(self) -> None:
        self._addresses.clear()
        self._hosts.clear()
        self._made_up = ()


def _readings(found: str) -> list[str]:
    """`found` with fewer and fewer of the marks at its end."""
    readings = [found]
    while found and found[-1] in _CLOSING and len(readings) < _MOST_READINGS:
        found = found[:-1]
        readings.append(found)
    cut = found.find("](")  # a Markdown link whose text is an address itself
    if cut > 0:
        readings.append(found[:cut])
    return readings


def _plain(url: str) -> str:
    """`url` without what a server is not told (the fragment); host and scheme in lower case."""
    try:
        parts = urlsplit(url.strip())
        return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path or '/'}" + (
            f"?{parts.query}" if parts.query else ""
        )
    except ValueError:
        return ""


def _front(plain: str) -> str:
    """The front page of its host, which tells nobody more than that the host was met."""
    scheme, _, rest = plain.partition("://")
    return f"{scheme}://{rest.partition('?')[0].partition('/')[0]}/"


def _same(plain: str) -> list[str]:
    """`plain`, and what people and models write for it: https for http, a final stroke more or less."""
    spelled = [plain]
    if "?" not in plain:
        spelled.append(plain[:-1] if plain.endswith("/") else f"{plain}/")
    if plain.startswith("https://"):
        spelled += [f"http://{each[8:]}" for each in spelled]
    return spelled


def _has_login(url: str) -> bool:
    try:
        return "@" in urlsplit(url).netloc
    except ValueError:
        return True


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""
