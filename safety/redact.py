"""Secrets taken out of text: `sk-…`, `ghp_…`, private keys, passwords in URLs, and values that are known.

Each becomes `[redacted:KIND]`. What merely looks random (hashes, UUIDs, encoded pictures) stays. Text without
secrets is passed at the speed of a few searches: only what could hold one is looked at closely. Doing it
twice changes nothing.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from safety.secret_shapes import (
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
    url_passwords,
)

SHORTEST = 8
"""Known secrets with fewer characters are left alone: they would be found in innocent words."""

_Find = Callable[[bytes], Iterable[Found]]


class Redactor:
    """`secrets` are values that must not appear, whether plain or in JSON, URL or base64 form; those
    shorter than SHORTEST are ignored."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._known = re.compile(b"|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
        # what has a long run is looked for among the runs alone, which are a small part of a text
        runs = {form: max(re.findall(rb"[A-Za-z0-9_-]{20,}", form), key=len, default=b"") for form in forms}
        self._in_runs = {run for run in runs.values() if run}
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

    def redact_json(self, value: Any) -> tuple[Any, Counter[str]]:
        """The same for a JSON value: every string in it, keys too. Strings that hold JSON text stay JSON."""
        found: Counter[str] = Counter()
        return self._walk(value, found), found

    def _walk(self, value: Any, found: Counter[str]) -> Any:
        if isinstance(value, str):
            text, kinds = self.redact(value)
            found.update(kinds)
            return text
        if isinstance(value, list):
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
        if any(run in runs for run in self._in_runs) or any(form in data for form in self._anywhere):
            yield lambda text: (("known-secret", *match.span()) for match in self._known.finditer(text))
        if b"PRIVATE KEY" in data:
            yield private_keys
        if TOKEN_BEGINS.search(runs):
            if b"AKIA" in runs or b"ASIA" in runs:
                yield aws_secrets
            yield tokens
        if b"://" in data and b"@" in data:
            yield url_passwords
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


def _forms(secret: str) -> Iterator[bytes]:
    """How `secret` may be written. Of base64 the part that it fills alone, at each of the three places it
    may begin at inside a longer text."""
    for text in (
        secret,
        quote(secret, safe="", errors="surrogatepass"),
        quote_plus(secret, errors="surrogatepass"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ):
        yield text.encode("utf-8", "surrogatepass")
    data = secret.encode("utf-8", "surrogatepass")
    encoded = [b64encode(data).rstrip(b"=")]
    for before in range(3):
        whole = (before + len(data)) // 3 * 3 - before  # up to the last full group of three bytes
        encoded.append(b64encode(b"\0" * before + data[:whole])[4 if before else 0 :])
    for form in encoded:
        if len(form) >= SHORTEST:
            yield form
            yield form.replace(b"+", b"-").replace(b"/", b"_")
