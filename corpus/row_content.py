"""What was said in a row, whatever its format: turns with their reasoning, calls and results.

It reads what hermes writes and what others do, as far as there is sense in it, and never raises; whether a
row keeps to a layout is for `trajectories.validate`.

    ShareGPT  `conversations`: {"from", "value"}, calls and results in tags or in turns of their own
    OpenAI    `messages`: {"role", "content", "tool_calls", "reasoning_content"}; or `prompt`, `completion`
    ATIF      `steps`: {"source", "message", "tool_calls", "observation"}
    a prompt  `prompt` alone: the input of a batch
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

Role = Literal["system", "human", "gpt", "tool"]
RowKind = Literal["sharegpt", "openai", "atif", "prompt", "unknown"]

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "human": "human", "user": "human",
    "gpt": "gpt", "assistant": "gpt", "model": "gpt", "agent": "gpt",
    "function_call": "gpt", "tool_call": "gpt",
    "tool": "tool", "observation": "tool", "function": "tool", "tool_response": "tool",
    "function_response": "tool", "ipython": "tool",
}  # fmt: skip


_BETWEEN_RESULTS = "\n</tool_response>\n<tool_response>\n"


class Call(Struct, frozen=True):
    """`arguments` is text, JSON in all but broken rows; `id` is "" where the format has none."""

    name: str
    arguments: str
    id: str = ""


class Result(Struct, frozen=True):
    """`name` and `call_id` are "" where the row does not say. `failed`: an error by its own word."""

    content: str
    name: str = ""
    call_id: str = ""
    failed: bool = False


class Turn(Struct, frozen=True):
    """`index` is its place in the row's own list, -1 for a system text beside it. `text` is without
    reasoning, calls and results."""

    role: Role
    index: int
    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()


def row_kind(row: Mapping[str, Any]) -> RowKind:
    """By its keys. A row with both `conversations` and `messages` counts as ShareGPT."""
    if isinstance(row.get("conversations"), list):
        return "sharegpt"
    if isinstance(row.get("messages"), list) or isinstance(row.get("completion"), list | str):
        return "openai"
    if isinstance(row.get("steps"), list):
        return "atif"
    return "prompt" if isinstance(row.get("prompt"), str | list) else "unknown"


def row_turns(row: Mapping[str, Any]) -> list[Turn]:
    """The turns of a row, in order; results get the names of their calls. [] where nothing can be read."""
    kind = row_kind(row)
    if kind == "sharegpt":
        turns = [_tagged_turn(index, each) for index, each in enumerate(row["conversations"])]
        if isinstance(row.get("system"), str) and row["system"]:
            turns.insert(0, Turn("system", -1, row["system"]))
    elif kind == "atif":
        turns = [turn for index, each in enumerate(row["steps"]) for turn in _step_turns(index, each)]
    else:
        turns = [_message_turn(index, each) for index, each in enumerate(_messages(row))]
    return _with_names([turn for turn in turns if turn is not None])


def as_text(content: Any) -> str:
    """Content as text: a string as it is, parts joined by newlines, other values as JSON."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "\n".join(
            part["text"] if isinstance(part.get("text"), str) else f"[{part.get('type', 'part')}]"
            for part in content
        )
    try:
        return msgspec.json.encode(content).decode()
    except RecursionError:
        return "[nested too deeply]"


def is_failure(content: Any) -> bool:
    """Whether a result says itself that it failed: an object with an `error` other than null, or
    `success: false`. The exit code of a command is no failure of the tool."""
    if isinstance(content, str):
        if not content.lstrip().startswith("{"):
            return False
        content = json_value(content)
    return isinstance(content, dict) and (
        content.get("error") not in (None, "", False) or content.get("success") is False
    )


