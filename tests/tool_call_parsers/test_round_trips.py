"""What a family's model writes comes back as the calls it meant, whole and however a stream cuts it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.tool_call_parsers import wire_formats
from tests.tool_call_parsers.wire_formats import FORMATS, Call
from tool_call_parsers import get_parser, list_parsers

CODE = 'import os\n\n\ndef main() -> None:\n    print("hi {name}")\n    d = {"a": [1, 2], \'b\': None}\n'
SHELL = 'printf "a\\tb\\n" && echo \'it\'\\\'\'s\' | sed "s/\\\\/x/g"\necho "$HOME" # 100%'
HTML = '<html><body><p class="x">1 < 2 && 3 > 2</p></body></html>'
DEEP = {"lang": ["py", "rs"], "date": {"after": "2024-01-01", "deep": {"x": [1, 2, {"y": None}]}}}
SCENARIOS: dict[str, list[Call]] = {
    "one": [("terminal", {"command": "ls -la"})],
    "two arguments": [("terminal", {"command": "make test", "timeout": 120})],
    "the same tool twice": [("terminal", {"command": "pwd"}), ("terminal", {"command": "pwd"})],
    "three tools": [
        ("terminal", {"command": "git status"}), ("search", {"query": "async", "limit": 5}), ("get_time", {})
    ],
    "no arguments": [("get_time", {})],
    "no arguments, twice": [("get_time", {}), ("get_time", {})],
    "nested": [("search", {"query": "q", "limit": 3, "filters": DEEP, "tags": ["a", "b c"]})],
    "an empty list and object": [("search", {"query": "q", "filters": {}, "tags": []})],
    "unicode": [("search", {"query": "北京 天气 ☀️ naïve façade 👩‍🚀 ｜", "tags": ["日本語", "emoji🚀"]})],
    "escapes": [("terminal", {"command": SHELL})],
    "code": [("write_file", {"path": "src/app.py", "content": CODE})],
    "markup": [("write_file", {"path": "a.html", "content": HTML})],
    "json in a string": [
        ("write_file", {"path": "c", "content": '{"name": "fake", "arguments": {"x": [1, 2]}}'})
    ],
    "python in a string": [("write_file", {"path": "c", "content": "[fake(x=1, y='a')]"})],
    "a string that is JSON": [("write_file", {"path": "[1]", "content": '{"a": 1}'})],
    "types": [("set_value", {"key": "k", "value": -3.5, "flag": False, "note": "true"})],
    "more types": [("set_value", {"key": "null", "value": 1e-07, "flag": True, "note": "-1.5"})],
    "large numbers": [("set_value", {"key": "big", "value": 12345678901234567890, "flag": True})],
    "digits in a string": [("search", {"query": "00123", "limit": 10})],
    "an empty string": [("write_file", {"path": "empty.txt", "content": ""})],
    "blanks around": [("write_file", {"path": "a", "content": "\n  two lines\n\n"})],
    "a long one": [("write_file", {"path": "big.txt", "content": "line of text number x\n" * 300})],
    "brackets": [("write_file", {"path": "]", "content": "}]} ]] )) ((( {{ [[ `x` ``` '''\"\"\" ; , : ="})],
    "an unknown tool": [("does_not_exist", {"a": "b"})],
    "names of all kinds": [("mcp__files-2_read", {"path": "x"}), ("ns.sub.tool", {"q": ""})],
    "null": [("maybe", {"text": None, "count": None})],
    "alternatives": [("maybe", {"text": "some", "count": 3, "many": ["a"], "either": {"a": 1}})],
    "many": [("terminal", {"command": f"echo {n}"}) for n in range(30)],
}  # fmt: skip
CANNOT = {
    # What stands in an object that its schema does not describe is text.
    "minimax_m3": ("nested", "alternatives", "null"),
    # One line break, or all white space, round a value may be the format's.
    **dict.fromkeys(("seed_oss", "step3", "dots"), ("blanks around",)),
    # Names are Python's.
    **dict.fromkeys(("lfm2", "olmo3", "pythonic", "llama4_pythonic"), ("names of all kinds",)),
}
"""Scenarios that a family's format cannot tell from others."""


def tool(name: str, required: list[str], **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def of(*kinds: str, **more: Any) -> dict[str, Any]:
    return {"type": kinds[0] if len(kinds) == 1 else list(kinds), **more}


TOOLS = [
    tool("terminal", ["command"], command=of("string"), timeout=of("integer"), background=of("boolean")),
    tool("write_file", ["path", "content"], path=of("string"), content=of("string")),
    tool(
        "search", ["query"], query=of("string"), limit=of("integer"), filters=of("object"),
        tags=of("array", items=of("string")),
    ),
    tool("get_time", []),
    tool("set_value", ["key"], key=of("string"), value=of("number"), flag=of("boolean"), note=of("string")),
    tool(
        "maybe", [], text={"anyOf": [of("string"), of("null")]}, count=of("integer", "null"),
        many={"anyOf": [of("array", items=of("string")), of("null")]},
        either={"oneOf": [of("object"), of("boolean")]},
    ),
]  # fmt: skip


def calls_of(tool_calls: list[Any]) -> list[Call]:
    return [(made["function"]["name"], json.loads(made["function"]["arguments"])) for made in tool_calls]


def streamed(family: str, text: str, chance: random.Random) -> tuple[str, list[Call]]:
    parser = get_parser(family, tools=TOOLS)
    shown, calls, at = "", [], 0
    longest = chance.choice((1, 3, 9, 50))
    while at < len(text):
        end = at + chance.randint(1, longest)
        progress = parser.feed(text[at:end])
        shown, calls, at = shown + progress.text, calls + progress.tool_calls, end
    progress = parser.finish()
    return shown + progress.text, calls_of(calls + progress.tool_calls)


@pytest.mark.parametrize(
    ("family", "scenario"),
    [(family, name) for family in FORMATS for name in SCENARIOS if name not in CANNOT.get(family, ())],
)
def test_a_family_reads_what_it_writes(family: str, scenario: str) -> None:
    for dump in wire_formats.all_dumps():
        text = FORMATS[family](SCENARIOS[scenario], dump)
        parsed = get_parser(family).parse(text, TOOLS)
        assert (calls_of(parsed.tool_calls), parsed.content) == (SCENARIOS[scenario], None), text
        shown, calls = streamed(family, text, random.Random(scenario))
        assert (calls, shown.strip()) == (SCENARIOS[scenario], ""), text


def test_every_family_is_here() -> None:
    assert {get_parser(name).name for name in FORMATS} == set(list_parsers())
