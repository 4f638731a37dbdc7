"""Calls that a model wrote as text because its server does not take them out: which parser reads them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from models.chat_model import ModelError


class Progress(Protocol):
    """Text that is safe to show, and calls that are complete, in OpenAI's layout."""

    @property
    def text(self) -> str: ...

    @property
    def tool_calls(self) -> list[dict[str, Any]]: ...


class CallReader(Protocol):
    """Reads one text after another, each in pieces."""

    def feed(self, delta: str, /) -> Progress: ...

    def finish(self) -> Progress: ...


def call_reader(setting: str, model: str, tools: Sequence[dict[str, Any]]) -> CallReader | None:
    """What reads the calls in the text of an answer, None if nothing does: no tools were sent, or "off".

    `setting` is `model.tool_call_parser`. The parsers are imported here, at the first request with tools.

    Raises:
        ModelError: the setting names no parser.
    """
    if setting == "off" or not tools:
        return None
    if setting == "auto":
        from tool_call_parsers.detection import detecting_parser

        return detecting_parser(model, tools)
    from tool_call_parsers import get_parser

    try:
        return get_parser(setting, tools=tools)
    except KeyError as error:
        hint = "Set model.tool_call_parser to auto, to off, or to one of them."
        raise ModelError("bad_request", str(error.args[0]), hint=hint) from None


def holds_broken_call(text: str, names: Collection[str]) -> bool:
    """Whether a text that no call was found in begins one of a tool in `names`, outside of fences and
    backticks. Prose about tags does not name a tool right behind a mark."""
    named = "|".join(map(re.escape, names))
    if not named or not re.search(rf"[\"'=>.\]]\n?(?:{named})\b", text):
        return False
    from tool_call_parsers.detection import shows_broken_call

    return shows_broken_call(text)


def tool_names(tools: Sequence[dict[str, Any]]) -> list[str]:
    """The names in OpenAI tool definitions."""
    return [str(tool["function"]["name"]) for tool in tools]
