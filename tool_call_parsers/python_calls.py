"""Reads calls written as Python: `name(key="text", other=[1, None])`, from the middle of a longer text.

Nothing is evaluated. Values become JSON text: containers, tuples and sets as JSON has them, numbers as
written, `None`, `True` and `False` in JSON's spelling as well. Read beyond what Python allows, because models
write it: raw line breaks in strings, leading zeros, keywords such as `from` as parameters, and quotes of the
same kind within a string where only one reading makes a call.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tool_call_parsers.json_text import Broken, Cut, is_json
from tool_call_parsers.xml_parameters import object_text, quoted, types_of

# How deep containers may stand in one another, and how many strings may stand side by side.
_DEPTH, _PARTS = 50, 200
# Of a string with quotes in it: how many of them are looked at, and how many readings are tried.
_QUOTES, _READINGS = 500, 16
_BLANK = re.compile(r"\s*")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_KEY = re.compile(r"[^\W\d]\w*")
_OPENS_CALL = re.compile(r"\s*\(")
_PREFIX = re.compile(r"[rRuUfF]{0,2}(?='|\")")
_STRINGS = {
    "'": re.compile(r"(?:[^\\']+|\\.)*+'", re.S),
    '"': re.compile(r'(?:[^\\"]+|\\.)*+"', re.S),
    "'''": re.compile(r"(?:[^\\']+|\\.|'(?!''))*+'''", re.S),
    '"""': re.compile(r'(?:[^\\"]+|\\.|"(?!""))*+"""', re.S),
}
_NUMBER = re.compile(
    r"0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*)?\.?\d[\d_]*\.?(?:[eE][+-]?\d+)?", re.A
)
_INTEGER = re.compile(r"0*(\d+)", re.A)
_JSON_NUMBER = re.compile(r"(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.A)
_WORDS = {"None": "null", "null": "null", "True": "true", "true": "true", "False": "false", "false": "false"}
_ESCAPE = re.compile(r"\\(\n|[0-7]{1,3}|x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|.)", re.S)
_ESCAPES = {"\n": "", "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r"}
_ESCAPES |= {"t": "\t", "v": "\v"}
_FOLLOWERS = ",)]}:"
_LONGEST_INTEGER = 4000
_LONGEST_CONTAINER = 200_000


class PythonCall(NamedTuple):
    """A call, its arguments as JSON text, and where it ends in the text."""

    name: str
    arguments: str
    end: int


class _OddQuote(Broken):
    """A string ends where nothing can follow it: the quote may belong to its text."""

    def __init__(self, start: int, scanned: int) -> None:
        super().__init__(scanned)
        self.start = start


def skip(text: str, at: int) -> int:
    """The first position from `at` on that is not white space."""
    found = _BLANK.match(text, at)
    return found.end() if found else at


def begins_call(text: str, at: int, final: bool) -> bool:
    """Whether a name and a parenthesis stand at `at`. Raises Cut while that is open."""
    name = NAME.match(text, at)
    if name is None:
        if at >= len(text) and not final:
            raise Cut
        return False
    if _OPENS_CALL.match(text, name.end()):
        return True
    if not final and (
        skip(text, name.end()) >= len(text) or (name.end() == len(text) - 1 and text.endswith("."))
    ):
        raise Cut
    return False


def call_at(text: str, at: int, within: Callable[[], int | None]) -> PythonCall:
    """The call that starts at `at`. Raises Cut when the text ends before it does, Broken when it is none.

    within: tells where the text for calls ends; asked for a string with quotes in it. None: not known yet
    """
    try:
        return _Reader(text, {}).call(at)
    except _OddQuote as odd:
        end = within()
        if end is None:
            raise Cut from None
        found = _only_reading(text, at, odd.start, end)
        if found is None:
            raise
        return found


def literal(text: str) -> str | None:
    """The JSON text of a text that is one Python literal, else None."""
    try:
        value, end = _Reader(text + ",", {}).value(0, _DEPTH)
    except (Cut, Broken):
        return None
    return value if skip(text, end) == len(text) else None


def container(text: str, schema: Any, root: Any = None) -> str | None:
    """The JSON text of a dict or list as Python writes it, where the schema wants one; else None.

    Also of `None` where it may be null. Not where it may be a string: a text can look like any of them.
    """
    plain = text.strip()
    if not plain.startswith(("{", "[", "None")) or len(plain) > _LONGEST_CONTAINER:
        return None
    allowed = types_of(schema, root)
    found = None if "string" in allowed or is_json(plain) else literal(plain)
    kind = {"{": "object", "[": "array", "n": "null"}.get((found or "")[:1])
    return found if kind in allowed else None


def _only_reading(text: str, at: int, start: int, within: int) -> PythonCall | None:
    """The call, if exactly one closing quote before `within` of the string at `start` makes it one."""
    quote = text[start]
    found: dict[int, PythonCall] = {}
    tried = 0
    close = start
    for _ in range(_QUOTES):
        close = text.find(quote, close + 1, within)
        if close < 0 or tried >= _READINGS:
            break
        after = skip(text, close + 1)
        if after < len(text) and text[after] in _FOLLOWERS and text[close - 1] != "\\":
            tried += 1
            try:
                made = _Reader(text, {start: close}).call(at)
                if text.startswith((",", "]", "\n", "<"), skip(text, made.end)) or skip(
                    text, made.end
                ) == len(text):
                    found[close] = made
            except (Cut, Broken):
                pass
    return next(iter(found.values())) if len(found) == 1 else None


class _Reader:
    """One text, and for strings whose end is settled, where they end."""

    def __init__(self, text: str, ends: dict[int, int]) -> None:
        self.text = text
        self.ends = ends

    def call(self, at: int) -> PythonCall:
        """Name, parenthesis, keyword arguments, parenthesis."""
        text = self.text
        name = NAME.match(text, at)
        if name is None:
            raise Broken(at)
        at = self._expect("(", name.end())
        members: dict[str, str] = {}
        while True:
            at = self._next(at)
            if text[at] == ")":
                return PythonCall(name[0], object_text(members), at + 1)
            key = _KEY.match(text, at)
            if key is None:
                raise Broken(at)
            at = self._expect("=", key.end())
            members[key[0]], at = self.value(at, _DEPTH)
            at = self._separated(at, ")")

    def _next(self, at: int) -> int:
        at = skip(self.text, at)
        if at >= len(self.text):
            raise Cut
        return at

    def _expect(self, mark: str, at: int) -> int:
        at = self._next(at)
        if self.text[at] != mark:
            raise Broken(at)
        return at + 1

    def _separated(self, at: int, close: str) -> int:
        """Past a comma, or at the closing mark."""
        at = self._next(at)
        if self.text[at] == ",":
            return at + 1
        if self.text[at] != close:
            raise Broken(at)
        return at

    def value(self, at: int, depth: int) -> tuple[str, int]:
        """A value's JSON text and where it ends."""
        if depth <= 0:
            raise Broken(at)
        at = self._next(at)
        first = self.text[at]
        if first in "[(":
            return self._sequence(at + 1, depth, "]" if first == "[" else ")")
        if first == "{":
            return self._braces(at + 1, depth)
        if first in "+-":
            return self._signed(at, depth)
        if first.isdigit() or first == ".":
            return self._number(at)
        prefix = _PREFIX.match(self.text, at)
        if prefix:
            return self._string(prefix.end(), prefix[0].lower())
        word = _KEY.match(self.text, at)
        if word is None or (word[0] not in _WORDS and word.end() < len(self.text)):
            raise Broken(at)
        if word.end() >= len(self.text):
            raise Cut
        return _WORDS[word[0]], word.end()

    def _sequence(self, at: int, depth: int, close: str) -> tuple[str, int]:
        items: list[str] = []
        commas = 0
        while True:
            at = self._next(at)
            if self.text[at] == close:
                # A single value in parentheses is that value.
                single = close == ")" and len(items) == 1 and not commas
                return items[0] if single else "[" + ", ".join(items) + "]", at + 1
            item, at = self.value(at, depth - 1)
            items.append(item)
            after = self._separated(at, close)
            commas += self.text[after - 1] == "," and after > at
            at = after

    def _braces(self, at: int, depth: int) -> tuple[str, int]:
        members: dict[str, str] = {}
        items: list[str] = []
        while True:
            at = self._next(at)
            if self.text[at] == "}":
                return "[" + ", ".join(items) + "]" if items else object_text(members), at + 1
            item, at = self.value(at, depth - 1)
            at = self._next(at)
            if self.text[at] == ":" and not items:
                key = json.loads(item) if item.startswith('"') else item
                if item.startswith(("[", "{")):
                    raise Broken(at)
                members[key], at = self.value(at + 1, depth - 1)
            elif members:
                raise Broken(at)
            else:
                items.append(item)
            at = self._separated(at, "}")

    def _signed(self, at: int, depth: int) -> tuple[str, int]:
        number, end = self.value(at + 1, depth - 1)
        if not number.lstrip("-")[:1].isdigit():
            raise Broken(at)
        if self.text[at] == "+":
            return number, end
        return number[1:] if number.startswith("-") else "-" + number, end

    def _number(self, at: int) -> tuple[str, int]:
        found = _NUMBER.match(self.text, at)
        if found is None:
            raise Broken(at)
        if found.end() >= len(self.text):
            raise Cut
        if len(found[0]) > _LONGEST_INTEGER or _KEY.match(self.text, found.end()):
            raise Broken(found.end())
        plain = found[0].replace("_", "")
        whole = _INTEGER.fullmatch(plain)
        if whole:
            return whole[1], found.end()
        if plain[:1] == "0" and plain[1:2] in "xXoObB":
            try:
                return str(int(plain, 0)), found.end()
            except ValueError:
                raise Broken(found.end()) from None
        try:
            number = float(plain)
        except ValueError:
            raise Broken(found.end()) from None
        if not math.isfinite(number):
            raise Broken(found.end())
        return plain if _JSON_NUMBER.fullmatch(plain) else json.dumps(number), found.end()

    def _string(self, at: int, prefix: str) -> tuple[str, int]:
        """One string, or several that stand beside each other."""
        parts: list[str] = []
        while True:
            body, end = self._literal(at)
            if "f" in prefix and ("{" in body or "}" in body):
                raise Broken(end)
            parts.append(body if "r" in prefix else _ESCAPE.sub(_unescape, body))
            after = self._next(end)
            if self.text[after] in _FOLLOWERS:
                return quoted("".join(parts)), end
            more = _PREFIX.match(self.text, after) if after > end else None
            if more is None or len(parts) >= _PARTS:
                raise _OddQuote(at, after)
            at, prefix = more.end(), more[0].lower()

    def _literal(self, at: int) -> tuple[str, int]:
        """What stands between the quotes at `at`, and where the string ends."""
        text = self.text
        quote = text[at]
        if at in self.ends:
            return text[at + 1 : self.ends[at]], self.ends[at] + 1
        if text.startswith(quote * 2, at):
            if len(text) <= at + 2:
                raise Cut
            quote = quote * 3 if text[at + 2] == quote else quote
        found = _STRINGS[quote].match(text, at + len(quote))
        if found is None:
            raise Cut
        return text[at + len(quote) : found.end() - len(quote)], found.end()


def _unescape(escape: "re.Match[str]") -> str:
    code = escape[1]
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code[0] in "xuU" and len(code) > 1:
        number = int(code[1:], 16)
    elif code[0] in "01234567":
        number = int(code, 8)
    else:
        return escape[0]
    return chr(number) if number < 0x110000 else escape[0]
