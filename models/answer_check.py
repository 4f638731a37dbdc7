"""Whether an answer can be used, and what to tell the model where it cannot.

Problems of a call become that call's result; problems of a whole answer become a short notice in the
user's place. The checked message can stand in a `Round`: ids unique, arguments JSON objects.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from conversation.message import AssistantMessage, ToolCall

Bind: TypeAlias = Callable[[dict[str, Any]], object]
"""Raises ValueError, with a text for the model, if the arguments do not fit the tool."""

MAX_REPAIR = 200_000
"""Characters: longer argument texts are not repaired, because repair can take quadratic time."""

NAMED_TOOLS = 40

EMPTY_NOTICE = "[notice] Your last answer was empty. Answer the request, or call a tool."
THINK_NOTICE = "[notice] Your last answer held only reasoning. Now answer, or call a tool. Keep it brief."
CUT_OFF_NOTICE = "[notice] Your last answer was cut off by the length limit. Go on exactly where it stopped."
CUT_CALL_NOTICE = (
    "[notice] Your last answer was cut off by the length limit within a tool call, which was not executed. "
    "Make the call again, whole and shorter, for instance in several steps."
)

BROKEN_CALL_NOTICE = (
    "[notice] Your last answer holds a tool call that is not whole or not well formed, and was not executed. "
    "Make the call again, or answer without one."
)


class CheckedCall(Struct, frozen=True):
    """`call` is the normalised call. Either `problem` is "" and `arguments` are those to call it with,
    or `problem` is the text for the model and the call must not be run. `note` goes with the result."""

    call: ToolCall
    arguments: dict[str, Any] | None
    problem: str = ""
    note: str = ""


class CheckedAnswer(Struct, frozen=True):
    """`problem` says why an answer without calls cannot stand, and `notice` what to tell the model."""

    message: AssistantMessage
    calls: tuple[CheckedCall, ...] = ()
    problem: str = ""
    notice: str = ""


class _ArgumentTextError(ValueError):
    """The text of the arguments is not a JSON object."""


def check_answer(
    message: AssistantMessage, tools: Mapping[str, Bind], known_ids: Collection[str] = ()
) -> CheckedAnswer:
    """Check one answer against the tools there are.

    `known_ids` are the call ids the conversation already has: a repeated or missing id is replaced.
    """
    if not message.tool_calls:
        problem, notice = _whole_answer(message)
        return CheckedAnswer(message, (), problem, notice)
    taken = set(known_ids)
    checked: list[CheckedCall] = []
    for index, call in enumerate(message.tool_calls):
        last = index == len(message.tool_calls) - 1
        call_id = _unique(call.id, taken)
        checked.append(_check_call(call, call_id, tools, message.finish_reason == "length" and last))
    calls = tuple(each.call for each in checked)
    if calls != message.tool_calls:
        message = msgspec.structs.replace(message, tool_calls=calls)
    return CheckedAnswer(message, tuple(checked))


def _whole_answer(message: AssistantMessage) -> tuple[str, str]:
    cut_off = message.finish_reason == "length"
    if message.content.strip():
        if not cut_off:
            return (
                ("a tool call that cannot be read", BROKEN_CALL_NOTICE) if message.broken_call else ("", "")
            )
        notice = CUT_CALL_NOTICE if message.broken_call else CUT_OFF_NOTICE
        return "the answer was cut off by the length limit", notice
    if message.reasoning.strip():
        return f"nothing but reasoning{' up to the length limit' if cut_off else ''}", THINK_NOTICE
    if message.finish_reason == "content_filter":
        return "the provider's content filter left nothing of the answer", EMPTY_NOTICE
    return "the answer was empty", EMPTY_NOTICE


def _unique(call_id: str, taken: set[str]) -> str:
    while not call_id or call_id in taken:
        call_id = f"call_{secrets.token_hex(4)}"
    taken.add(call_id)
    return call_id


def _check_call(call: ToolCall, call_id: str, tools: Mapping[str, Bind], may_be_cut: bool) -> CheckedCall:
    name = _sendable_name(call.name)
    note = ""
    try:
        arguments, repaired = parse_arguments(call.arguments, repair=not may_be_cut)
        text = call.arguments if not repaired and _is_exact(call.arguments) else _json(arguments)
    except _ArgumentTextError as error:
        text = str(error)
        if may_be_cut:
            size = len(call.arguments)
            text = f"the call was cut off by the length limit after {size} characters and was not executed; "
            text += "make it shorter, for instance in several steps"
        elif call.name not in tools:
            text = _unknown_tool(call.name, tools)
        return CheckedCall(ToolCall(call_id, name, "{}"), None, text)
    if repaired:
        note = f"The arguments were not valid JSON and were repaired to: {_short(text)}"
    normal = ToolCall(call_id, name, text)
    if call.name not in tools:
        return CheckedCall(normal, None, _unknown_tool(call.name, tools))
    try:
        tools[call.name](arguments)
    except ValueError as error:
        problem = str(error) or "the arguments do not fit"
        return CheckedCall(normal, None, f"{problem} {note}".strip())
    return CheckedCall(normal, arguments, "", note)


def parse_arguments(text: str, *, repair: bool = True) -> tuple[dict[str, Any], bool]:
    """The arguments as a dict, and whether `json-repair` was needed to read them.

    Nothing at all is `{}`; an object that was encoded twice is unwrapped. Lone surrogates, which no
    file or request can hold, become U+FFFD.

    Raises:
        ValueError: the text is not an object, with the position and the reason.
    """
    if not text.strip() and repair:
        return {}, False
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if isinstance(value, str):
            value = json.loads(value, parse_constant=_refuse_constant) if value.strip() else {}
    except (ValueError, RecursionError) as error:
        mended = _repaired(text) if repair else None
        if mended is None:
            raise _ArgumentTextError(_not_json(text, error)) from None
        return mended, True
    if value is None:
        return {}, False
    if not isinstance(value, dict):
        kind = {list: "an array", bool: "a boolean"}.get(type(value), "a single value")
        raise _ArgumentTextError(f"the arguments must be a JSON object, not {kind}: {_short(text)}")
    return (value if _is_exact(text) else _without_surrogates(value)), False


def _is_exact(text: str) -> bool:
    """True if the text can go back to the model as it stands."""
    stripped = text.lstrip()
    return stripped.startswith("{") and "\\u" not in text and _encodable(text)


def _json(arguments: dict[str, Any]) -> str:
    try:
        return json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise _ArgumentTextError(f"the arguments hold a number too large for JSON: {error}") from None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_surrogates(value: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(value, ensure_ascii=False)
    if _encodable(text):
        return value
    clean: dict[str, Any] = json.loads(re.sub(r"[\ud800-\udfff]", "\ufffd", text))
    return clean


def _repaired(text: str) -> dict[str, Any] | None:
    if len(text) > MAX_REPAIR or "{" not in text:
        return None
    import json_repair

    try:
        value = json_repair.loads(text, skip_json_loads=True)
        clean = json.loads(json.dumps(value, allow_nan=False)) if isinstance(value, dict) else None
    except (ValueError, TypeError, RecursionError):
        return None
    return _without_surrogates(clean) if clean else None


def _not_json(text: str, error: Exception) -> str:
    where = ""
    if isinstance(error, json.JSONDecodeError):
        near = text[max(0, error.pos - 20) : error.pos + 20]
        where = f" at line {error.lineno} column {error.colno}, near {near!r}"
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error) or "nested too deeply"
    return f"the arguments are not valid JSON: {reason}{where}; send one JSON object"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unknown_tool(name: str, tools: Mapping[str, Bind]) -> str:
    if not tools:
        return f"there is no tool {name!r}; there are no tools at all: answer in words"
    import difflib

    near = difflib.get_close_matches(name, tools, n=3, cutoff=0.4)
    names = [*near, *(each for each in tools if each not in near)]
    more = f" and {len(names) - NAMED_TOOLS} more" if len(names) > NAMED_TOOLS else ""
    return f"there is no tool {name!r}; the tools are: {', '.join(names[:NAMED_TOOLS])}{more}"


def _sendable_name(name: str) -> str:
    """A name the API takes back: it refuses all but letters, digits, `_` and `-`, up to 64 of them."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unnamed"


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
