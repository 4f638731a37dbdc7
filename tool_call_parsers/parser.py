"""The walk through a model's text: plain text, reasoning, and regions that a family reads."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

from tool_call_parsers.family import Family, Region, ToolCall

Schema = Mapping[str, Any]
FamilyType = Callable[[Mapping[str, Schema], bool], Family]

# What a text may cost before the rest of it counts as plain text: characters scanned beyond what was
# consumed, places that looked like a call and were none (both grow with the text behind), and calls. Only
# text made to cost time comes near.
_SCANS_EACH, _SCANS = 4, 4_000_000
_PLACES_EACH, _PLACES = 1 / 100, 4_000
_CALLS = 10_000
# Characters that may be read again because a stream had not brought enough: for each fed, and in all.
_AGAIN_EACH, _AGAIN = 32, 4_000_000
_QUOTES = "`'\""
_IN_REASONING = "\0reasoning"


class Parsed(NamedTuple):
    """A model's text taken apart. content: None when nothing but white space is left."""

    content: str | None
    tool_calls: list[ToolCall]


class Progress(NamedTuple):
    """What a piece of a stream brought: text that is safe to show, and calls that are complete."""

    text: str
    tool_calls: list[ToolCall]


class ToolCallParser:
    """Takes the calls out of a model's raw text, whole (`parse`) or as it arrives (`feed`, `finish`).

    A parser may be used again and again; a stream in progress and `parse` do not disturb each other. It is
    not for two streams at once.
    """

    def __init__(
        self,
        name: str,
        family: FamilyType,
        strict: bool = False,
        tools: Sequence[Schema] | None = None,
        starts_in_reasoning: bool = False,
        declared_only: bool = False,
    ) -> None:
        self.name = name
        self.strict = strict
        self.tools = tools
        self.starts_in_reasoning = starts_in_reasoning
        self.declared_only = declared_only
        self._family = family
        self._walk: _Walk | None = None
        self._held: list[str] = []

    def parse(self, text: str, tools: Sequence[Schema] | None = None) -> Parsed:
        """Content and calls of a whole text. Never raises, whatever the text.

        tools: OpenAI schemas, which type the values of families that write them without a type. A line that
        starts with an end of reasoning which never began makes all before it reasoning.
        """
        walk = self._whole(text, tools, self.starts_in_reasoning)
        if walk.ended_unbegun and walk.calls:
            walk = self._whole(text, tools, True)
        if self.strict:
            return _as_reference(text, walk)
        return Parsed(_or_none("".join(walk.shown)), walk.calls)

    def feed(self, delta: str) -> Progress:
        """Takes the next piece of a stream. In strict mode everything comes with `finish`."""
        if self.strict:
            self._held.append(delta)
            return Progress("", [])
        if self._walk is None:
            self._walk = self._new(self.tools, self.starts_in_reasoning)
        self._walk.add(delta)
        return self._walk.taken()

    def finish(self) -> Progress:
        """Ends the stream: what was held back, and the parser is ready for another."""
        if self.strict:
            parsed = self.parse("".join(self._held), self.tools)
            self._held = []
            return Progress(parsed.content or "", parsed.tool_calls)
        walk, self._walk = self._walk, None
        if walk is None:
            return Progress("", [])
        walk.end()
        return walk.taken()

    def _new(self, tools: Sequence[Schema] | None, in_reasoning: bool) -> "_Walk":
        declared = parameters_by_name(tools)
        family = self._family(declared, self.strict)
        return _Walk(family, in_reasoning, declared if self.declared_only else None)

    def _whole(self, text: str, tools: Sequence[Schema] | None, in_reasoning: bool) -> "_Walk":
        walk = self._new(tools if tools is not None else self.tools, in_reasoning)
        walk.fed = len(text)
        walk.text = text
        walk.end()
        return walk


