"""The text of a ShareGPT turn: how calls, results and reasoning are written, and how they are read back.

The layout is the one Hermes-style tool-calling models are trained on
(https://huggingface.co/datasets/NousResearch/hermes-function-calling-v1).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

from conversation.message import AssistantMessage, ToolResult

MARKUP = re.compile(r"<(?=/?(?:think|tool_call|tool_response|tools)\b|\|[\w.]+\|>)", re.IGNORECASE)
"""A `<` that would begin our own markup, or a model's special token such as `<|im_end|>`."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_THINK = re.compile(r"<think>\n(?:(.*?)\n)?</think>\n(.*)", re.DOTALL)
_CALL = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)


class TurnTextError(ValueError):
    """A turn's text does not keep to the layout; the text says where."""


@dataclass(frozen=True, slots=True)
class GptTurn:
    reasoning: str
    text: str
    calls: list[dict[str, Any]]


def gpt_text(message: AssistantMessage) -> str:
    """Reasoning in one `<think>` block (empty where there is none), the text, then a block for each call."""
    reasoning = escape_text(message.reasoning.strip())
    think = f"<think>\n{reasoning}\n</think>\n" if reasoning else "<think>\n</think>\n"
    calls = "\n".join(
        f'<tool_call>\n{{"name": {json_text(call.name)}, "arguments": {escape_json(call.arguments.strip())}}}'
        "\n</tool_call>"
        for call in message.tool_calls
    )
    text = escape_text(message.content)
    return think + "\n".join(part for part in (text, calls) if part)


def tool_text(results: tuple[ToolResult, ...]) -> str:
    """All results of a round. JSON objects and arrays stand as they are, anything else as a string."""
    return "\n".join(
        f'<tool_response>\n{{"tool_call_id": {json_text(result.call_id)}, "name": {json_text(result.name)}, '
        f'"content": {_content(result.content)}}}\n</tool_response>'
        for result in results
    )


def read_gpt(value: str) -> GptTurn:
    """Raises TurnTextError."""
    match = _THINK.fullmatch(value)
    if match is None:
        raise TurnTextError("does not begin with a <think> block")
    reasoning, rest = match[1] or "", match[2]
    if MARKUP.search(reasoning):
        raise TurnTextError("markup inside the <think> block")
    start = rest.find("<tool_call>")
    text, blocks = (rest, "") if start < 0 else (rest[:start], rest[start:])
    if MARKUP.search(text):
        raise TurnTextError("markup inside the text")
    if text and blocks and not text.endswith("\n"):
        raise TurnTextError("a <tool_call> does not begin on a line of its own")
    calls = _read_blocks(blocks, _CALL, {"name": str, "arguments": dict}) if blocks else []
    return GptTurn(reasoning, text.removesuffix("\n") if blocks else text, calls)


def read_tool(value: str) -> list[dict[str, Any]]:
    """Raises TurnTextError."""
    return _read_blocks(value, _RESPONSE, {"tool_call_id": str, "name": str, "content": object})


def escape_text(text: str) -> str:
    """Plain text that cannot be taken for markup: the `<` of a tag becomes `&lt;`."""
    return MARKUP.sub("&lt;", text)


def escape_json(text: str) -> str:
    """The same for JSON text, without loss: there a `<` stands only in strings, where it may be `\\u003c`."""
    return MARKUP.sub(r"\\u003c", text)


def json_text(value: Any) -> str:
    return escape_json(json.dumps(value, ensure_ascii=False))


def strict_json(text: str) -> Any:
    """Like json.loads without NaN and Infinity. Raises ValueError, also where the nesting is too deep."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def arguments_value(text: str) -> Any:
    """The arguments of a call as the object they are.

    What a file of JSON cannot hold is changed: a lone surrogate becomes U+FFFD, a number too large for a
    float its text.
    """
    value = json.loads(text, parse_float=_number)
    return _without_surrogates(value) if _SURROGATE.search(text) else value


def _number(text: str) -> float | str:
    number = float(text)
    return number if isfinite(number) else text


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return [_without_surrogates(each) for each in value] if isinstance(value, list) else value


def repeats_keys(text: str | bytes) -> bool:
    """Whether some object of JSON `text` has a key twice: readers see the last one alone.

    Raises ValueError and RecursionError.
    """
    repeated = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in pairs}) < len(pairs)

    json.loads(text, object_pairs_hook=note)
    return repeated


def is_json(text: str) -> bool:
    """Strict JSON text of an object or a list."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        strict_json(text)
    except ValueError:
        return False
    return True


def _content(content: str) -> str:
    return escape_json(content.strip()) if is_json(content) else json_text(content)


def _read_blocks(value: str, pattern: re.Pattern[str], layout: dict[str, type]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    position = 0
    while position < len(value):
        match = pattern.match(value, position)
        if match is None:
            raise TurnTextError(f"expected a block at character {position} of the blocks")
        found.append(_read_block(match[1], layout))
        position = match.end()
        if position < len(value):
            if value[position] != "\n" or position + 1 == len(value):
                raise TurnTextError(f"text after a block at character {position} of the blocks")
            position += 1
    if not found:
        raise TurnTextError("no block in it")
    return found


def _read_block(text: str, layout: dict[str, type]) -> dict[str, Any]:
    try:
        value = strict_json(text)
    except ValueError as error:
        raise TurnTextError(f"a block is not JSON ({error})") from None
    if not isinstance(value, dict) or set(value) != set(layout):
        raise TurnTextError(f"a block is not an object of {', '.join(layout)}")
    for key, kind in layout.items():
        if not isinstance(value[key], kind):
            raise TurnTextError(f"{key} in a block is not a {'JSON object' if kind is dict else 'string'}")
    return value
