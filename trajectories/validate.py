"""Does a row keep to the layout? Checks ShareGPT rows and OpenAI rows alike, ours and other people's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from trajectories.turn_text import TurnTextError, read_gpt, read_tool, strict_json

RowFormat = Literal["auto", "sharegpt", "openai"]

_FOLLOWS: dict[str, set[str]] = {
    "": {"system", "human"},
    "system": {"human"},
    "human": {"gpt"},
    "gpt": {"tool", "human"},
    "tool": {"gpt"},
}


def validate_row(row: object, row_format: RowFormat = "auto") -> list[str]:
    """What is wrong with `row` (one decoded line), [] if nothing is.

    `auto` checks whichever of `conversations` and `messages` the row has.
    """
    if not isinstance(row, dict):
        return ["the row is not a JSON object"]
    problems: list[str] = []
    if row_format == "auto" and "conversations" not in row and "messages" not in row:
        return ["the row has neither conversations nor messages"]
    problems += _facts(row)
    if row_format == "sharegpt" or (row_format == "auto" and "conversations" in row):
        problems += _sharegpt(row)
    if row_format == "openai" or (row_format == "auto" and "messages" in row):
        problems += _openai(row)
    return problems


def validate_line(line: bytes, row_format: RowFormat = "auto") -> list[str]:
    """What is wrong with one line of a rows file."""
    try:
        row = strict_json(line.decode("utf-8"))
    except UnicodeDecodeError:
        return ["not UTF-8"]
    except ValueError as error:
        return [f"not JSON: {error}"]
    return validate_row(row, row_format)


def _facts(row: dict[str, Any]) -> Iterator[str]:
    for key, kind, name in (
        ("id", str, "a string"),
        ("model", str, "a string"),
        ("completed", bool, "a bool"),
    ):
        if not isinstance(row.get(key), kind):
            yield f"{key} is not {name}"
    if row.get("id") == "":
        yield "id is empty"
    try:
        datetime.fromisoformat(str(row.get("timestamp")))
    except ValueError:
        yield "timestamp is not an ISO 8601 text"
    yield from _later_facts(row)


def _later_facts(row: dict[str, Any]) -> Iterator[str]:
    """Facts that rows of the first versions did not have."""
    git, redactions = row.get("git"), row.get("redactions", [])
    if git is not None and not _has(git, commit=str, dirty=bool):
        yield "git is not an object of commit and dirty"
    if not isinstance(redactions, list) or not all(_has(each, kind=str, count=int) for each in redactions):
        yield "redactions is not a list of objects of kind and count"
    for key in ("answers", "compactions"):
        if key in row and not _is_list_text(row[key]):
            yield f"{key} is not the JSON text of a list of objects"


def _has(value: Any, **kinds: type) -> bool:
    """An object of exactly these keys and types."""
    return (
        isinstance(value, dict)
        and set(value) == set(kinds)
        and all(isinstance(value[key], kind) for key, kind in kinds.items())
    )


def _is_list_text(value: Any) -> bool:
    try:
        listed = strict_json(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return isinstance(listed, list) and all(isinstance(each, dict) for each in listed)


def _sharegpt(row: dict[str, Any]) -> list[str]:
    turns = row.get("conversations")
    if not isinstance(turns, list) or not turns:
        return ["conversations is not a list of turns"]
    problems = list(_shapes(turns))
    if problems:
        return problems
    problems += _order([turn["from"] for turn in turns])
    tools, bad = _tool_list(row.get("tools"), text=True)
    problems += bad
    names = {_tool_name(tool) for tool in tools}
    if turns[0]["from"] == "system":
        problems += _system(turns[0]["value"], tools)
    elif tools:
        problems.append("there are tools and no system turn that tells of them")
    return problems + list(_turns(turns, names, _flawed(row.get("flags"))))


def _flawed(flags: Any) -> set[int]:
    """The turns whose calls may name a tool that does not exist."""
    return {
        flag["turn"]
        for flag in (flags if isinstance(flags, list) else [])
        if isinstance(flag, dict) and flag.get("flag") == "flawed" and isinstance(flag.get("turn"), int)
    }


def _shapes(turns: list[Any]) -> Iterator[str]:
    for index, turn in enumerate(turns):
        if not isinstance(turn, dict) or set(turn) != {"from", "value"}:
            yield f"turn {index} is not an object of from and value"
        elif not isinstance(turn["value"], str) or not isinstance(turn["from"], str):
            yield f"turn {index}: from and value are not both strings"
        elif turn["from"] not in _FOLLOWS or not turn["from"]:
            yield f"turn {index} is from {turn['from'][:40]!r}, not system, human, gpt or tool"


def _order(roles: list[str]) -> Iterator[str]:
    before = ""
    for index, role in enumerate(roles):
        if role not in _FOLLOWS[before]:
            yield f"turn {index}: {role} {'after ' + before if before else 'as the first turn'}"
        before = role
    if before != "gpt":
        yield f"the last turn is from {before}, not gpt"


def _turns(turns: list[dict[str, str]], names: set[str], flawed: set[int]) -> Iterator[str]:
    """Checks the text of gpt and tool turns, and that each result answers its call."""
    calls: list[dict[str, Any]] = []
    used: set[str] = set()
    for index, turn in enumerate(turns):
        try:
            if turn["from"] == "gpt":
                calls = read_gpt(turn["value"]).calls
                following = turns[index + 1]["from"] if index + 1 < len(turns) else ""
                if calls and following == "human":
                    yield f"turn {index}: its calls have no results"
                if index not in flawed:
                    for call in calls:
                        if call["name"] not in names:
                            yield f"turn {index} calls {call['name']!r}, which is not among the tools"
            elif turn["from"] == "tool":
                results = read_tool(turn["value"])
                ids = [result["tool_call_id"] for result in results]
                if [result["name"] for result in results] != [call["name"] for call in calls]:
                    yield f"turn {index}: the results do not answer the calls before it, in order"
                if len(set(ids)) < len(ids) or used & set(ids):
                    yield f"turn {index}: a tool_call_id was used before"
                used |= set(ids)
        except TurnTextError as error:
            yield f"turn {index} ({turn['from']}): {error}"


def _system(value: str, tools: list[Any]) -> Iterator[str]:
    _, opened, rest = value.partition("<tools>")
    body, closed, _ = rest.partition("</tools>")
    if not (opened and closed):
        if tools:
            yield "the system turn has no <tools> block"
        return
    try:
        listed = strict_json(body)
    except ValueError:
        yield "the <tools> block of the system turn is not JSON"
        return
    if listed != tools:
        yield "the <tools> block of the system turn differs from the row's tools"


def _tool_list(value: Any, *, text: bool) -> tuple[list[Any], list[str]]:
    if text:
        if not isinstance(value, str):
            return [], ["tools is not JSON text"]
        try:
            value = strict_json(value)
        except ValueError:
            return [], ["tools is not JSON text"]
    if not isinstance(value, list):
        return [], ["tools is not a list"]
    bad = [f"tool {index} has no function.name" for index, tool in enumerate(value) if not _tool_name(tool)]
    return value, bad


def _tool_name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def _openai(row: dict[str, Any]) -> list[str]:
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return ["messages is not a list of messages"]
    problems = _tool_list(row.get("tools"), text=isinstance(row.get("tools"), str))[1]
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            problems.append(f"message {index} is not an object")
            continue
        role = message.get("role")
        if role == "tool":
            if not waiting or message.get("tool_call_id") != waiting.pop(0):
                problems.append(f"message {index}: a result that answers no call, or out of order")
        elif waiting:
            problems.append(f"message {index}: {len(waiting)} calls before it have no results")
            waiting = []
        problems += _message(index, message)
        if role == "assistant":
            waiting = [_call_id(call) for call in _calls(message)]
    last = messages[-1]
    if waiting and isinstance(last, dict) and last.get("role") == "tool":
        problems.append(f"the last {len(waiting)} calls have no results")
    return problems


def _message(index: int, message: dict[str, Any]) -> Iterator[str]:
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant", "tool"):
        yield f"message {index} has the role {str(role)[:40]!r}"
    if role == "system" and index > 0:
        yield f"message {index}: system after the first message"
    if not isinstance(content, str) and not (role == "user" and isinstance(content, list)):
        yield f"message {index}: content is not text"
    if role != "assistant":
        return
    if not content and not _calls(message):
        yield f"message {index}: an assistant message without text and calls"
    for call in _calls(message):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            yield f"message {index}: a call without function.name"
        elif not _is_object(function.get("arguments")):
            yield f"message {index}: arguments of {function['name']!r} are no object, in JSON text or not"


def _calls(message: dict[str, Any]) -> list[Any]:
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) else []


def _call_id(call: Any) -> str:
    return str(call.get("id")) if isinstance(call, dict) else ""


def _is_object(value: Any) -> bool:
    """An object, as templates want arguments, or the JSON text of one, as the chat API does."""
    try:
        return isinstance(strict_json(value) if isinstance(value, str) else value, dict)
    except ValueError:
        return False
