"""Secrets taken out of text: `sk-…`, `ghp_…`, private keys, passwords in URLs, and values that are known.

Each becomes `[redacted:KIND]`. What merely looks random (hashes, UUIDs, encoded pictures) stays. Text without
secrets is passed at the speed of a few searches: only what could hold one is looked at closely. Doing it
twice changes nothing. For text that comes in pieces see `safety.stream_redact`.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import itemgetter
from struct import iter_unpack
from typing import Any
from urllib.parse import quote, quote_plus

from safety.known_secrets import SHORTEST as SHORTEST
from safety.known_secrets import worth_hiding
from safety.secret_shapes import (
    AWS_ID_MARK,
    ENCODED,
    LINE_BREAK,
    LONG_LINE,
    MAY_BE_ASSIGNED,
    TOKEN_BEGINS,
    Found,
    assigned_secrets,
    aws_secrets,
    basic_authorizations,
    bearer_tokens,
    is_assigned_secret,
    long_runs,
    private_keys,
    tokens,
    url_keys,
    url_passwords,
    wrapped_blocks,
)

_GRAM = 8
_STEP = 20 - _GRAM + 1
_SAMPLE = f"{_GRAM}s{_STEP - _GRAM}x"
"""For `struct`: of each _STEP bytes the first _GRAM."""

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")

_Find = Callable[[bytes], Iterable[Found]]


class Redactor:
    """`secrets` are values that must not appear, whether plain or escaped (JSON, URL, Python), in base64 at
    any place of a longer text, or hexadecimal. Those that are not `worth_hiding` are ignored."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """From here on these are known too: a password that was just typed, say."""
        self._secrets.update(secret for secret in secrets if worth_hiding(secret))
        forms = {form for secret in self._secrets for form in _forms(secret)}
        self.forms = sorted(forms)
        """Every way a known secret may be written, as UTF-8."""
        self._known = re.compile(b"|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
        # what has a long run is looked for among the runs alone, which are a small part of a text
        runs = {form: max(re.findall(rb"[A-Za-z0-9_-]{20,}", form), key=len, default=b"") for form in forms}
        self._in_runs = {run for run in runs.values() if run}
        self._grams = {run[place : place + _GRAM] for run in self._in_runs for place in range(_STEP)}
        self._anywhere = {form for form, run in runs.items() if not run}

    def redact(self, text: str) -> tuple[str, Counter[str]]:
        """`text` without secrets, and how many of each kind were in it."""
        found: Counter[str] = Counter()
        if len(text) < SHORTEST:
            return text, found
        data = text.encode("utf-8", "surrogatepass")
        for find in self._searches(data):
            data = _replaced(data, find, found)
        return (data.decode("utf-8", "surrogatepass") if found else text), found

    def known_from(self, data: bytes, place: int) -> int:
        """`place`, or where the known secret begins in the midst of which it is."""
        longest = max(map(len, self.forms), default=0)
        first = max(0, place - 2 * longest - 200)
        window = data[first : place + longest]
        spans = [match.span() for match in self._known.finditer(window)] if self.forms else []
        if self.forms and LONG_LINE in window.translate(ENCODED):
            spans += [(start, end) for _, start, end in self._wrapped_secrets(window)]
        return min([place, *(start + first for start, end in spans if start < place - first < end)])

    def redact_json(self, value: Any) -> tuple[Any, Counter[str]]:
        """The same for a JSON value: every string in it, keys too. Strings that hold JSON text stay JSON."""
        found: Counter[str] = Counter()
        return self._walk(value, found), found

    def _is_picture(self, value: str) -> bool:
        """A data URL with a picture that holds no known secret. To look for shapes among its letters would
        find none but by chance, and takes a second for 5 MB."""
        if not value.startswith("data:image/"):
            return False
        head, _, letters = value.partition(";base64,")
        try:
            data = b64decode(letters, validate=True) if len(head) < 32 else b""
        except ValueError:
            return False
        return data.startswith(_PICTURES) and not any(form in data for form in self.forms)

    def _holds_known(self, data: bytes, runs: bytes) -> bool:
        """All the runs of known secrets are looked for at once: of any that is there, one of the grams stands
        at a multiple of _STEP."""
        grams = iter_unpack(_SAMPLE, runs + bytes(-len(runs) % _STEP + _STEP))
        if not self._grams.isdisjoint(map(itemgetter(0), grams)) and any(
            run in runs for run in self._in_runs
        ):
            return True
        return any(form in data for form in self._anywhere)

    def _wrapped_secrets(self, text: bytes) -> Iterator[Found]:
        """Known secrets in encoded text that is broken into lines, wherever the breaks are."""
        for start, end in wrapped_blocks(text):
            joined = LINE_BREAK.sub(b"", text[start:end])
            if self._holds_known(joined, joined):
                places = unwrapped_places(text, start, end)
                for match in self._known.finditer(joined):
                    yield "known-secret", places[match.start()], places[match.end() - 1] + 1

    def _walk(self, value: Any, found: Counter[str]) -> Any:
        if isinstance(value, str):
            if self._is_picture(value):
                return value
            text, kinds = self.redact(value)
            found.update(kinds)
            return text
        if isinstance(value, list | tuple):
            return [self._walk(each, found) for each in value]
        if not isinstance(value, dict):
            return value
        clean: dict[str, Any] = {}
        for key, each in value.items():
            name = whole = self._walk(key, found)
            number = len(clean)
            while name in clean:  # two secrets of one kind
                number += 1
                name = f"{whole} {number}"
            clean[name] = self._named(key, each, found)
        return clean

    def _named(self, key: str, value: Any, found: Counter[str]) -> Any:
        """The value of a field: its name may tell that it is a secret."""
        if isinstance(value, str) and key.lower().endswith("authorization"):
            before = f"{key}: "
            text, kinds = self.redact(before + value)
            if kinds and text.startswith(before):
                found.update(kinds)
                return text[len(before) :]
        inner = self._walk(value, found)
        if isinstance(value, str) and inner == value and _is_named_secret(key, value):
            inner = _mark("secret", found)
        return inner

    def _searches(self, data: bytes) -> Iterator[_Find]:
        """The searches that are worth their time on `data`, in order. All secrets have to pass this look."""
        runs = b" ".join([b"", *(data[first:last] for first, last in long_runs(data))])
        if self._holds_known(data, runs):
            yield lambda text: (("known-secret", *match.span()) for match in self._known.finditer(text))
        if self.forms and LONG_LINE in data.translate(ENCODED):
            yield self._wrapped_secrets
        if b"PRIVATE KEY" in data:
            yield private_keys
        if b"AKIA" in runs or b"ASIA" in runs or AWS_ID_MARK in data:
            yield aws_secrets
        if TOKEN_BEGINS.search(runs):
            yield tokens
        if b"://" in data and b"@" in data:
            yield url_passwords
        if b"=" in data and (b"?" in data or b"&" in data):
            yield url_keys
        if b"earer" in data:
            yield bearer_tokens
        if b"asic " in data:
            yield basic_authorizations
        if MAY_BE_ASSIGNED.search(data):
            yield assigned_secrets


def _is_named_secret(name: str, value: str) -> bool:
    return len(value) <= 512 and is_assigned_secret(
        name.encode("utf-8", "replace"), value.encode("utf-8", "replace"), quoted=True
    )


def _replaced(data: bytes, find: _Find, found: Counter[str]) -> bytes:
    parts: list[bytes] = []
    position = 0
    for kind, start, end in find(data):
        parts += (data[position:start], _mark(kind, found).encode())
        position = end
    return b"".join((*parts, data[position:])) if parts else data


def _mark(kind: str, found: Counter[str]) -> str:
    found[kind] += 1
    return f"[redacted:{kind}]"


def unwrapped_places(text: bytes, start: int, end: int) -> list[int]:
    """Where in `text` each byte of `text[start:end]` stands, its line breaks left out."""
    places: list[int] = []
    for line_break in LINE_BREAK.finditer(text, start, end):
        places.extend(range(start, line_break.start()))
        start = line_break.end()
    places.extend(range(start, end))
    return places


def _forms(secret: str) -> Iterator[bytes]:
    """How `secret` may be written. Of base64 the part that it fills alone, at each of the three places it
    may begin at inside a longer text."""
    data = secret.encode("utf-8", "surrogatepass")
    in_json = json.dumps(secret)[1:-1]
    in_url = quote(secret, safe="", errors="surrogatepass")
    for text in (
        secret,
        in_json,
        json.dumps(in_json)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        in_url,
        re.sub(r"%..", lambda escape: escape[0].lower(), in_url),
        quote_plus(secret, errors="surrogatepass"),
        quote(secret, errors="surrogatepass"),
        repr(secret)[1:-1],
        repr(data)[2:-1],
        data.hex(),
        data.hex().upper(),
    ):
        yield text.encode("utf-8", "surrogatepass")
    encoded = [b64encode(data).rstrip(b"=")]
    for before in range(3):
        whole = (before + len(data)) // 3 * 3 - before  # up to the last full group of three bytes
        encoded.append(b64encode(b"\0" * before + data[:whole])[4 if before else 0 :])
    for form in encoded:
        if len(form) >= SHORTEST:
            yield form
            yield form.replace(b"+", b"-").replace(b"/", b"_")
