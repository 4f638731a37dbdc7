"""Which family a text is written in, found out while it streams.

For a model whose name tells nothing, or only that its calls stand bare in the text (a JSON object, a list of
Python calls). Tags are taken at their word; bare calls count for a model whose name says that it writes them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from tool_call_parsers.parser import Progress, ToolCallParser
from tool_call_parsers.registry import ROWS, detect_parser, family_of, get_parser, is_bare

# How the tags of all families begin: the patterns in the table say what must follow.
TAGS: tuple[str, ...] = (
    *("<tool_call>", "<tool_calls>", "<function=", "<function ", "<function_call>", "<function_calls>"),
    *("<|tool_call>", "<|tool_call|>", "<|tool_call_begin|>", "<|tool_calls_section_begin|>"),
    *("<|tool_call_start|>", "<|tools_prefix|>", "<|python_tag|>", "<|python_start|>", "<|channel|>"),
    *("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool_calls_begin｜>", "<｜DSML｜"),
    *("<|plamo:begin_tool_request", "[TOOL_CALLS]", "<|START_ACTION|>", "<|action_start|>"),
    *("<|function_call|>", "function call<|role", "<longcat_tool_call>", "<seed:tool_call>", "<atem:"),
    *("<dots_function_call>", "]<]minimax[>[", "<minimax:tool_call>", "<start_function_call>"),
    *("<ifm|tool_call", "<|open|>tools<|sep|>", "functools["),
    *("<TOOLCALL>", "<tool_calls:opensource>", "<tool_call:opensource>", " to=functions.", "to=functions."),
)
_LONGEST = max(map(len, TAGS))
# Characters from a tag on that tell the family.
_ENOUGH = 200
_MARKED = [row for row in ROWS if row.marks and not row.bare]


@cache
def _marks(bare: str) -> tuple[tuple[str, ...], "re.Pattern[str]", frozenset[str]]:
    """What a family writes bare calls with, a search for that and all tags, and beginnings of any of them."""
    own = family_of(bare).openers if bare else ()
    marks = sorted({*TAGS, *own}, key=len, reverse=True)
    beginnings = frozenset(mark[:size] for mark in marks for size in range(1, len(mark)))
    return own, re.compile("|".join(map(re.escape, marks))), beginnings


@cache
def _which() -> "re.Pattern[str]":
    return re.compile("|".join(f"(?P<row{number}>{row.marks})" for number, row in enumerate(_MARKED)))


def detecting_parser(
    model_name: str, tools: Sequence[Mapping[str, Any]]
) -> "ToolCallParser | DetectingParser":
    """What reads the calls in the text of a model: the parser its name tells, or one that finds out."""
    name = detect_parser(model_name)
    if name is None or is_bare(name):
        return DetectingParser(tools, name or "")
    return get_parser(name, tools=tools)


def shows_broken_call(text: str) -> bool:
    """Whether the last tags of calls in the text, outside of fences and backticks, begin one that its family
    cannot read: it is cut off or not well formed."""
    found = list(_which().finditer(text))
    if not found:
        return False
    last = found[-1]
    if text.count("```", 0, last.start()) % 2 or text.endswith("`", 0, last.start()):
        return False
    family = _MARKED[int(str(last.lastgroup)[3:])].name
    return not get_parser(family).parse(text[last.start() :]).tool_calls


class DetectingParser:
    """Shows text until calls begin, and leaves them to the parser of the family they are written in.

    A tag in a fence or between backticks is an example. What stands in no tag, or in the tags of a model
    whose name is not known, is a call only if it names one of the tools.

    bare: the family that the model writes bare calls in; "" if none is known
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]], bare: str = "") -> None:
        self._tools = tools
        self._bare = bare
        self._own, self._search, self._beginnings = _marks(bare)
        self._begin()

    def _begin(self) -> None:
        self._parser: ToolCallParser | None = None
        self._held = ""
        self._shown: list[str] = []
        self._fences = 0
        self._ticks = ""

    def feed(self, delta: str) -> Progress:
        """Takes the next piece of a stream."""
        if self._parser:
            return self._parser.feed(delta)
        self._held += delta
        return self._go(final=False)

    def finish(self) -> Progress:
        """Ends the stream: what was held back, and this is ready for another."""
        progress = self._parser.finish() if self._parser else self._go(final=True)
        self._begin()
        return progress

    def _go(self, final: bool) -> Progress:
        name, at = self._look(final)
        rest, self._held = self._held[at:], self._held[at:]
        shown, self._shown = "".join(self._shown), []
        if not name:
            return Progress(shown, [])
        self._parser = get_parser(name, tools=self._tools, declared_only=True)
        progress = self._parser.feed(rest)
        end = self._parser.finish() if final else Progress("", [])
        return Progress(shown + progress.text + end.text, progress.tool_calls + end.tool_calls)

    def _look(self, final: bool) -> tuple[str, int]:
        """The family whose calls begin, "" if none do yet, and up to where the held text is dealt with."""
        at = 0
        while found := self._search.search(self._held, at):
            mark, start = found[0], found.start()
            at = self._show(at, start)
            if not final and len(self._held) < start + _ENOUGH and mark in TAGS:
                return "", start
            if self._fences % 2 == 0 and not self._ticks:
                tagged = _which().match(self._held, start) if mark in TAGS else None
                if tagged:
                    return _MARKED[int(str(tagged.lastgroup)[3:])].name, start
                if mark not in TAGS or mark in self._own:
                    return self._bare, start
            at = self._show(at, found.end())
        size = len(self._held)
        tails = range(max(at, size - _LONGEST), size)
        end = next((tail for tail in tails if self._held[tail:] in self._beginnings), size)
        return "", self._show(at, size if final else end)

    def _show(self, at: int, end: int) -> int:
        """Shows the held text from `at` on, and counts the fences in it; `end`."""
        text = self._ticks + self._held[at:end]
        self._shown.append(self._held[at:end])
        self._fences += text.count("```")
        ticks = len(text) - len(text.rstrip("`"))
        self._ticks = "`" * (ticks % 3)
        return end
