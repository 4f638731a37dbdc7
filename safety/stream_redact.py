"""Secrets taken out of text that comes in pieces: only what may be the beginning of one waits for more."""

from __future__ import annotations

import re
from bisect import bisect_left

from safety.redact import Redactor
from safety.secret_shapes import AWS_SECRET, ENCODED, LINE_BREAK, LONG_LINE

MOST_HELD = 32 * 1024
"""Bytes that wait at the most. What is longer than that counts as whole, and all that goes on is left out."""
_CONTEXT = 400
"""So far back a shape looks: the name before a value, the id of a key pair near its secret."""
_RUN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:~+/=%-"
"""What secrets are made of, but for passwords in URLs and what is known."""
_URL = re.compile(rb"://[^\s/@\"'<>\\{}$]{0,310}@?\Z")
_PEM_BEGINS = re.compile(rb"(?:-{1,4}|-----(?:B[A-Z0-9 ]{0,60}-{0,5})?)\Z")
_PEM = re.compile(rb"-----(BEGIN|END) (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_PEM = 16_384
_NEAR = 340


class StreamRedactor:
    """Feed it pieces; what it gives back, joined, is what `redactor` makes of the pieces joined.

    Held back is the last word, which more may make a secret, a private key until it ends, and what a known
    secret begins with. `finish` gives the rest.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._before = b""
        self._held = b""
        self._inside = False

    def feed(self, text: str) -> str:
        """What is certain of all that was fed and not yet given back; often not the whole of `text`."""
        self._held += text.encode("utf-8", "surrogatepass")
        if self._inside:
            self._held = self._held.lstrip(_RUN)
            self._inside = not self._held
        if not self._held:
            return ""
        known = self._open_known()
        cut = self._whole(min(known, len(self._held.rstrip(_RUN)), self._open_url(), self._open_pair()))
        if len(self._held) - cut > MOST_HELD:
            cut = self._redactor.known_from(self._held, known)
            self._inside = self._touches_secret(cut)
        return self._give(cut)

    def _whole(self, cut: int) -> int:
        """`cut`, or a place before it that is not within a word, a known secret or a private key."""
        while True:
            earlier = len(self._held[:cut].rstrip(_RUN)) if cut < len(self._held) else cut
            earlier = self._open_pem(self._redactor.known_from(self._held, earlier))
            if earlier == cut:
                return cut
            cut = earlier

    def finish(self) -> str:
        """What was held back. The stream may then begin anew."""
        rest = self._give(len(self._held))
        self._before, self._inside = b"", False
        return rest

    def _give(self, cut: int) -> str:
        if not cut:
            return ""
        part, self._held = self._held[:cut], self._held[cut:]
        clean = self._clean(self._before + part)
        # else a secret began in what is gone already: there is no telling how much of it was seen
        known = clean.startswith(self._before)
        clean = clean[len(self._before) :] if known else self._clean(part)
        self._before = _context(self._before + clean)
        return clean.decode("utf-8", "surrogatepass")

    def _clean(self, data: bytes) -> bytes:
        text, found = self._redactor.redact(data.decode("utf-8", "surrogatepass"))
        return text.encode("utf-8", "surrogatepass") if found else data

    def _touches_secret(self, cut: int) -> bool:
        part = self._held[:cut]
        return self._clean(self._before + part).endswith(b"]") and not part.endswith(b"]")

    def _open_url(self) -> int:
        if b"://" not in self._held[-320:]:
            return len(self._held)
        found = _URL.search(self._held, max(0, len(self._held) - 320))
        return found.start() if found else len(self._held)

    def _open_pem(self, cut: int) -> int:
        """`cut`, or where a private key begins that has not ended there."""
        held = self._held
        if b"-" not in held:
            return cut
        begins = _PEM_BEGINS.search(held, max(0, len(held) - 80))
        cut = min(cut, begins.start()) if begins else cut
        opened = None
        for mark in _PEM.finditer(held, max(0, len(held) - _LONGEST_PEM - 80)):
            if mark[1] == b"BEGIN":
                opened = mark.start()
            elif mark.end() <= cut:
                opened = None
        return cut if opened is None else min(cut, opened)

    def _open_pair(self) -> int:
        """What may be the secret half of a pair whose other half comes behind it."""
        for found in AWS_SECRET.finditer(self._held, max(0, len(self._held) - _NEAR)):
            if found[0].upper() != found[0] != found[0].lower():
                return found.start()
        return len(self._held)

    def _open_known(self) -> int:
        """Where the longest end of the text is that a known secret begins with, across line breaks too."""
        forms = self._redactor.forms
        if not forms:
            return len(self._held)
        longest = max(map(len, forms))
        first = max(0, len(self._held) - longest + 1)
        cut = _open_form(self._held[first:], forms) + first
        first = max(
            0, len(self._held) - longest - longest // 16 - 160
        )  # with the breaks, and a long line before
        tail = self._held[first:]
        if LONG_LINE in tail.translate(ENCODED) and LINE_BREAK.search(tail):
            cut = min(cut, _open_wrapped(tail, forms) + first)
        return cut


def _context(text: bytes) -> bytes:
    """The end of `text` from the beginning of a word on: no word must look as if it began in its middle."""
    if len(text) <= _CONTEXT:
        return text
    boundary = re.search(rb"[\s\"'<>{}$]", text[-_CONTEXT:])
    return text[-_CONTEXT:][boundary.start() :] if boundary else text[-1:].decode("utf-8", "ignore").encode()


def _open_form(tail: bytes, forms: list[bytes]) -> int:
    """Where in `tail` the longest end begins that one of the sorted `forms` goes on from."""
    for start in range(len(tail)):
        rest = tail[start:]
        place = bisect_left(forms, rest)
        if place < len(forms) and forms[place].startswith(rest):
            whole = forms[place] == rest and not (
                place + 1 < len(forms) and forms[place + 1].startswith(rest)
            )
            if not whole:
                return start
    return len(tail)


def _open_wrapped(tail: bytes, forms: list[bytes]) -> int:
    breaks = [found.span() for found in LINE_BREAK.finditer(tail)]
    joined = LINE_BREAK.sub(b"", tail)
    place = _open_form(joined, forms)
    if place == len(joined):
        return len(tail)
    for start, end in breaks:
        if place < start:
            break
        place += end - start
    return place
