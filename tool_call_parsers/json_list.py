"""Calls written as a JSON list of objects: `<tool_calls>[{"name": …, "arguments": {…}}, …]</tool_calls>`.

Each element is read by itself, so a broken one leaves its siblings whole and a stream gives each as it ends.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from tool_call_parsers.family import Family, Region, ToolCall, may_begin, plain
from tool_call_parsers.json_between_tags import call_of
from tool_call_parsers.json_text import Broken, Cut, Member, members_at, skip_blanks

_ITEMS = "items"


class JsonList(Family):
    """Opening mark, list of objects, closing mark (or none).

    closings:  marks that may follow the list
    name_keys, argument_keys: where name and arguments stand in an element, best first
    needs_arguments: an element without an object of arguments is no call
    bare:      openers that mean nothing by themselves: they count only before an element that is a call
    """

    closings: ClassVar[tuple[str, ...]] = ()
    name_keys: ClassVar[tuple[str, ...]] = ("name",)
    argument_keys: ClassVar[tuple[str, ...]] = ("arguments", "parameters")
    needs_arguments: ClassVar[bool] = False
    bare: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tools: Mapping[str, Mapping[str, Any]], strict: bool = False) -> None:
        super().__init__(tools, strict)
        # Blanks are looked over after a bracket alone: from each of them on, many would cost their square.
        ends = [rf"(?:\]\s*+)?{re.escape(mark)}" for mark in self.closings]
        ends += [re.escape(mark) for mark in self.openers if mark not in self.bare]
        self._next = re.compile("|".join([r"\}\s*,\s*(?=\{)", *(f"(?={end})" for end in ends)]))
        # The list's opening, until an element is a call: shown before what is none.
        self._lead = ""

    def read(self, text: str, at: int, final: bool, mode: str) -> Region | None:
        """An opening mark, or an element of the list, or its end."""
        if mode == _ITEMS:
            return self._item(text, at, final)
        mark = next(mark for mark in self.openers if text.startswith(mark, at))
        start = at + len(mark)
        first = skip_blanks(text, start)
        opened = mark.endswith("[")
        if text.startswith("[", first) and not opened:
            first, opened = skip_blanks(text, first + 1), True
        if first >= len(text):
            return self._not_a_list(text, at, start, mark) if final else None
        if text[first] != "{" and not (opened and text[first] == "]"):
            return self._not_a_list(text, at, start, mark)
        if mark in self.bare:
            return self._bare(text, at, start, first, final)
        self._lead = text[at:first]
        return Region(first, then=_ITEMS)

    def item(self, members: Mapping[str, Member]) -> ToolCall | None:
        """The call an element is, or None."""
        return call_of(members, self.name_keys, self.argument_keys, self.strict, self.needs_arguments)

    def cut_item(self, text: str, at: int) -> ToolCall | None:
        """The call that an element which the text's end cuts off already is, or None."""
        return None

    def _not_a_list(self, text: str, at: int, start: int, mark: str) -> Region:
        if mark in self.bare:
            return plain(text, at, start)
        return Region(start, (), text[at:start], broken=True)

    def _bare(self, text: str, at: int, start: int, first: int, final: bool) -> Region | None:
        try:
            members, end = members_at(text, first)
        except Cut:
            return plain(text, at, start) if final else None
        except Broken as error:
            return Region(start, (), text[at:start], scanned=error.scanned)
        if call_of(members, self.name_keys, self.argument_keys, True, True) is None:
            return Region(start, (), text[at:start], scanned=end)
        return Region(first, then=_ITEMS)

    def _item(self, text: str, at: int, final: bool) -> Region | None:
        start = skip_blanks(text, at)
        if start >= len(text):
            return Region(start) if final else None
        if text[start] == ",":
            return Region(start + 1, then=_ITEMS)
        if text[start] == "]":
            return self._close(text, start + 1, final)
        if self._begins(text, start):
            return Region(start)
        if text[start] != "{" and self._closes(text, start):
            return self._close(text, start, final)
        if text[start] != "{":
            return self._skip(text, start, final)
        try:
            members, end = members_at(text, start)
        except Cut:
            if not final:
                return None
            made = self.cut_item(text, start)
            return self._skip(text, start, final) if made is None else Region(len(text), [made])
        except Broken as error:
            return self._skip(text, start, final, error.scanned)
        made = self.item(members)
        if made is None:
            lead, self._lead = self._lead, ""
            return Region(end, (), lead + text[start:end], broken=True, then=_ITEMS)
        self._lead = ""
        return Region(end, [made], then=_ITEMS)

    def _begins(self, text: str, at: int) -> bool:
        return any(text.startswith(mark, at) for mark in self.openers if mark not in self.bare)

    def _closes(self, text: str, at: int) -> bool:
        return any(text.startswith(mark, at) for mark in self.closings)

    def _close(self, text: str, at: int, final: bool) -> Region | None:
        after = skip_blanks(text, at)
        for mark in self.closings:
            if text.startswith(mark, after):
                return Region(after + len(mark))
        if self.closings and not final and may_begin(text, after, *self.closings):
            return None
        return Region(at)

    def _skip(self, text: str, at: int, final: bool, scanned: int = 0) -> Region | None:
        """Over what is no element: to the next one, the list's end, or the text's."""
        found = self._next.search(text, at + 1)
        if found is None and not final:
            return None
        lead, self._lead = self._lead, ""
        if found is None:
            return Region(len(text), (), lead + text[at:], broken=True)
        end = max(found.end(), at + 1)
        return Region(end, (), lead + text[at:end], broken=True, then=_ITEMS, scanned=scanned)
