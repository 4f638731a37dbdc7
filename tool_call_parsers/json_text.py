"""Reads JSON inside a longer text and keeps its exact spelling.

Values are decoded only to learn their shape. What goes out is the text itself, so that numbers beyond 2**53,
`1.0`, key order and escapes come through as the model wrote them.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple

BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_CONTROL = re.compile(r"[\x00-\x1f]")
# The longest token whose error position is its start and which may be cut off: "-Infinity".
_TOKEN = 9
# An object with more members than this at its top is no call.
_MEMBERS = 1000
# A value is looked for in a piece of this many characters, then in longer ones: an error costs
# time for all the text before it (it counts the lines).
_PIECE = 1000
# Characters that a refused nesting has cost, as an estimate for those who count work.
_NESTING = 16_000


class Cut(Exception):
    """The text ends before the value does."""


class Broken(Exception):
    """The text is not JSON, whatever may follow. `scanned`: how far it was read."""

    def __init__(self, scanned: int) -> None:
        super().__init__(f"not JSON at {scanned}")
        self.scanned = scanned


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


class Member(NamedTuple):
    """A member of an object: its decoded value and its text."""

    value: Any
    text: str


def _refuse(word: str) -> Any:
    raise ValueError(word)


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse, strict=False)


def value_at(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that starts at `at` (after blanks) and where it ends. Raises Cut or Broken.

    Raw control characters in strings are allowed. NaN and Infinity are not JSON.
    """
    start = skip_blanks(text, at)
    size = _PIECE
    while True:
        whole = start + size >= len(text)
        piece = text[start : start + size]
        try:
            value, end = _DECODER.raw_decode(piece)
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated string") or error.pos > len(piece) - _TOKEN
            if not cut:
                raise Broken(start + error.pos) from None
            if whole:
                raise Cut from None
        except (ValueError, RecursionError):
            raise Broken(min(len(text), start + _NESTING)) from None
        else:
            if whole or end < len(piece):
                return value, start + end
        size *= 8


def members_at(text: str, at: int) -> tuple[dict[str, Member], int]:
    """The members of the object that starts at `at` and where the object ends. Raises Cut or Broken."""
    start = skip_blanks(text, at)
    if not text.startswith("{", start):
        if start >= len(text):
            raise Cut
        raise Broken(start)
    _, end = value_at(text, start)
    members: dict[str, Member] = {}
    at = skip_blanks(text, start + 1)
    for _ in range(_MEMBERS):
        if text[at] == "}":
            return members, end
        key, at = scanstring(text, at + 1, False)
        at = skip_blanks(text, skip_blanks(text, at) + 1)
        value, stop = _DECODER.raw_decode(text, at)
        members[key] = Member(value, text[at:stop])
        at = skip_blanks(text, stop)
        if text[at] == ",":
            at = skip_blanks(text, at + 1)
    raise Broken(end)


def skip_blanks(text: str, at: int) -> int:
    """The first position from `at` on that is not JSON white space."""
    found = BLANK.match(text, at)
    return found.end() if found else at


def exact(text: str) -> str:
    """JSON text as it was written, with raw control characters inside strings escaped."""
    text = text.strip()
    if not _CONTROL.search(text):
        return text
    return _STRING.sub(lambda string: _CONTROL.sub(_escape, string[0]), text)


def _escape(control: "re.Match[str]") -> str:
    return json.dumps(control[0])[1:-1]


def is_json(text: str) -> bool:
    """Whether the whole text is one JSON value."""
    try:
        _, end = value_at(text, 0)
    except (Cut, Broken):
        return False
    return skip_blanks(text, end) == len(text)


def number_or_text(value: Any) -> Any:
    """A decoded value with its numbers turned into Python's, for those who need the value itself."""
    if isinstance(value, Number):
        return json.loads(value)
    if isinstance(value, list):
        return [number_or_text(item) for item in value]
    if isinstance(value, dict):
        return {key: number_or_text(item) for key, item in value.items()}
    return value
