"""Calls written as a tag with the tool's name around one tagged text a parameter.

`<function=f><parameter=x>1</parameter></function>`, mostly with a wrapper such as `<tool_call>` around it,
and its relatives. The values are bare text: they are typed by the tool's schema (`xml_parameters.py`), and
they are not escaped, so a value may hold what looks like a tag. By default a closing tag counts where
something of the call follows it, and whole calls inside a value are part of the value. With `strict` the
first closing tag counts, as in the reference engines.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from tool_call_parsers.family import Family, Region, bracket, call, cut_off, may_begin, plain
from tool_call_parsers.json_text import Cut
from tool_call_parsers.xml_parameters import guessed, object_text, properties_of, quoted, typed

_BLANK = re.compile(r"\s*")
# The longest head of a call or parameter: more text without the end of the tag is no call.
HEAD = 1000


class Head(NamedTuple):
    """The opening tag of a call or of a parameter: what it names, where it ends, what it says of the type."""

    name: str
    end: int
    kind: str = ""


class XmlCalls(Family):
    """Reads calls of tags within tags. A family states its tags and how their heads are read.

    wrappers:   pairs of tags that may stand around one or more calls
    bare:       calls without a wrapper count
    call_mark, call_close, parameter_mark, parameter_close: how a call and a parameter begin and end
    call_head:  regular expression of a whole opening tag of a call with group 1, the name
    parameter_head: the same for a parameter; group "kind" may say how its value is written
    swallowed:  tags that mean nothing anywhere
    trim:       what is taken off a value: "" nothing, "newline" one at each end, "blank" all white space
    tight:      values are written without that: a value that does not begin with white space keeps its end
    open_ended: the next parameter ends one that was not closed
    declared_only: with `strict`, a call of a tool that is not among the tools is left out
    partial:    with `strict`, a call that is cut off is returned with what it has
    untyped:    what values are without tools: "text" or "json"
    """

    all_or_nothing: ClassVar[bool] = False
    wrappers: ClassVar[tuple[tuple[str, str], ...]] = ()
    bare: ClassVar[bool] = True
    call_mark: ClassVar[str] = "<invoke name="
    call_close: ClassVar[str] = "</invoke>"
    parameter_mark: ClassVar[str] = "<parameter name="
    parameter_close: ClassVar[str] = "</parameter>"
    call_head: ClassVar[str] = r"""<invoke name=["']?([^<>"']*)["']?\s*>"""
    parameter_head: ClassVar[str] = r"""<parameter name=["']?([^<>"']*)["']?\s*>"""
    swallowed: ClassVar[tuple[str, ...]] = ()
    trim: ClassVar[str] = ""
    tight: ClassVar[bool] = False
    open_ended: ClassVar[bool] = False
    declared_only: ClassVar[bool] = False
    partial: ClassVar[bool] = False
    untyped: ClassVar[str] = "text"
    # Made by __init_subclass__ from the above.
    _tags: ClassVar["_Tags"]
    _own_openers: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls._tags = _Tags(cls)
        cls._own_openers = cls._own_openers or "openers" in cls.__dict__
        if not cls._own_openers:
            cls.openers = tuple(
                dict.fromkeys(
                    (
                        *cls._tags.opens,
                        *cls._tags.closes,
                        *((cls.call_mark,) if cls.bare else ()),
                        *cls.swallowed,
                    )
                )
            )

    def __init__(self, tools: Mapping[str, Mapping[str, Any]], strict: bool = False) -> None:
        super().__init__(tools, strict)
        self._left = ""

    def read(self, text: str, at: int, final: bool, mode: str) -> Region | None:
        """A call, a tag around calls, or text that looked like one. The mode is a wrapper's closing tag."""
        try:
            return self._inside(text, at, final, mode) if mode else self._outside(text, at, final)
        except Cut:
            return self._unfinished(text, at) if final else None

    def _outside(self, text: str, at: int, final: bool) -> Region:
        for mark in (*self.swallowed, *self._tags.closes):
            if text.startswith(mark, at) and mark != self.call_mark:
                return (
                    bracket(at, mark)
                    if mark in (*self.swallowed, self._left)
                    else plain(text, at, at + len(mark))
                )
        for opening, closing in self.wrappers:
            if text.startswith(opening, at):
                after = skip(text, at + len(opening))
                if text.startswith(self.call_mark, after) and self.head(text, after) is None:
                    return plain(text, at, after)
                if text.startswith((self.call_mark, closing, opening), after):
                    return bracket(at, opening, closing)
                if not final and may_begin(text, after, self.call_mark, closing, opening):
                    raise Cut
                return plain(text, at, at + len(opening))
        return self._call(text, at, final, "")

    def _inside(self, text: str, at: int, final: bool, closing: str) -> Region:
        after = skip(text, at)
        for mark in (closing, *self.swallowed):
            if text.startswith(mark, after):
                return Region(after + len(mark), then="" if mark == closing else closing)
        if text.startswith(self.call_mark, after):
            return self._call(text, after, final, closing)
        opening = next((mark for mark in self._tags.opens if text.startswith(mark, after)), None)
        if opening:
            return Region(after + len(opening), then=dict(self.wrappers)[opening])
        if after >= len(text):
            if not final:
                raise Cut
            return Region(len(text))
        if not final and may_begin(text, after, self.call_mark, closing, *self._tags.opens, *self.swallowed):
            raise Cut
        self._left = closing
        return Region(at)

    def head(self, text: str, at: int) -> Head | None:
        """The opening tag of the call at `at`; None when it is none. Raises Cut."""
        return head_at(text, at, self._tags.call_head, after=len(self.call_mark))

    def parameter(self, text: str, at: int) -> Head | None:
        """The opening tag of the parameter at `at`; None when it is none. Raises Cut."""
        return head_at(text, at, self._tags.parameter_head, after=len(self.parameter_mark))

    def made(self, name: str, members: Mapping[str, str], raw: str) -> Region | None:
        """The call, or None when the family takes it for none. `end` is set by the caller."""
        return Region(0, [call(name, object_text(members))])

    def _call(self, text: str, at: int, final: bool, mode: str) -> Region:
        head = self.head(text, at)
        if head is None:
            return plain(text, at, at + len(self.call_mark))
        members: dict[str, str] = {}
        try:
            end = self._parameters(text, head, members, final)
        except Cut:
            if not (final and self.strict and self.partial):
                raise
            end = len(text)
        if self.strict and self.declared_only and self.tools and head.name not in self.tools:
            return Region(end, [], then=mode)
        made = self.made(head.name, members, text[at:end])
        if made is None:
            return Region(end, [], text[at:end], broken=True, then=mode)
        return made._replace(end=end, then=mode)

    def _parameters(self, text: str, head: Head, members: dict[str, str], final: bool) -> int:
        """Reads the parameters into `members`; where the call ends. Raises Cut."""
        at = head.end
        while True:
            at = skip(text, at)
            if text.startswith(self.call_close, at):
                return at + len(self.call_close)
            if text.startswith(self.parameter_mark, at):
                found = self.parameter(text, at)
                if found is None:
                    at += len(self.parameter_mark)
                    continue
                end, at = self._value_end(text, found.end, final)
                if end >= found.end:
                    members[found.name] = self.value(head.name, found, text[found.end : end])
                continue
            mark = self._tags.structure.search(text, at)
            if mark is None:
                raise Cut
            at = mark.start()
            if mark.lastgroup == "other":
                return at

    def _value_end(self, text: str, start: int, final: bool) -> tuple[int, int]:
        """Where a value ends (-1: it is dropped), and where what follows begins. Raises Cut."""
        depth = 0
        fallback: tuple[int, int] | None = None
        tags = self._tags
        if not self.strict and all(text.find(mark, start) < 0 for mark in (self.call_close, *tags.closes)):
            raise Cut
        for mark in tags.in_value.finditer(text, start):
            kind = mark.lastgroup
            if kind == "nested":
                depth += 0 if self.strict else 1
            elif kind == "call_close":
                if depth:
                    depth -= 1
                elif self.strict or self._followed(text, mark.end(), tags.after_call, final):
                    return fallback or (-1 if self.strict else mark.start(), mark.start())
            elif depth:
                continue
            elif kind == "next":
                return fallback or (mark.start(), mark.start())
            elif self.strict or self._followed(text, mark.end(), tags.after_parameter, final):
                return mark.start(), mark.end()
            else:
                fallback = fallback or (mark.start(), mark.end())
        raise Cut

    def _followed(self, text: str, at: int, marks: tuple[str, ...], final: bool) -> bool:
        after = skip(text, at)
        if text.startswith(marks, after) or (final and after >= len(text)):
            return True
        if not final and may_begin(text, after, *marks):
            raise Cut
        return False

    def value(self, tool: str, parameter: Head, raw: str) -> str:
        """The JSON text of a parameter's value."""
        whole = self.tight and not self.strict and not raw[:1].isspace()
        return self.by_schema(tool, parameter.name, raw if whole else trimmed(raw, self.trim))

    def by_schema(self, tool: str, key: str, raw: str) -> str:
        """Bare text as JSON, by the tool's schema if there is one; a parameter not in it stays text."""
        if not self.tools:
            return guessed(raw) if self.untyped == "json" else quoted(raw)
        schema = self.tools.get(tool)
        if schema is None:
            return guessed(raw) if self.untyped == "json" or not self.strict else quoted(raw)
        properties = properties_of(schema)
        if key not in properties:
            return guessed(raw) if self.untyped == "json" else quoted(raw)
        return typed(raw, properties[key], schema)

    def _unfinished(self, text: str, at: int) -> Region:
        """The rest of the text, or what stands before the next whole head of a call."""
        start = skip(text, at)
        following = self._tags.restart.search(text, start + 1)
        if following is None or following.start() <= at:
            return cut_off(text, at)
        end = following.start()
        return Region(end, [], text[at:end], broken=True, scanned=len(text))


