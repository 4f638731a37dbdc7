"""What secrets look like: the shapes that providers publish, and what tells a random text from a name.

Each shape begins with letters that hardly anything else begins with, so that hashes, UUIDs, identifiers and
encoded pictures keep out of it. The prefixes are those of the providers' own documentation and of the public
list of secret scanning, https://docs.github.com/en/code-security/secret-scanning. Every pattern is linear in
the text, whatever it holds. Text is UTF-8 here: bytes are searched several times as fast as characters.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple, TypeAlias

Found: TypeAlias = tuple[str, int, int]
"""The kind of a secret, and where it begins and ends in a text."""


def _any(_: bytes) -> bool:
    return True


def _has_digit(value: bytes) -> bool:
    return re.search(rb"\d", value) is not None


def _is_random(value: bytes) -> bool:
    """Whether somewhere in it 16 letters and digits stand together, as in no name that a person gave."""
    chunks = re.findall(rb"[A-Za-z0-9]{16,}", value)
    return any(not chunk.isalpha() and not chunk.isdigit() for chunk in chunks)


class Token(NamedTuple):
    """`begins` and `rest` are regular expressions and together the secret, of 20 characters at least.

    At least 20 of [A-Za-z0-9_-] stand together in it, and at most 12 characters of `begins` before those.
    (`long_runs` looks twice as far back, for an escape in front of it.)
    """

    kind: str
    begins: str
    rest: str
    check: Callable[[bytes], bool] = _any


TOKENS = (
    Token("anthropic-key", "sk-ant-", "[A-Za-z0-9_-]{20,}", _has_digit),
    Token("openrouter-key", "sk-or-", "[A-Za-z0-9_-]{20,}", _is_random),
    Token("stripe-key", "[sr]k_(?:live|test)_|whsec_", "[A-Za-z0-9]{16,}"),
    Token("api-key", "sk-", "[A-Za-z0-9_-]{20,}", _is_random),
    Token("github-token", "gh[pousr]_", "[A-Za-z0-9]{30,}"),
    Token("github-token", "github_pat_", "[A-Za-z0-9_]{40,}"),
    Token("gitlab-token", "glpat-", "[A-Za-z0-9_-]{20,}", _has_digit),
    Token("aws-key-id", "AKIA|ASIA", "[A-Z0-9]{16}", _has_digit),
    Token("google-key", "AIza", "[A-Za-z0-9_-]{35}(?![_-])"),
    Token("google-token", "GOCSPX-", "[A-Za-z0-9_-]{28}"),
    Token("google-token", r"ya29\.", "[A-Za-z0-9_-]{30,}"),
    Token("slack-token", "xox[abeoprs]-|xapp-", "[A-Za-z0-9-]{20,}", _has_digit),
    Token("huggingface-token", "hf_", "[A-Za-z0-9]{30,}"),
    Token("npm-token", "npm_", "[A-Za-z0-9]{36}"),
    Token("pypi-token", "pypi-AgE", "[A-Za-z0-9_-]{50,}"),
    Token("groq-key", "gsk_", "[A-Za-z0-9]{40,}"),
    Token("xai-key", "xai-", "[A-Za-z0-9]{60,}"),
    Token("nvidia-key", "nvapi-", "[A-Za-z0-9_-]{40,}"),
    Token("firecrawl-key", "fc-", "[0-9a-f]{32}"),
    Token("tavily-key", "tvly-", "[A-Za-z0-9-]{20,}", _is_random),
    Token("sendgrid-key", r"SG\.", r"[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{40,46}"),
    Token("digitalocean-token", "do[opr]_v1_", "[0-9a-f]{64}"),
    Token("telegram-token", "[0-9]{8,10}:AA", "[A-Za-z0-9_-]{33}(?![_-])"),
    Token("jwt", "eyJ", r"(?<![_-]eyJ)[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}"),
)

_LONG_RUN = b"w" * 20
_MOST_BEFORE = 24
_CLASSES = bytes(
    ord("w") if byte < 128 and (chr(byte).isalnum() or chr(byte) in "_-") else ord(" ") for byte in range(256)
)
LONG_LINE = b"w" * 60
"""Encoders break lines at 60 (`xxd -p`), 64 (PEM, openssl) or 76 characters (MIME, base64)."""
ENCODED = bytes(
    ord("w") if byte < 128 and (chr(byte).isalnum() or chr(byte) in "+/_-") else byte for byte in range(256)
)
LINE_BREAK = re.compile(rb"\r?\n|(?:\\+r)?\\+n")
"""As it stands, or escaped in JSON."""
_NOT_ENCODED = re.compile(rb"[^A-Za-z0-9+/_-]")
_BEGIN = "|".join(token.begins for token in TOKENS)
_BEFORE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4}))"
"""Not in the middle of a word; in JSON text the letter of an escape such as `\\n` may stand before."""
_TOKEN = "|".join(f"((?:{token.begins}){token.rest})" for token in TOKENS)

TOKEN_BEGINS = re.compile(rf"[^A-Za-z0-9](?:[nrtbf]|u[0-9A-Fa-f]{{4}})?(?:{_BEGIN})".encode())
"""Found in front of and in the long runs of every text that holds a token."""
_PLACE = re.compile(_BEGIN.encode())
_ANY_TOKEN = re.compile(f"{_BEFORE}(?:{_TOKEN})(?![A-Za-z0-9])".encode())
"""Group n + 1 is `TOKENS[n]`."""

_BEARER = re.compile(rb"earer(?<=\b[Bb]earer)(?:\s|%20|\+){1,4}([A-Za-z0-9_.~+/=-]{16,})")
_BASIC = re.compile(rb"asic (?<=\b[Bb]asic )([A-Za-z0-9+/=]{8,})")
_HEADER = re.compile(rb"authorization[\\\"']{0,8}\s{0,4}[:=]\s{0,4}[\\\"']{0,8}b\Z")
_URL_PASSWORD = re.compile(rb"://[^\s/@:\"'<>\\{}$]{0,100}:([^\s/@\"'<>\\{}$*\[\]]{1,200})@(?=[A-Za-z0-9\[])")
"""What is in braces or begins with a dollar sign is the place for a password, not one."""

_URL_KEY = re.compile(rb"[?&;]([A-Za-z0-9_.-]{0,40})=([A-Za-z0-9_.~%+/-]{16,})(?![(\[])")
_URL_KEY_NAME = re.compile(
    rb"(?:key|token|sig|signature|secret|password|passwd|auth|credential|(?<![a-z])code)\Z", re.IGNORECASE
)

_WORD_FOR_PASSWORD = re.compile(rb"pass(?:word|wd)?|pwd?|secret", re.IGNORECASE)

AWS_ID_MARK = b"[redacted:aws-key-id]"
_KEY_ID = re.compile(
    rb"A[KS]IA(?:(?<![A-Za-z0-9]A[KS]IA)|(?<=\\[nrtbf]A[KS]IA)|(?<=\\u[0-9A-Fa-f]{4}A[KS]IA))"
    rb"[A-Z0-9]{16}(?![A-Za-z0-9])|" + re.escape(AWS_ID_MARK)
)
"""One that was taken out already has its secret beside it as well."""
AWS_SECRET = re.compile(
    rb"(?:(?<![A-Za-z0-9/+\\])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4}))[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)
_NEAR = 300

_PEM_BEGIN = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(rb"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_LINES = re.compile(rb"(?:(?:\\+[nr]|\s){1,8}[A-Za-z0-9+/=]{16,})+")
_LONGEST_PEM = 16_384

# what is assigned holds no sign of assignment, so no place is looked at twice
MAY_BE_ASSIGNED = re.compile(rb"[:=][>=\s\\\"'`]{0,13}(?=[A-Za-z0-9_+/.~-]{16})[A-Za-z_+/.~-]*[0-9]")
"""Found in every text in which `assigned_secrets` finds something."""
_ASSIGNED = re.compile(rb"[:=][=>]?\s{0,4}([\\\"'`]{0,8})([A-Za-z0-9_+/.~-]{16,}+={0,2})(?![(\[])")
_SECRET_NAME = re.compile(
    rb"(?:(?P<strong>api[_-]?key|secret(?:[_-]?(?:access[_-]?)?key)?|access[_-]?key|private[_-]?key"
    rb"|(?:encryption|signing|master|service|account|auth)[_-]?key|password|passwd|passphrase|[_-]pwd"
    rb"|(?:access|auth|api|bot|refresh|bearer|personal|deploy|secret|github|gitlab|slack|hf)[_-]?token)"
    rb"|(?<![A-Za-z0-9])(?<![A-Za-z0-9][_-])token)\Z",
    re.IGNORECASE,
)
"""The end of a name that holds a secret. A bare `token` may as well be a mark to go on reading from."""
_MARK_END = re.compile(rb"\[redacted:[a-z-]+\Z")
_AN_ID = re.compile(rb"[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_EXAMPLE = re.compile(rb"your|example|placeholder|changeme|dummy|x{4}|\.{3}|1234567890", re.IGNORECASE)


def long_runs(text: bytes) -> Iterator[tuple[int, int]]:
    """Where tokens can be: each run of 20 or more of [A-Za-z0-9_-], with what may stand before it."""
    classes = text.translate(_CLASSES) + b" "
    start = classes.find(_LONG_RUN)
    while start >= 0:
        end = classes.find(b" ", start + len(_LONG_RUN))
        yield max(0, start - _MOST_BEFORE), end
        start = classes.find(_LONG_RUN, end)


def wrapped_blocks(text: bytes) -> Iterator[tuple[int, int]]:
    """Base64 or hexadecimal text over several lines, the first of them long."""
    classes = text.translate(ENCODED)
    start = classes.find(LONG_LINE)
    while start >= 0:
        end = _end_of_line(text, start)
        lines = 1
        while line_break := LINE_BREAK.match(text, end):
            end = _end_of_line(text, line_break.end())
            lines += 1
        if lines > 1:
            yield start, end
        start = classes.find(LONG_LINE, end)


def _end_of_line(text: bytes, start: int) -> int:
    beyond = _NOT_ENCODED.search(text, start)
    return beyond.start() if beyond else len(text)


def tokens(text: bytes) -> Iterator[Found]:
    end = 0
    for first, last in _runs_with_begins(text):
        for place in _PLACE.finditer(text, max(first, end), last):
            match = _ANY_TOKEN.match(text, place.start()) if place.start() >= end else None
            if match is not None:
                end = match.end()
                token = TOKENS[(match.lastindex or 1) - 1]
                if token.check(match[0]):
                    yield token.kind, *match.span()


def _runs_with_begins(text: bytes) -> Iterator[tuple[int, int]]:
    """Those of `long_runs` in or before which a token may begin; one search finds them all."""
    runs = list(long_runs(text))
    ends = list(accumulate(1 + last - first for first, last in runs))
    joined = b" ".join([b"", *(text[first:last] for first, last in runs)])
    seen = -1
    for begin in TOKEN_BEGINS.finditer(joined):
        run = bisect_left(ends, begin.end() - 1)
        if run != seen:
            seen = run
            yield runs[run]


def url_passwords(text: bytes) -> Iterator[Found]:
    for match in _URL_PASSWORD.finditer(text):
        if not _WORD_FOR_PASSWORD.fullmatch(match[1]):
            yield "url-password", *match.span(1)


def url_keys(text: bytes) -> Iterator[Found]:
    """The value of what the query of a URL calls a key, a token, a signature, if it is random."""
    for match in _URL_KEY.finditer(text):
        value = match[2]
        named = _URL_KEY_NAME.search(match[1]) is not None
        an_id = match[1].lower() in (b"key", b"code") and _AN_ID.fullmatch(value)
        if named and not an_id and not _EXAMPLE.search(value) and _is_mixed(value, 3):
            yield "url-key", *match.span(2)


def bearer_tokens(text: bytes) -> Iterator[Found]:
    for match in _BEARER.finditer(text):
        if _has_digit(match[1]) and re.search(rb"[A-Za-z0-9]{8}", match[1]):
            yield "bearer-token", *match.span(1)


def basic_authorizations(text: bytes) -> Iterator[Found]:
    """The name and password behind `Authorization: Basic`."""
    for match in _BASIC.finditer(text):
        if _HEADER.search(text[max(0, match.start() - 50) : match.start()].lower()):
            yield "basic-authorization", *match.span(1)


def is_assigned_secret(name: bytes, value: bytes, *, quoted: bool) -> bool:
    """Whether what `name` is set to is a secret: by its name, and by being as random as a key alone is."""
    named = _SECRET_NAME.search(name[-40:])
    if named is None or len(value) < 16 or value.startswith((b"/", b"./", b"../", b"~/")):
        return False
    if _EXAMPLE.search(value) or (not named["strong"] and _AN_ID.fullmatch(value)):
        return False
    return _is_mixed(value, 1 if quoted else 3)


def _is_mixed(value: bytes, least: int) -> bool:
    """Whether letters and digits change places `least` times, and eight different ones are there."""
    changes = len(re.findall(rb"[A-Za-z](?=[0-9])|[0-9](?=[A-Za-z])", value))
    return changes >= least and len(set(value)) >= 8


def assigned_secrets(text: bytes) -> Iterator[Found]:
    """Values that are set to a name of secrets, as in `api_key = "…"` and `"password": "…"`."""
    for match in _ASSIGNED.finditer(text):
        name = text[max(0, match.start() - 60) : match.start()].rstrip(b" \t\r\n\\\"'`]")
        ours = _MARK_END.search(name) is not None
        if not ours and is_assigned_secret(name, match[2], quoted=bool(match[1])):
            yield "secret", *match.span(2)


def aws_secrets(text: bytes) -> Iterator[Found]:
    """Secret keys near the id of an AWS key: they have no shape of their own."""
    seen = 0
    for key_id in _KEY_ID.finditer(text):
        near = key_id.end() + _NEAR
        for match in AWS_SECRET.finditer(text, max(seen, key_id.start() - _NEAR), near):
            value = match[0]
            whole = match.end() < near or match.end() == len(text)
            if whole and _has_digit(value) and value.upper() != value != value.lower():
                yield "aws-secret-key", *match.span()
        seen = near - 41  # one that ends beyond begins after here


def private_keys(text: bytes) -> Iterator[Found]:
    """Private keys in PEM or armour, also those whose end is cut off."""
    position = 0
    while begin := _PEM_BEGIN.search(text, position):
        end = _PEM_END.search(text, begin.end(), begin.end() + _LONGEST_PEM)
        body = text[begin.end() : end.start()] if end else b""
        lines = _PEM_LINES.match(text, begin.end())
        if end and b"-----BEGIN" not in body and len(re.findall(rb"[A-Za-z0-9]", body)) >= 40:
            position = end.end()
        elif lines:
            position = lines.end()
        else:
            position = begin.end()
            continue
        yield "private-key", begin.start(), position
