"""gpt-oss: harmony, in which every message names its channel and a call its recipient.

Format: OpenAI's harmony guide and gpt-oss's chat template. The text is what follows the prompt's
`<|start|>assistant`; so a call's recipient may be the first of it: ` to=functions.f<|channel|>commentary`.
"""

import re

from tool_call_parsers.family import Family, Region, call, may_begin, plain
from tool_call_parsers.json_text import Broken, Cut, exact, skip_blanks, value_at

_START, _CHANNEL, _MESSAGE = "<|start|>", "<|channel|>", "<|message|>"
_ENDS = ("<|call|>", "<|end|>", "<|return|>")
_MARKS = (*_ENDS, _START, _CHANNEL)
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_ADDRESS = re.compile(r" ?to=[^\s<]*\s*")
# A message's head is not longer.
_HEAD = 1000
_SAY, _THINK = "say", "think"


class GptOss(Family):
    """Analysis is reasoning and not shown; the final channel and remarks in commentary are content."""

    openers = (_START, _CHANNEL, *_ENDS, " to=", "to=")
    reasoning = ()
    all_or_nothing = False
    text_after = True

    def read(self, text: str, at: int, final: bool, mode: str) -> Region | None:
        """A message's head with what it calls, or some of a message's text."""
        if mode:
            return self._text(text, at, final, mode)
        for mark in _ENDS:
            if text.startswith(mark, at):
                return Region(at + len(mark))
        if not text.startswith((_START, _CHANNEL), at):
            address = _ADDRESS.match(text, at, at + _HEAD)
            end = address.end() if address else at + 1
            if not final and len(text) < at + _HEAD and may_begin(text, end, _CHANNEL):
                return None
            if not text.startswith(_CHANNEL, end):
                return plain(text, at, end)
        body = text.find(_MESSAGE, at, at + _HEAD)
        if body < 0:
            if not final and len(text) < at + _HEAD:
                return None
            mark = next(mark for mark in (_START, _CHANNEL, " to=", "to=") if text.startswith(mark, at))
            return Region(at + len(mark) if len(text) >= at + _HEAD else len(text), broken=True)
        head = text[at:body]
        start = body + len(_MESSAGE)
        recipient = _RECIPIENT.search(head)
        channel = head.rpartition(_CHANNEL)[2].split()[:1]
        if recipient and recipient[1] not in ("user", "assistant"):
            return self._call(text, start, final, recipient[1].removeprefix("functions."))
        return Region(start, then=_THINK if channel == ["analysis"] else _SAY)

    def _call(self, text: str, at: int, final: bool, name: str) -> Region | None:
        try:
            _, end = value_at(text, at)
        except Cut:
            if not final:
                return None
            end = -1
        except Broken:
            end = -1
        if end >= 0:
            after = skip_blanks(text, end)
            for mark in _MARKS:
                if text.startswith(mark, after):
                    stop = after + len(mark) if mark in _ENDS else after
                    return Region(stop, [call(name, exact(text[at:end]))])
            if not final and may_begin(text, after, *_MARKS):
                return None
            if after >= len(text):
                return Region(after, [call(name, exact(text[at:end]))])
        found = _MARK.search(text, at)
        if found is None:
            return Region(len(text), broken=True) if final else None
        return Region(found.start(), [call(name, text[at : found.start()].strip() or "{}")])

    def _text(self, text: str, at: int, final: bool, mode: str) -> Region | None:
        found = _MARK.search(text, at)
        end = found.start() if found else len(text)
        shown = text[at:end] if mode == _SAY else ""
        if found:
            return Region(end, (), shown)
        if final:
            return Region(end, (), shown)
        held = next((size for size in range(12, 0, -1) if may_begin(text, max(at, end - size), *_MARKS)), 0)
        end -= held
        return Region(end, (), text[at:end] if mode == _SAY else "", then=mode) if end > at else None