def parameters_by_name(tools: Sequence[Schema] | None) -> dict[str, Schema]:
    """The parameter schema of every tool, by name. Entries of another shape are passed over."""
    found: dict[str, Schema] = {}
    for tool in tools or ():
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            found[function["name"]] = parameters if isinstance(parameters, Mapping) else {}
    return found


def _or_none(text: str) -> str | None:
    return text if text.strip() else None


def _as_reference(text: str, walk: "_Walk") -> Parsed:
    if walk.broken and (walk.family.all_or_nothing or not walk.calls):
        return Parsed(_or_none(text), [])
    begin = 0 if walk.family.text_before else walk.shown_before_calls
    end = None if walk.family.text_after else walk.shown_before_calls
    shown = walk.shown[begin:end]
    return Parsed(_or_none("".join(shown)), walk.calls)


class _Walk:
    """One text on its way: what of it is understood, shown and still open."""

    def __init__(self, family: Family, in_reasoning: bool, declared: Container[str] | None = None) -> None:
        self.family = family
        self.declared = declared
        self.text = ""
        self.fed = 0
        self.shown: list[str] = []
        self.calls: list[ToolCall] = []
        self.shown_before_calls: int | None = None
        self.broken = False
        self.ended_unbegun = False
        self._brackets = ""
        self._refused = False
        self._coming: list[str] = []
        self._waiting = 0
        self._at = 0
        self._mode = _IN_REASONING if in_reasoning else ""
        self._closer = family.reasoning[0][1] if in_reasoning and family.reasoning else ""
        self._began = in_reasoning
        self._never: set[str] = set()
        self._line_is_blank = True
        self._last = "\n"
        self._passed = 0
        self._scans = 0
        self._places = 0
        self._again = 0
        self._taken_text = 0
        self._taken_calls = 0
        begin = [pair[0] for pair in family.reasoning]
        self._ends = {pair[0]: pair[1] for pair in family.reasoning}
        self._unbegun = {pair[1] for pair in family.reasoning}
        self._marks = sorted({*family.openers, *begin, *self._unbegun}, key=len, reverse=True)
        self._search = re.compile("|".join(map(re.escape, self._marks)))

    def add(self, delta: str) -> None:
        """The next piece of a stream; read at once unless that costs more than the stream may."""
        self.fed += len(delta)
        self._coming.append(delta)
        self._waiting += len(delta)
        size = len(self.text) - self._at + self._waiting
        if self._again + size > _AGAIN_EACH * self.fed + _AGAIN:
            return
        self._join()
        self._go(final=False)
        self._again += len(self.text) - self._at

    def end(self) -> None:
        """Nothing follows."""
        self._join()
        self._go(final=True)

    def taken(self) -> Progress:
        """What is new since the last time."""
        progress = Progress("".join(self.shown[self._taken_text :]), self.calls[self._taken_calls :])
        self._taken_text, self._taken_calls = len(self.shown), len(self.calls)
        return progress

    def _join(self) -> None:
        if self._coming:
            self.text = self.text[self._at :] + "".join(self._coming)
            self._passed += self._at
            self._at = 0
            self._coming = []
            self._waiting = 0

    def _go(self, final: bool) -> None:
        while self._at < len(self.text):
            if self._mode != _IN_REASONING and self._spent():
                self._mode = ""
                self._show(self.text[self._at :])
                self._at = len(self.text)
                return
            if self._mode == _IN_REASONING:
                more = self._reason(final)
            elif self._mode:
                more = self._region(self._at, final)
            else:
                more = self._plain(final)
            if not more:
                return
        if final and self._mode and self._mode != _IN_REASONING:
            self._region(self._at, final)

    def _spent(self) -> bool:
        behind = self._passed + self._at
        return (
            self._places > _PLACES_EACH * behind + _PLACES
            or self._scans > _SCANS_EACH * behind + _SCANS
            or len(self.calls) > _CALLS
        )

    def _plain(self, final: bool) -> bool:
        found = self._search.search(self.text, self._at)
        if found is None:
            keep = 0 if final else self._hold()
            end = len(self.text) - keep
            self._show(self.text[self._at : end])
            self._at = end
            return False
        if not final and found.start() > len(self.text) - len(self._marks[0]) and self._longer(found):
            self._show(self.text[self._at : found.start()])
            self._at = found.start()
            return False
        self._show(self.text[self._at : found.start()])
        self._at = found.start()
        mark = found[0]
        if mark in self._ends and mark not in self.family.openers:
            return self._begin_reasoning(mark, final)
        if mark in self._unbegun and mark not in self.family.openers:
            self.ended_unbegun = self.ended_unbegun or (not self._began and self._line_is_blank)
            self._began = True
            self._pass(mark)
            return True
        return self._region(self._at, final)

    def _longer(self, found: "re.Match[str]") -> bool:
        """Whether the text ends in a mark that may still become a longer one."""
        rest = self.text[found.start() :]
        return any(mark.startswith(rest) and mark != rest for mark in self._marks)

    def _hold(self) -> int:
        longest = min(len(self._marks[0]) - 1, len(self.text) - self._at)
        for size in range(longest, 0, -1):
            tail = self.text[-size:]
            if any(mark.startswith(tail) for mark in self._marks):
                return size
        return 0

    def _begin_reasoning(self, mark: str, final: bool) -> bool:
        closer = self._ends[mark]
        if self._last in _QUOTES:
            self._pass(mark)
            return True
        # In the middle of a line it may be a word about the tag: reasoning only if it ends.
        ends = closer not in self._never and self.text.find(closer, self._at) >= 0
        if not (ends or self._line_is_blank):
            if not final:
                return False
            self._never.add(closer)
            self._pass(mark)
            return True
        self._pass(mark)
        self._began = True
        self._closer = closer
        self._mode = _IN_REASONING
        return True

    def _reason(self, final: bool) -> bool:
        close = self.text.find(self._closer, self._at)
        if close >= 0:
            end = close + len(self._closer)
            self._show(self.text[self._at : end])
            self._at = end
            self._mode = ""
            self._line_is_blank, self._last = True, "\n"
            return True
        end = len(self.text)
        if not final:
            end = max(self._at, end - len(self._closer) + 1)
        self._show(self.text[self._at : end])
        self._at = end
        return False

    def _region(self, at: int, final: bool) -> bool:
        region = self.family.read(self.text, at, final, self._mode)
        if region is None:
            if not final:
                return False
            region = Region(len(self.text), (), self.text[at:], broken=True)
        end = region.end
        if end <= at and region.then == self._mode:
            end = at + 1
        if not region.calls and not (region.then and region.then == self._mode and region.text):
            self._places += 1
        if self.declared is not None:
            region = self._only(self.declared, region, self.text[at:end])
        self._scans += max(0, region.scanned - end)
        self.broken = self.broken or region.broken
        if region.text:
            self._show(region.text)
        if region.calls:
            if self.shown_before_calls is None:
                self.shown_before_calls = len(self.shown) - (1 if region.text else 0)
            self.calls.extend(region.calls)
            self._line_is_blank, self._last = True, "\n"
        self._at = end
        self._mode = region.then
        return True

    def _only(self, declared: Container[str], region: Region, raw: str) -> Region:
        """The region; as text, with the brackets round it, if it calls what is not declared."""
        raw, self._brackets = self._brackets + raw, ""
        if region.calls:
            self._refused = any(made["function"]["name"] not in declared for made in region.calls)
            return region._replace(calls=(), text=raw, then="") if self._refused else region
        if not region.text and region.then:
            self._brackets = raw
        elif not region.text and self._refused:
            return region._replace(text=raw)
        return region

    def _pass(self, mark: str) -> None:
        self._show(mark)
        self._at += len(mark)

    def _show(self, text: str) -> None:
        if not text or (self.calls and self.family.drops_after):
            return
        self.shown.append(text)
        line = text.rpartition("\n")
        self._line_is_blank = not line[2].strip() and (bool(line[1]) or self._line_is_blank)
        self._last = text[-1]
