"""`<function name="f"><param name="x">1</param></function>`: MiniCPM 5.

Format: MiniCPM 5's chat template; a value may stand in a CDATA section. The model's decoder may leave its own
letters for space and line break in the text, and swallow the space within a tag. Parameters a tool does
not have are left out, and a call without those it must have is none.
"""

import html
import json
import re
from collections.abc import Mapping

from tool_call_parsers.family import Region, call
from tool_call_parsers.json_text import Cut
from tool_call_parsers.python_calls import literal
from tool_call_parsers.xml_calls import Head, XmlCalls
from tool_call_parsers.xml_parameters import guessed, object_text, properties_of, quoted, types_of

_LETTERS = {"\u0120": " ", "\u010a": "\n"}
_BLANKS = str.maketrans(_LETTERS)
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|#\d+|#x[\da-fA-F]+);")
_CDATA = ("<![CDATA[", "]]>")
_QUOTED_NAME = r"[\s\u0120\u010a]*name=[\"']([^\"'<>]+)[\"'][^<>]*>"

_NAMELESS = re.compile(r"<param(?![^<>]*name=)[^<>]*>")
_HEADS = re.compile("<param" + _QUOTED_NAME)
_WORDS = re.compile(r"[^<]+")
_SWITCHES = {"enable": "true", "disable": "false"}


class Minicpm5(XmlCalls):
    """Calls of MiniCPM 5."""

    call_mark = "<function"
    call_close = "</function>"
    call_head = "<function" + _QUOTED_NAME
    parameter_mark = "<param"
    parameter_close = "</param>"
    parameter_head = "<param" + _QUOTED_NAME
    openers = ("<function", *_LETTERS)

    def read(self, text: str, at: int, final: bool, mode: str) -> Region | None:
        """A call, or a letter that stands for a blank."""
        words = _WORDS.match(text, at)
        if words:
            return Region(words.end(), [], words[0].translate(_BLANKS))
        return super().read(text, at, final, mode)

    def _value_end(self, text: str, start: int, final: bool) -> tuple[int, int]:
        if text.startswith(_CDATA[0], start):
            close = text.find(_CDATA[1] + self.parameter_close, start)
            if close < 0:
                raise Cut
            end = close + len(_CDATA[1])
            return end, end + len(self.parameter_close)
        return super()._value_end(text, start, final)

    def value(self, tool: str, parameter: Head, raw: str) -> str:
        """A string for string parameters, else JSON if it is JSON."""
        return self.by_schema(tool, parameter.name, _plain(raw.translate(_BLANKS)))

    def by_schema(self, tool: str, key: str, raw: str) -> str:
        """Text for string parameters, and without tools; else JSON if it is JSON."""
        schema = self.tools.get(tool)
        known = properties_of(schema)
        if not self.tools or types_of(known.get(key, {"type": "any"}), schema) == {"string"}:
            return quoted(raw)
        plain = guessed(raw)
        return (literal(raw) or plain) if plain == quoted(raw) else plain

    def made(self, name: str, members: Mapping[str, str], raw: str) -> Region | None:
        """The call with the parameters its tool has; None when one that the tool needs is not there."""
        plain = _without_sections(raw)
        if _NAMELESS.search(plain) or len(_HEADS.findall(plain)) > len(members):
            return None
        if name not in self.tools:
            name, members = self._switch(name, members)
        tool = self.tools.get(name)
        if tool is None:
            return None if self.strict else Region(0, [call(name, object_text(members))])
        known = properties_of(tool)
        kept = {key: value for key, value in members.items() if key in known or not known}
        for wrapper in ("properties", "arguments"):
            if wrapper in members and known and wrapper not in known:
                kept |= {key: value for key, value in _unpacked(members[wrapper]).items() if key in known}
        required = tool.get("required")
        if isinstance(required, list) and not set(map(str, required)) <= set(kept):
            return None
        return Region(0, [call(name, object_text(kept))])

    def _switch(self, name: str, members: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
        """`enable_x` is the tool `toggle_x` with `enabled` true, where only that is among the tools."""
        verb, _, thing = name.partition("_")
        toggle = f"toggle_{thing}"
        if verb in _SWITCHES and "enabled" in properties_of(self.tools.get(toggle)):
            return toggle, {**members, "enabled": _SWITCHES[verb]}
        return name, members


def _unpacked(value: str) -> dict[str, str]:
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return (
        {key: json.dumps(item, ensure_ascii=False) for key, item in inner.items()}
        if isinstance(inner, dict)
        else {}
    )


def _without_sections(raw: str) -> str:
    first, *others = raw.split(_CDATA[0])
    return first + "".join(other.partition(_CDATA[1])[2] for other in others)


def _plain(raw: str) -> str:
    """The text of a value: out of its CDATA section, or with its entities read where it is well-formed."""
    if raw.startswith(_CDATA[0]) and raw.endswith(_CDATA[1]):
        return raw[len(_CDATA[0]) : -len(_CDATA[1])]
    if "<" in raw or len(_ENTITY.findall(raw)) != raw.count("&"):
        return raw.strip()
    return html.unescape(raw) if "&" in raw else raw
