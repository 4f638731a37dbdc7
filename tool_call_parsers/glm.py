"""`<tool_call>f<arg_key>x</arg_key><arg_value>1</arg_value></tool_call>`: GLM 4.5 and later.

Ling 3, Poolside and Hunyuan 3 write the same or nearly so.

Formats: the models' chat templates. GLM 4.5 and Poolside put each tag on its own line, the others write them
without white space; either is read.
"""

import re
from collections.abc import Mapping
from typing import Any

from tool_call_parsers.family import Region, may_begin
from tool_call_parsers.json_text import Cut
from tool_call_parsers.xml_calls import HEAD, Head, XmlCalls, head_at
from tool_call_parsers.xml_parameters import guessed, properties_of, quoted, types_of

_NAME = re.compile(r"""<tool_call>\s*([^\s<>{}"']*)\s*""")
_OPEN = ":opensource>"


class Glm(XmlCalls):
    """Calls of GLM 4.5, GLM 4.7 and Ling 3."""

    call_mark = "<tool_call>"
    partial = True
    declared_only = True
    call_close = "</tool_call>"
    call_head = r"""<tool_call>\s*([^\s<>{}"']+)"""
    parameter_mark = "<arg_key>"
    parameter_close = "</arg_value>"
    parameter_head = r"<arg_key>([^<>]*)</arg_key>\s*<arg_value>"

    def head(self, text: str, at: int) -> Head | None:
        """The name, up to the first tag after it."""
        found = _NAME.match(text, at, at + HEAD)
        if not found:
            return None
        if found[1] and text.startswith((self.parameter_mark, self.call_close), found.end()):
            return Head(found[1], found.end())
        if found.end() < at + HEAD and may_begin(text, found.end(), self.parameter_mark, self.call_close):
            raise Cut
        return None

    def parameter(self, text: str, at: int) -> Head | None:
        """The key, with the tag that begins its value."""
        return head_at(text, at, self._tags.parameter_head, "<arg_value>")


class Poolside(Glm):
    """Calls of Poolside's models: what is not a string is guessed, whatever its schema says."""

    partial = False
    declared_only = False

    def by_schema(self, tool: str, key: str, raw: str) -> str:
        """Text for string parameters, else JSON if it is JSON."""
        schema = self.tools.get(tool)
        if types_of(properties_of(schema).get(key, {"type": "any"}), schema) == {"string"}:
            return quoted(raw)
        plain = guessed(raw.strip())
        return quoted(raw) if plain == quoted(raw.strip()) else plain


class _HyPlain(Glm):
    """Calls of Hunyuan 3 with plain tags."""

    declared_only = False
    wrappers = (("<tool_calls>", "</tool_calls>"),)
    call_head = r"<tool_call>\s*([^<>]+?)\s*<tool_sep>"

    def head(self, text: str, at: int) -> Head | None:
        """The name, with the separator after it."""
        return head_at(text, at, self._tags.call_head, "<tool_sep>")


class _HyOpen(Glm):
    """Calls of Hunyuan 3 as its open weights write them."""

    declared_only = False
    wrappers = (("<tool_calls:opensource>", "</tool_calls:opensource>"),)
    call_mark = "<tool_call:opensource>"
    call_close = "</tool_call:opensource>"
    call_head = r"<tool_call:opensource>\s*([^<>]+?)\s*<tool_sep:opensource>"
    parameter_mark = "<arg_key:opensource>"
    parameter_close = "</arg_value:opensource>"
    parameter_head = r"<arg_key:opensource>([^<>]*)</arg_key:opensource>\s*<arg_value:opensource>"

    def head(self, text: str, at: int) -> Head | None:
        """The name, with the separator after it."""
        return head_at(text, at, self._tags.call_head, "<tool_sep:opensource>")

    def parameter(self, text: str, at: int) -> Head | None:
        """The key, with the tag that begins its value."""
        return head_at(text, at, self._tags.parameter_head, "<arg_value:opensource>")


class HyV3(_HyPlain):
    """Calls of Hunyuan 3: `<tool_calls>` around them and `<tool_sep>` after the name.

    Every tag of the open weights ends in `:opensource`.
    """

    reasoning = (("<think>", "</think>"), ("<think:opensource>", "</think:opensource>"))
    openers = (*_HyPlain.openers, *_HyOpen.openers)

    def __init__(self, tools: Mapping[str, Mapping[str, Any]], strict: bool = False) -> None:
        super().__init__(tools, strict)
        self._open = _HyOpen(tools, strict)

    def read(self, text: str, at: int, final: bool, mode: str) -> Region | None:
        """As the tag at `at`, or the one round it, is spelled."""
        if mode.endswith(_OPEN) or (not mode and text.startswith(_HyOpen.openers, at)):
            return self._open.read(text, at, final, mode)
        return super().read(text, at, final, mode)