class _Tags:
    """The regular expressions of a family's tags."""

    def __init__(self, family: type[XmlCalls]) -> None:
        opens = [opening for opening, _ in family.wrappers]
        self.closes = closes = tuple(dict.fromkeys(closing for _, closing in family.wrappers))
        self.opens = tuple(sorted(opens, key=len, reverse=True))
        self.call_head = re.compile(family.call_head)
        self.parameter_head = re.compile(family.parameter_head)
        self.after_parameter = (family.parameter_mark, family.call_close, *closes)
        self.after_call = (*closes, family.call_mark, *opens)
        call_close, mark = re.escape(family.call_close), re.escape(family.parameter_mark)
        head = re.sub(r"\((?!\?)|\(\?P<\w+>", "(?:", family.call_head)
        whole = rf"{head}(?=\s*(?:{mark}|{call_close}))"
        wrapped = "|".join(map(re.escape, opens))
        self.restart = re.compile(rf"(?:(?:{wrapped})\s*)?{whole}" if wrapped else whole)
        following = rf"|(?P<next>{mark})" if family.open_ended else ""
        self.in_value = re.compile(
            rf"(?P<nested>{whole})|(?P<close>{re.escape(family.parameter_close)})"
            rf"|(?P<call_close>{call_close}){following}"
        )
        others = "|".join(map(re.escape, (*closes, *self.opens, family.call_mark)))
        self.structure = re.compile(rf"(?P<own>{call_close}|{mark})|(?P<other>{others})")


def skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def head_at(text: str, at: int, pattern: "re.Pattern[str]", ends: str = ">", after: int = 0) -> Head | None:
    """The opening tag at `at`, which `ends` so, not before `after`. None when it is none. Raises Cut."""
    found = pattern.match(text, at, at + HEAD)
    if found:
        name = next((group for group in found.groups() if group is not None), "").strip()
        return Head(name, found.end(), found.groupdict().get("kind") or "") if name else None
    if len(text) < at + HEAD and text.find(ends, at + after) < 0:
        raise Cut
    return None


def trimmed(raw: str, trim: str) -> str:
    """The value without what the format puts round it."""
    if trim == "newline":
        return raw[raw.startswith("\n") : len(raw) - (raw.endswith("\n") and len(raw) > 1)]
    return raw.strip() if trim == "blank" else raw
