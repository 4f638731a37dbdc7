"""Which format a row is in, and whether it keeps to it: every format that hermes exports.

ShareGPT and OpenAI rows are checked by `trajectories.validate`; the others are brought into that form as far
as they share it. The layouts are those of docs/data-formats.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from corpus.row_content import as_text, json_value
from trajectories.validate import validate_row

Row = dict[str, Any]


def layout_of(row: Mapping[str, Any]) -> str:
    """A name of LAYOUTS, by the keys of the row; `unknown` where none fits."""
    conversations, messages = row.get("conversations"), row.get("messages")
    if str(row.get("schema_version", "")).startswith("ATIF") or "steps" in row:
        return "atif"
    if isinstance(conversations, list):
        roles = [turn.get("from") for turn in conversations if isinstance(turn, dict)]
        return "llamafactory" if "function_call" in roles or "system" in row else "sharegpt"
    if isinstance(messages, list):
        if "harness" in row:
            return "hf"
        if any("train" in message for message in messages if isinstance(message, dict)):
            return "axolotl"
        if any(isinstance(_arguments(call), dict) for call in _calls(messages)):
            return "trl"
        return "nemo" if "facts" in row else "openai"
    if "conversations" in row:
        return "sharegpt"
    if "messages" in row:
        return "openai"
    return "prompt" if "prompt" in row else "unknown"


def layout_problems(row: Row, layout: str) -> list[str]:
    """What is wrong with a row of this layout, [] if nothing is."""
    check = LAYOUTS.get(layout)
    if check is None:
        return ["the row has neither conversations nor messages, steps or a prompt"]
    return check(row)


def _sharegpt(row: Row) -> list[str]:
    """A row may have messages as well."""
    return validate_row(row, "sharegpt") + _openai(row, always=False)


def _openai(row: Row, *, always: bool = True) -> list[str]:
    return validate_row(row, "openai") if always or "messages" in row else []


def _messages(row: Row) -> list[str]:
    """The rows of trl, axolotl and nemo: OpenAI messages, all but a few facts in one JSON text."""
    messages = row.get("messages")
    problems = list(_json_texts(row, tools=list, facts=dict))
    if not isinstance(messages, list):
        return [*problems, "messages is not a list of messages"]
    plain = {**row, "messages": [_plain(message) for message in messages]}
    return problems + validate_row(plain, "openai")


def _trl(row: Row) -> list[str]:
    """`arguments` are objects, which the templates read as they are."""
    texts = [
        f"a call of {_name(call)!r} has arguments that are no object"
        for call in _calls(row.get("messages"))
        if not isinstance(_arguments(call), dict)
    ]
    return _messages(row) + texts


def _axolotl(row: Row) -> list[str]:
    messages = row.get("messages")
    untold = [
        f"message {index}: train is not true or false"
        for index, message in enumerate(messages if isinstance(messages, list) else [])
        if isinstance(message, dict) and not isinstance(message.get("train"), bool)
    ]
    return _messages(row) + untold


def _hf(row: Row) -> list[str]:
    """The lines of a session trace, joined; its header has few facts that must be there."""
    problems = [] if isinstance(row.get("harness"), str) else ["harness is not a string"]
    named = {"completed": False, "timestamp": row.get("started"), "model": "", "tools": [], **row}
    return problems + validate_row(named, "openai")


def _llamafactory(row: Row) -> list[str]:
    """LLaMA-Factory drops a row whose turns do not alternate, without a word."""
    problems = list(_json_texts(row, tools=list, facts=dict))
    if not isinstance(row.get("system"), str):
        problems.append("system is not a string")
    turns = row.get("conversations")
    if not isinstance(turns, list) or not turns:
        return [*problems, "conversations is not a list of turns"]
    for index, turn in enumerate(turns):
        role = turn.get("from") if isinstance(turn, dict) else None
        allowed = ("gpt", "function_call") if index % 2 else ("human", "tool")
        if role not in allowed:
            problems.append(f"turn {index} is from {str(role)[:40]!r}, not {' or '.join(allowed)}")
        elif not isinstance(turn.get("value"), str):
            problems.append(f"turn {index}: value is not a string")
        elif role == "function_call":
            problems += _written_calls(index, turn["value"])
    if len(turns) % 2:
        problems.append("the last turn is no answer")
    return problems


def _written_calls(index: int, text: str) -> Iterator[str]:
    inside = re.search(r"<tool_call>(.*?)</tool_call>", text, re.DOTALL)
    value = json_value(inside[1] if inside else text)
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) and set(each) == {"name", "arguments"} for each in listed):
        yield f"turn {index}: no JSON of calls with name and arguments"


def _atif(row: Row) -> list[str]:
    """Readers refuse unknown keys, steps out of order, and results away from their calls."""
    problems: list[str] = []
    try:
        msgspec.convert(row, _Document)
    except msgspec.ValidationError as error:
        problems.append(str(error))
    except RecursionError:
        problems.append("nested too deeply")
    version = row.get("schema_version", "ATIF-v1.7")
    if not re.fullmatch(r"ATIF-v1\.\d", str(version)):
        problems.append(f"schema_version {str(version)[:40]!r} is not ATIF-v1")
    steps = row.get("steps")
    for number, step in enumerate(steps if isinstance(steps, list) else [], 1):
        if isinstance(step, dict):
            problems += (f"step {number}: {each}" for each in _step_problems(number, step))
    return problems


def _step_problems(number: int, step: dict[str, Any]) -> Iterator[str]:
    if step.get("step_id") != number:
        yield f"step_id is {step.get('step_id')!r}"
    if step.get("source") != "agent":
        for key in ("model_name", "reasoning_content", "tool_calls", "metrics", "reasoning_effort"):
            if key in step:
                yield f"{key} belongs to steps of the agent"
    if "timestamp" in step and not _is_time(step["timestamp"]):
        yield "timestamp is not an ISO 8601 text"
    calls, observation = step.get("tool_calls"), step.get("observation")
    listed = calls if isinstance(calls, list) else []
    ids = [each.get("tool_call_id") for each in listed if isinstance(each, dict)]
    results = observation.get("results") if isinstance(observation, dict) else None
    for each in results if isinstance(results, list) else ():
        source = each.get("source_call_id") if isinstance(each, dict) else None
        if source is not None and source not in ids:
            yield f"a result for {str(source)[:40]!r}, which is no call of this step"


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    """The keys of ATIF 1.7 and 1.8, and which of them have to be there."""


class _ToolCall(_Strict):
    tool_call_id: str
    function_name: str
    arguments: dict[str, Any]
    extra: dict[str, Any] | None = None


class _Result(_Strict):
    source_call_id: str | None = None
    content: str | list[dict[str, Any]] | None = None
    subagent_trajectory_ref: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None


class _Observation(_Strict):
    results: list[_Result]


class _Metrics(_Strict):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    prompt_token_ids: list[int] | None = None
    completion_token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    extra: dict[str, Any] | None = None


class _Step(_Strict):
    step_id: int
    source: Literal["system", "user", "agent"]
    message: str | list[dict[str, Any]]
    timestamp: str | None = None
    model_name: str | None = None
    reasoning_effort: str | float | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None
    observation: _Observation | None = None
    metrics: _Metrics | None = None
    is_copied_context: bool | None = None
    llm_call_count: int | None = None
    extra: dict[str, Any] | None = None


class _Agent(_Strict):
    name: str
    version: str
    model_name: str | None = None
    tool_definitions: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None


class _FinalMetrics(_Strict):
    total_prompt_tokens: int | None = None
    total_completion_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_cost_usd: float | None = None
    total_steps: int | None = None
    extra: dict[str, Any] | None = None


class _Document(_Strict):
    agent: _Agent
    steps: Annotated[list[_Step], msgspec.Meta(min_length=1)]
    schema_version: str = "ATIF-v1.7"
    session_id: str | None = None
    trajectory_id: str | None = None
    notes: str | None = None
    final_metrics: _FinalMetrics | None = None
    continued_trajectory_ref: str | None = None
    subagent_trajectories: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None


def _prompt(row: Row) -> list[str]:
    prompt = row.get("prompt")
    return [] if isinstance(prompt, str) and prompt.strip() else ["prompt is not a text"]


LAYOUTS: dict[str, Callable[[Row], list[str]]] = {
    "sharegpt": _sharegpt,
    "openai": _openai,
    "trl": _trl,
    "axolotl": _axolotl,
    "nemo": _messages,
    "llamafactory": _llamafactory,
    "atif": _atif,
    "hf": _hf,
    "prompt": _prompt,
}


def _json_texts(row: Row, **kinds: type) -> Iterator[str]:
    """Columns that are JSON text so that no table is ragged."""
    for key, kind in kinds.items():
        text = row.get(key)
        if text == "" and kind is list:
            continue  # no tools
        if not isinstance(text, str) or not isinstance(json_value(text), kind):
            yield f"{key} is not the JSON text of {'a list' if kind is list else 'an object'}"


def _plain(message: Any) -> Any:
    """An OpenAI message: `arguments` as JSON text."""
    if not isinstance(message, dict) or not isinstance(message.get("tool_calls"), list):
        return message
    return {**message, "tool_calls": [_plain_call(call) for call in message["tool_calls"]]}


def _plain_call(call: Any) -> Any:
    arguments = _arguments(call)
    if not isinstance(arguments, dict):
        return call
    return {**call, "function": {**call["function"], "arguments": as_text(arguments)}}


def _calls(messages: Any) -> list[Any]:
    found: list[Any] = []
    for message in messages if isinstance(messages, list) else []:
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        found += calls if isinstance(calls, list) else []
    return found


def _function(call: Any) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    return function if isinstance(function, dict) else {}


def _arguments(call: Any) -> Any:
    return _function(call).get("arguments")


def _name(call: Any) -> str:
    return str(_function(call).get("name", ""))[:40]


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return True
