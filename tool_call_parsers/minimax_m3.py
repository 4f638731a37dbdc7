"""`]<]minimax[>[<invoke name="f">]<]minimax[>[<x>1]<]minimax[>[</x>…`: MiniMax M3.

Format: MiniMax M3's chat template. Every tag has a mark before it, so that values need no escapes. An
argument is an element named after it; the members of an object are elements in it, those of a list are named
`item`.
"""

import re
from collections.abc import Mapping
from typing import Any

from tool_call_parsers.family import Region, call
from tool_call_parsers.json_text import Cut
from tool_call_parsers.xml_calls import HEAD, XmlCalls
from tool_call_parsers.xml_parameters import object_text, properties_of, quoted, referred, typed, types_of

MARK = "]<]minimax[>["
_TAG = re.compile(re.escape(MARK) + r"<(/?)([^<>]{1,200})>")
_DEPTH = 100
_ITEM = "item"


class _Element:
    """A tag with what stands in it: text, or other elements; with both it is a text that has tags in it."""

    __slots__ = ("inner", "name", "start", "text")

    def __init__(self, name: str, start: int) -> None:
        self.name = name
        self.start = start
        self.text = ""
        self.inner: list[_Element] = []

    def close(self, text: str, end: int) -> None:
        """Settles which of the two it is."""
        if self.inner and self.text.strip():
            self.text, self.inner = text[self.start : end], []


class _Malformed(Exception):
    """Tags that do not go together."""


class MinimaxM3(XmlCalls):
    """Calls of MiniMax M3."""

    reasoning = (("<mm:think>", "</mm:think>"), ("<think>", "</think>"))
    wrappers = ((MARK + "<tool_call>", MARK + "</tool_call>"),)
    bare = False
    partial = True
    call_mark = MARK + "<invoke name="
    call_close = MARK + "</invoke>"
    call_head = r"""\]<\]minimax\[>\[<invoke name=["']?([^<>"']+)["']?\s*>"""
    parameter_mark = MARK + "<"
    parameter_close = MARK + "</"

    def _call(self, text: str, at: int, final: bool, mode: str) -> Region:
        head = self.head(text, at)
        if head is None:
            return Region(at + len(MARK), [], text[at : at + len(MARK)], then=mode)
        try:
            arguments, end = _elements(text, head.end)
        except _Malformed:
            close = text.find(self.call_close, head.end)
            if close < 0:
                raise Cut from None
            end = close + len(self.call_close)
            return Region(end, [], text[at:end], broken=True, then=mode)
        schema = self.tools.get(head.name)
        return Region(end, [call(head.name, _object(arguments, schema, schema))], then=mode)


def _elements(text: str, at: int) -> tuple[list[_Element], int]:
    """The elements up to the end of the call, and where that is. Raises Cut and _Malformed."""
    whole = _Element("invoke", at)
    open_ones = [whole]
    while True:
        mark = text.find(MARK, at)
        if mark < 0:
            raise Cut
        innermost = open_ones[-1]
        innermost.text += text[at:mark]
        tag = _TAG.match(text, mark)
        if tag is None:
            if len(text) < mark + HEAD and text.find(">", mark + len(MARK)) < 0:
                raise Cut
            raise _Malformed
        at = tag.end()
        if not tag[1]:
            open_ones.append(_Element(tag[2], at))
            innermost.inner.append(open_ones[-1])
            if len(open_ones) > _DEPTH:
                raise _Malformed
        elif tag[2] != innermost.name:
            raise _Malformed
        elif innermost is whole:
            if whole.text.strip():
                raise _Malformed
            return whole.inner, at
        else:
            open_ones.pop().close(text, mark)


def _object(elements: list[_Element], schema: Any, root: Any) -> str:
    """Elements as members of a JSON object. A name that comes again makes a list."""
    properties = properties_of(schema)
    other = schema.get("additionalProperties") if isinstance(schema, Mapping) else None
    members: dict[str, list[str]] = {}
    for each in elements:
        members.setdefault(each.name, []).append(_json(each, properties.get(each.name, other), root))
    return object_text({name: made[0] if len(made) == 1 else _list(made) for name, made in members.items()})


def _json(element: _Element, schema: Any, root: Any) -> str:
    """What an element holds: a list or an object if there are elements in it, else text."""
    if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
        schema = referred(schema["$ref"], root)
    if not isinstance(schema, Mapping):
        schema = {}
    allowed = types_of(schema, root) if schema else {"string"}
    inner = element.inner
    is_list = "array" in allowed or ("object" not in allowed and all(each.name == _ITEM for each in inner))
    if not inner and (element.text.strip() or not allowed & {"array", "object"} or "string" in allowed):
        return typed(element.text, schema, root) if schema else quoted(element.text)
    if is_list:
        items = _saying(schema, "items").get("items")
        return _list([_json(each, items, root) for each in inner])
    return _object(inner, _saying(schema, "properties", "additionalProperties"), root)


def _saying(schema: Mapping[str, Any], *words: str) -> Mapping[str, Any]:
    """The schema, or that of its alternatives, in which one of the words stands."""
    for choices in ([schema], schema.get("anyOf"), schema.get("oneOf")):
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, Mapping) and any(word in choice for word in words):
                return choice
    return {}


def _list(values: list[str]) -> str:
    return "[" + ", ".join(values) + "]"
