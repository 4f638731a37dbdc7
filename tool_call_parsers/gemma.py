"""`<|tool_call>call:f{x:<|"|>text<|"|>,n:1}<tool_call|>`: Gemma 4 and FunctionGemma.

Formats: the models' chat templates. Strings stand between marks of their own, everything else is bare,
and keys have no quotes. Bare values are typed by the tool's schema.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from tool_call_parsers.family import Family, Region, bracket, call, cut_off
from tool_call_parsers.json_text import Broken
from tool_call_parsers.python_calls import container
from tool_call_parsers.xml_calls import skip
from tool_call_parsers.xml_parameters import guessed, object_text, properties_of, quoted, typed, types_of

Schema = Mapping[str, Any]
_DEPTH = 50
_BARE = re.compile(r"[^,}\]]*")
_BLANKS = re.compile(r"[\s,]*")
_NAME = 1000


class _Body(NamedTuple):
    """The text of a call, from its first member to its closing tag, and what types its values."""

    text: str
    end: int
    quote: str
    root: Any
    known: bool
    strict: bool


class Gemma4(Family):
    """Calls of Gemma 4."""

    opening: ClassVar[str] = "<|tool_call>"
    closing: ClassVar[str] = "<tool_call|>"
    quote: ClassVar[str] = '<|"|>'
    head: ClassVar["re.Pattern[str]"] = re.compile(r"\s*(?:call)?:([^{}()<>]*)([({]?)")
    openers: ClassVar[tuple[str, ...]] = ("<|tool_call>", "<tool_call|>")
    reasoning = (("<|channel>", "<channel|>"),)
    all_or_nothing = False

    def read(self, text: str, at: int, final: bool, mode: str) -> Region | None:
        """A call with its tags; a closing tag alone means nothing."""
        if text.startswith(self.closing, at):
            return bracket(at, self.closing)
        start = at + len(self.opening)
        close = self._close(text, start)
        if close < 0:
            return self._unfinished(text, at, start) if final else None
        return self._call(text, at, start, close)

    def _call(self, text: str, at: int, start: int, close: int) -> Region:
        end = min(close + len(self.closing), len(text))
        head = self.head.match(text, start, min(close, start + _NAME))
        name = head[1].strip() if head else ""
        if head is None or not name:
            return Region(end, [], text[at:end], broken=True)
        if not head[2]:
            return Region(end, [call(name, "{}")])
        body = _Body(text, close, self.quote, self.tools.get(name), name in self.tools, self.strict)
        try:
            members, _ = _members(body, head.end(), properties_of(body.root), _DEPTH)
        except Broken:
            return Region(end, [], text[at:end], broken=True)
        return Region(end, [call(name, object_text(members))])

    def _close(self, text: str, at: int) -> int:
        """The closing tag that stands outside of strings, else the first one, else -1."""
        first = close = text.find(self.closing, at)
        quote = text.find(self.quote, at, max(close, 0))
        while quote >= 0:
            after = text.find(self.quote, quote + len(self.quote))
            if after < 0:
                return first if self.strict else -1
            after += len(self.quote)
            close = close if close >= after else text.find(self.closing, after)
            quote = text.find(self.quote, after, max(close, 0))
        return close

    def _unfinished(self, text: str, at: int, start: int) -> Region:
        if self.strict:
            return self._call(text, at, start, len(text))
        following = text.find(self.opening, start)
        if following < 0:
            return cut_off(text, at)
        return Region(following, [], text[at:following], broken=True, scanned=len(text))


class FunctionGemma(Gemma4):
    """Calls of FunctionGemma: other tags; what stands between marks may be any JSON."""

    opening = "<start_function_call>"
    closing = "<end_function_call>"
    quote = "<escape>"
    head = re.compile(r"\s*call:([\w.\-]+)\s*(\{)")
    openers = ("<start_function_call>",)
    reasoning = (("<think>", "</think>"),)


def _members(body: _Body, at: int, properties: Schema, depth: int) -> tuple[dict[str, str], int]:
    """The members up to a closing brace or the end of the call. Raises Broken."""
    members: dict[str, str] = {}
    while True:
        at = _past(body, at)
        if at >= body.end or body.text[at] in "})":
            return members, min(at + 1, body.end)
        colon = body.text.find(":", at, body.end)
        if colon < 0:
            return members, body.end
        key = body.text[at:colon].strip().removeprefix(body.quote).removesuffix(body.quote)
        known = properties.get(key) if isinstance(properties.get(key), Mapping) else None
        members[key], at = _value(body, colon + 1, known, depth)


def _value(body: _Body, at: int, schema: Schema | None, depth: int) -> tuple[str, int]:
    at = min(skip(body.text, at), body.end)
    if depth <= 0:
        raise Broken(at)
    if body.text.startswith(body.quote, at):
        return _string(body, at + len(body.quote), schema)
    if body.text.startswith("{", at):
        members, end = _members(body, at + 1, properties_of(schema), depth - 1)
        return object_text(members), end
    if body.text.startswith("[", at):
        items: list[str] = []
        inner = schema.get("items") if schema else None
        at += 1
        while True:
            at = _past(body, at)
            if at >= body.end or body.text[at] == "]":
                return "[" + ", ".join(items) + "]", min(at + 1, body.end)
            before = at
            item, at = _value(body, at, inner if isinstance(inner, Mapping) else None, depth - 1)
            if at <= before:
                raise Broken(at)
            items.append(item)
    return _bare(body, at, schema)


def _string(body: _Body, at: int, schema: Schema | None) -> tuple[str, int]:
    close = body.text.find(body.quote, at, body.end)
    if close < 0 and not body.strict:
        raise Broken(body.end)
    value = body.text[at : close if close >= 0 else body.end]
    end = close + len(body.quote) if close >= 0 else body.end
    if body.quote == FunctionGemma.quote and schema is None:
        return guessed(value), end
    if body.quote == FunctionGemma.quote and not body.strict:
        found = container(value, schema, body.root)
        if found is not None:
            return found, end
    return typed(value, schema, body.root) if schema else quoted(value), end


def _bare(body: _Body, at: int, schema: Schema | None) -> tuple[str, int]:
    found = _BARE.match(body.text, at, body.end)
    end = found.end() if found else at
    raw = body.text[at:end].strip()
    if raw == "None" and not body.strict and (not schema or types_of(schema, body.root) != {"string"}):
        return "null", end
    if schema:
        return typed(raw, schema, body.root), end
    return quoted(raw) if body.strict else guessed(raw), end


def _past(body: _Body, at: int) -> int:
    found = _BLANKS.match(body.text, at, body.end)
    return found.end() if found else at
