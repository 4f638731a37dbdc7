"""Model families whose chat templates want a conversation in a form of their own, and what that is.

The facts were read from the templates the families ship, as llama.cpp, vLLM and TRL carry them.
"""

from __future__ import annotations

import hashlib
import re
import string
from functools import cached_property
from typing import Literal

import msgspec
from msgspec import Struct

from conversation.history import Entry
from conversation.message import ToolCall, UserMessage
from conversation.round import Round

_PIPED = r"<\|[^|<>\s]{1,40}\|>"
"""`<|im_end|>`, `<|eot_id|>`, `<|call|>`: how most families write their special tokens."""

_TAGS = r"</?(?:tool_call|tool_response|tools|think)>"
_XML_CALL = r"</?(?:function|parameter)(?:=[^<>\s]{0,80})?>"


_DIGITS = string.digits + string.ascii_letters


class Target(Struct, frozen=True, dict=True):
    """What a family's template asks for.

    `one_call`: it refuses or drops all calls of an answer but the first. `ids`: the form of call ids it
    wants. `alternating`: it refuses two user messages in a row, also with calls in between.
    `reasoning_key`: where a message keeps its reasoning. `lone_reasoning`: with calls it takes either
    reasoning or text. `tokens`: a regular expression of the texts that its tokenizer or template takes
    for structure.
    """

    name: str
    also: tuple[str, ...] = ()
    one_call: bool = False
    ids: Literal["any", "nine", "numbered"] = "any"
    alternating: bool = False
    reasoning_key: Literal["reasoning_content", "thinking"] = "reasoning_content"
    lone_reasoning: bool = False
    tokens: str = _PIPED

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.tokens, re.IGNORECASE)


TARGETS = (
    Target("hermes", ("chatml",), tokens=rf"{_PIPED}|{_TAGS}"),
    Target("qwen", ("qwen2", "qwen2_5", "qwen25", "qwen3", "qwq"), tokens=rf"{_PIPED}|{_TAGS}"),
    Target("qwen3_coder", ("qwen3_5", "qwen35", "qwen3_6"), tokens=rf"{_PIPED}|{_TAGS}|{_XML_CALL}"),
    Target("llama3", ("llama3_1", "llama3_2", "llama3_3", "llama3_json"), one_call=True),
    Target("llama4", ("llama4_json", "llama4_pythonic")),
    Target(
        "mistral",
        ("devstral", "magistral", "ministral"),
        ids="nine",
        alternating=True,
        tokens=r"\[/?(?:INST|TOOL_[A-Z]+|AVAILABLE_TOOLS|SYSTEM_PROMPT|MODEL_SETTINGS|ARGS|CALL_ID|THINK"
        r"|IMG(?:_[A-Z]+)?|(?:BEGIN_)?AUDIO|PREFIX|MIDDLE|SUFFIX)\]|</?s>",
    ),
    Target("gpt_oss", ("harmony", "openai"), one_call=True, reasoning_key="thinking", lone_reasoning=True),
    Target("kimi_k2", ("kimi",), ids="numbered"),
    Target(
        "deepseek",
        ("deepseek_v3", "deepseek_v31", "deepseek_v32"),
        tokens=rf"</?｜[^<>]{{1,80}}>|</?(?:tool_result|function_results|result)>|{_TAGS}",
    ),
    Target(
        "glm",
        ("glm45", "glm46", "glm47"),
        tokens=rf"{_PIPED}|{_TAGS}|</?arg_(?:key|value)>|\[gMASK\]|<sop>",
    ),
    Target(
        "gemma",
        ("gemma3", "gemma4"),
        alternating=True,
        tokens=rf"{_PIPED}|{_TAGS}|</?(?:start|end)_[a-z_]{{1,30}}>|<(?:[be]os|escape)>"
        r"|<\|[a-z_]{1,30}>|<[a-z_]{1,30}\|>",
    ),
    Target("granite", ("granite4",), tokens=rf"{_PIPED}|{_TAGS}"),
    Target(
        "minimax_m2",
        ("minimax",),
        tokens=rf"\]~!?b[\[\]]|\[e~\[|</?(?:minimax:tool_call|mm:think|invoke|parameter|response)\b[^<>]{{0,200}}>|{_TAGS}",
    ),
    Target("seed_oss", (), tokens=rf"</?seed:[a-z_]{{1,30}}>|{_XML_CALL}"),
    Target("nemotron", ("nemotron_3",), tokens=rf"{_PIPED}|<SPECIAL_\d{{1,3}}>|{_TAGS}|{_XML_CALL}"),
    Target("phi4", ("phi4_mini", "phi"), tokens=rf"{_PIPED}|</?\|tool(?:_call|_response)?\|>"),
)


class UnknownTarget(ValueError):
    """No model family goes by that name; the text lists those that there are."""


def find_target(name: str) -> Target:
    """The family called `name`, in any case and with `-`, `.` or `_` between its parts.

    Raises:
        UnknownTarget
    """
    wanted = re.sub(r"[-.\s]", "_", name.strip().lower())
    for target in TARGETS:
        if wanted == target.name or wanted in target.also:
            return target
    raise UnknownTarget(f"no model family {name!r}; there are: {', '.join(each.name for each in TARGETS)}")


def renamed_calls(entries: list[Entry], target: Target) -> list[Entry]:
    """The entries with call ids as `target` wants them: always the same ones, each once in a conversation."""
    if target.ids == "any":
        return entries
    used: set[str] = set()
    return [_renamed(entry, target, used) for entry in entries]


def _renamed(entry: Entry, target: Target, used: set[str]) -> Entry:
    if isinstance(entry, UserMessage) or not entry.results:
        return entry
    calls = tuple(
        msgspec.structs.replace(call, id=_new_id(call, target, used)) for call in entry.assistant.tool_calls
    )
    results = tuple(
        msgspec.structs.replace(result, call_id=call.id)
        for call, result in zip(calls, entry.results, strict=True)
    )
    return Round(msgspec.structs.replace(entry.assistant, tool_calls=calls), results)


def _new_id(call: ToolCall, target: Target, used: set[str]) -> str:
    """`numbered`: `functions.NAME:IDX`, counted through the conversation, as Kimi's own code makes them."""
    name = f"functions.{call.name}:{len(used)}" if target.ids == "numbered" else _nine(call.id, used)
    used.add(name)
    return name


def _nine(call_id: str, used: set[str]) -> str:
    """Nine letters and digits: the id itself if it is so, else made from it."""
    name, tried = call_id, 0
    while len(name) != 9 or not (name.isascii() and name.isalnum()) or name in used:
        digest = hashlib.blake2b(f"{call_id}\0{tried}".encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        name = "".join(_DIGITS[number // 62**place % 62] for place in range(9))
        tried += 1
    return name