def json_value(text: str) -> Any:
    """The value of JSON text, None where it is no JSON."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None


def blocks(text: str, tag: str) -> tuple[str, list[str]]:
    """`text` without its `<tag>…</tag>` blocks, and what is inside them. An open block stays text."""
    opening, closing = f"<{tag}>", f"</{tag}>"
    rest: list[str] = []
    inside: list[str] = []
    position = 0
    while True:
        start = text.find(opening, position)
        end = text.find(closing, start + len(opening)) if start >= 0 else -1
        if end < 0:
            rest.append(text[position:])
            return ("".join(rest) if inside else text), inside
        rest.append(text[position:start])
        inside.append(text[start + len(opening) : end])
        position = end + len(closing)


def _messages(row: Mapping[str, Any]) -> list[Any]:
    if isinstance(row.get("messages"), list):
        return list(row["messages"])
    said: list[Any] = []
    for key, role in (("prompt", "user"), ("completion", "assistant")):
        part = row.get(key)
        said += part if isinstance(part, list) else [{"role": role, "content": part}] if part else []
    return said


def _tagged_turn(index: int, turn: Any) -> Turn | None:
    if not isinstance(turn, dict):
        return None
    name = str(turn.get("from") or turn.get("role"))
    role = _ROLES.get(name)
    if role is None:
        return None
    text = as_text(turn.get("value") if "value" in turn else turn.get("content"))
    if name in ("function_call", "tool_call"):
        return _calling_turn(index, text)
    if role == "gpt":
        return _answer(index, text, "", ())
    if role == "tool":
        _, responses = blocks(text, "tool_response")
        # LLaMA-Factory's template writes the outer tags itself
        results = [_response(each) for each in responses or text.split(_BETWEEN_RESULTS)]
        return Turn(role, index, results=tuple(results))
    return Turn(role, index, text)


def _message_turn(index: int, message: Any) -> Turn | None:
    if not isinstance(message, dict):
        return None
    if "role" not in message:
        return _tagged_turn(index, message)
    name = str(message["role"])
    role = _ROLES.get(name)
    content = message.get("content")
    if role is None:
        return None
    if name == "tool_call":
        return _calling_turn(index, as_text(content))
    if role == "tool":
        named = str(message.get("name") or "")
        result = Result(as_text(content), named, str(message.get("tool_call_id") or ""), is_failure(content))
        return Turn(role, index, results=(result,))
    if role == "gpt":
        reasoning = next(
            (
                message[key]
                for key in ("reasoning_content", "reasoning", "thinking")
                if isinstance(message.get(key), str)
            ),
            "",
        )
        return _answer(index, as_text(content), reasoning, _tool_calls(message.get("tool_calls")))
    return Turn(role, index, as_text(content))


def _step_turns(index: int, step: Any) -> Iterator[Turn]:
    if not isinstance(step, dict):
        return
    role = _ROLES.get(str(step.get("source")))
    text = as_text(step.get("message"))
    if role == "gpt":
        reasoning = step.get("reasoning_content")
        calls = _tool_calls(step.get("tool_calls"))
        yield _answer(index, text, reasoning if isinstance(reasoning, str) else "", calls)
    elif role is not None:
        yield Turn(role, index, text)
    observation = step.get("observation")
    results = observation.get("results") if isinstance(observation, dict) else None
    found = tuple(
        Result(
            as_text(each.get("content")),
            call_id=str(each.get("source_call_id") or ""),
            failed=is_failure(each.get("content")),
        )
        for each in (results if isinstance(results, list) else [])
        if isinstance(each, dict)
    )
    if found:
        yield Turn("tool", index, results=found)


def _answer(index: int, text: str, reasoning: str, calls: tuple[Call, ...]) -> Turn:
    """Reasoning and calls that stand in the text as blocks are taken out of it."""
    if "<think>" in text:
        text, thoughts = blocks(text, "think")
        reasoning = reasoning or "\n\n".join(each.strip() for each in thoughts if each.strip())
    if "<tool_call>" in text:
        text, written = blocks(text, "tool_call")
        calls = calls or tuple(call for each in written for call in _calls(each))
    return Turn("gpt", index, text.strip(), reasoning, calls)


def _tool_calls(listed: Any) -> tuple[Call, ...]:
    found = []
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict):
            continue
        function = each.get("function")
        inner = function if isinstance(function, dict) else each
        name = inner.get("name") or inner.get("function_name") or ""
        id_ = each.get("id") or each.get("tool_call_id") or ""
        found.append(Call(str(name), as_text(inner.get("arguments")), str(id_)))
    return tuple(found)


def _calling_turn(index: int, text: str) -> Turn:
    """A turn of calls alone, as LLaMA-Factory has it: JSON of one or of several, or an answer with tags."""
    if "<tool_call>" in text or "<think>" in text:
        return _answer(index, text, "", ())
    return Turn("gpt", index, calls=_calls(text))


def _calls(text: str) -> tuple[Call, ...]:
    value = json_value(text)
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in listed):
        return (Call("", text.strip()),)
    return tuple(
        Call(each["name"], as_text(each.get("arguments", each.get("parameters")))) for each in listed
    )


def _response(text: str) -> Result:
    value = json_value(text)
    if not isinstance(value, dict) or "content" not in value:
        return Result(text.strip(), failed=is_failure(text))
    content = value["content"]
    name, call_id = value.get("name"), value.get("tool_call_id")
    return Result(as_text(content), str(name or ""), str(call_id or ""), is_failure(content))


def _with_names(turns: list[Turn]) -> list[Turn]:
    """Results that do not say whose they are: by the id of their call, else by its place."""
    named: list[Turn] = []
    names: dict[str, str] = {}
    waiting: deque[str] = deque()
    for turn in turns:
        if turn.calls:
            names.update({call.id: call.name for call in turn.calls if call.id})
            waiting.extend(call.name for call in turn.calls)
        if turn.results:
            results = tuple(_named(each, names, waiting) for each in turn.results)
            turn = msgspec.structs.replace(turn, results=results)
        elif not turn.calls:
            waiting.clear()
        named.append(turn)
    return named


def _named(result: Result, names: dict[str, str], waiting: deque[str]) -> Result:
    first = waiting.popleft() if waiting else ""
    if result.name:
        return result
    return msgspec.structs.replace(result, name=names.get(result.call_id, first))
