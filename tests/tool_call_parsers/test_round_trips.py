"""What a family's model writes comes back as the calls it meant, whole and however a stream cuts it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.tool_call_parsers import wire_formats
from tests.tool_call_parsers.wire_formats import FORMATS, Call
from tool_call_parsers import get_parser, list_parsers
from tool_call_parsers.detection import DetectingParser
from tool_call_parsers.registry import is_bare

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
    calls: list[Any] = []
    shown, at = "", 0
    longest = chance.choice((1, 3, 9, 50))
    while at < len(text):
        end = at + chance.randint(1, longest)
        progress = parser.feed(text[at:end])
        shown, calls, at = shown + progress.text, calls + progress.tool_calls, end
    progress = parser.finish()
    return shown + progress.text, calls_of(calls + progress.tool_calls)


def scenarios_of(family: str) -> dict[str, list[Call]]:
    return {name: calls for name, calls in SCENARIOS.items() if name not in CANNOT.get(family, ())}


@pytest.mark.parametrize("family", FORMATS)
def test_a_family_reads_what_it_writes(family: str) -> None:
    for scenario, calls in scenarios_of(family).items():
        for dump in wire_formats.all_dumps():
            text = FORMATS[family](calls, dump)
            parsed = get_parser(family).parse(text, TOOLS)
            assert (calls_of(parsed.tool_calls), parsed.content) == (calls, None), text
            shown, found = streamed(family, text, random.Random(scenario))
            assert (found, shown.strip()) == (calls, ""), text


def test_every_family_is_here() -> None:
    assert {get_parser(name).name for name in FORMATS} == set(list_parsers())


UNDECLARED = ("an unknown tool", "names of all kinds")
STRICT_CANNOT = {
    # An engine that is followed leaves out undeclared tools.
    **dict.fromkeys(("glm45", "glm47", "ling3", "minimax_m2", "minicpm5"), UNDECLARED),
    # Or takes white space off the ends of values.
    "dots": (*UNDECLARED, "code", "a long one"),
    **dict.fromkeys(("seed_oss", "step3"), ("code", "a long one")),
    # Or leaves values text that no schema describes.
    **dict.fromkeys(("gemma4", "functiongemma"), ("nested", "alternatives")),
}
"""Scenarios that the reference engines read otherwise."""


@pytest.mark.parametrize("family", FORMATS)
def test_strict_reads_what_is_well_formed_as_the_engines_do(family: str) -> None:
    for scenario, calls in scenarios_of(family).items():
        text = FORMATS[family](calls, wire_formats.dumps(ensure_ascii=False))
        found = calls_of(get_parser(family, strict=True).parse(text, TOOLS).tool_calls)
        assert (found == calls) is (scenario not in STRICT_CANNOT.get(family, ())), text


TWO: list[Call] = [
    ("write_file", {"path": "a", "content": CODE}),
    ("set_value", {"key": "k", "value": 12, "flag": True}),
]


@pytest.mark.parametrize("family", FORMATS)
def test_text_before_between_and_after_is_kept(family: str) -> None:
    dump = wire_formats.dumps()
    one, two = (FORMATS[family]([call], dump) for call in TWO)
    for before, between, after in (
        ("First a, then b:\n", "\n\n", "\nDone, I hope."),
        ("Use f(x) = {x} or [1, 2].\n\n", "\nand 1 < 2, so:\n", ""),
        ("", "\nI go on.\n", "\n\n- one\n- two"),
    ):
        text = before + one + between + two + after
        parsed = get_parser(family).parse(text, TOOLS)
        assert calls_of(parsed.tool_calls) == TWO, text
        kept = (before + between + after) if family not in wire_formats.ENDS_THE_TURN else before
        assert (parsed.content or "").split() == kept.split(), text
        shown, calls = streamed(family, text, random.Random(1))
        assert (calls, shown.split()) == (TWO, kept.split())


@pytest.mark.parametrize("family", FORMATS)
def test_a_text_that_is_cut_off_gives_whole_calls_or_none(family: str) -> None:
    text = "Now.\n" + FORMATS[family](TWO, wire_formats.dumps())
    for end in range(len(text)):
        parsed = get_parser(family).parse(text[:end], TOOLS)
        calls = calls_of(parsed.tool_calls)
        assert calls == TWO[: len(calls)], text[:end]


@pytest.mark.parametrize("family", sorted(FORMATS.keys() - {"gpt_oss", "harmony", "muse", "muse_glimmer"}))
def test_a_call_in_reasoning_is_none(family: str) -> None:
    one, two = (FORMATS[family]([call], wire_formats.dumps()) for call in TWO)
    begin, end = wire_formats.THINKS.get(family, ("<think>", "</think>"))
    text = f"{begin}\nPerhaps {one}?\n{end}\n\n{two}"
    assert calls_of(get_parser(family).parse(text, TOOLS).tool_calls) == TWO[1:]


@pytest.mark.parametrize("family", FORMATS)
def test_one_broken_call_leaves_its_siblings_whole(family: str) -> None:
    calls = [("terminal", {"command": word}) for word in ("echo a", "@@", "echo c")]
    text = FORMATS[family](calls, wire_formats.dumps())
    for broken in (text.replace('"@@"', "@@"), text.replace('"@@"', '"@@'), text.replace('"@@"', '"@"@"')):
        parsed = get_parser(family).parse(broken, TOOLS)
        names = [made["function"]["arguments"] for made in parsed.tool_calls]
        assert [json.loads(each) for each in (names[0], names[-1])] == [calls[0][1], calls[2][1]], broken


WORDS = (
    *("a", "B9", "été", "北京", "🚀", " ", "  ", "\n", "\t", "'", '"', "\\", "\\n", "`", "```"),
    *("{", "}", "[", "]", "(", ")", ",", ":", ";", "=", "#", "%", "&", "&amp;", "<", ">", "/", "</p>", "<b>"),
    *("null", "true", "-1", "0", "1e5", "$x", "|", "<|", "|>"),
    *("\u200b", "\x7f", "*", "~", "@", "!", "?", ".", "…", "\u2028"),
)  # fmt: skip


def a_text(chance: random.Random) -> str:
    return "".join(chance.choices(WORDS, k=chance.choice((0, 1, 1, 2, 5, 20))))


def a_value(chance: random.Random, depth: int = 3) -> Any:
    """Any JSON value."""
    match chance.randrange(9 if depth else 7):
        case 0 | 1 | 2:
            return a_text(chance)
        case 3:
            return chance.choice((0, 1, -1, 7, 2**53 + 1, -(10**30), 10**18))
        case 4:
            return chance.choice((0.5, -0.25, 1e300, 1e-12, 3.141592653589793, 100.0))
        case 5:
            return chance.choice((True, False))
        case 6:
            return None
        case 7:
            return [a_value(chance, depth - 1) for _ in range(chance.randint(0, 4))]
        case _:
            return {
                f"k{n} {a_text(chance)}".strip(): a_value(chance, depth - 1)
                for n in range(chance.randint(0, 3))
            }


def a_call(chance: random.Random, free: bool) -> Call:
    """A call of one of the tools; `free`: any name and any arguments."""
    if free and chance.random() < 0.7:
        return f"tool_{chance.randint(0, 9)}", {f"x{n}": a_value(chance) for n in range(chance.randint(0, 4))}
    return chance.choice(
        (
            ("terminal", {"command": a_text(chance), "timeout": chance.randint(-5, 10**6)}),
            ("write_file", {"path": a_text(chance), "content": a_text(chance) + "x" + a_text(chance)}),
            ("search", {"query": a_text(chance), "tags": [a_text(chance) for _ in range(3)]}),
            ("set_value", {"key": a_text(chance), "value": chance.choice((0.1, 5, -2)), "flag": True}),
            ("get_time", {}),
        )
    )


@pytest.mark.parametrize("number", range(len(wire_formats.OTHER_LAYOUTS)))
def test_layouts_that_mean_the_same_are_read_alike(number: int) -> None:
    family, render = wire_formats.OTHER_LAYOUTS[number]
    for name in ("one", "three tools", "escapes", "types", "digits in a string", "an empty string", "nested"):
        for dump in wire_formats.all_dumps():
            text = render(SCENARIOS[name], dump)
            parsed = get_parser(family).parse(text, TOOLS)
            assert (calls_of(parsed.tool_calls), parsed.content) == (SCENARIOS[name], None), text


@pytest.mark.parametrize("family", sorted(FORMATS.keys() - {"muse", "muse_glimmer"}))
def test_what_calls_no_declared_tool_can_stay_text_to_the_letter(family: str) -> None:
    calls = [("get_weather", {"city": "Paris", "days": 2}), ("other", {})]
    text = "So:\n" + FORMATS[family](calls, wire_formats.dumps()) + "\nEnd."
    parser = get_parser(family, tools=TOOLS, declared_only=True)
    assert parser.parse(text) == (text, [])
    assert "".join(parser.feed(character).text for character in text) + parser.finish().text == text
    real = FORMATS[family](SCENARIOS["one"], wire_formats.dumps())
    assert calls_of(parser.parse(text + real).tool_calls) == SCENARIOS["one"]


@pytest.mark.parametrize("family", sorted(FORMATS.keys() - {"muse", "muse_glimmer"}))
def test_the_tags_of_a_family_tell_it_while_it_streams(family: str) -> None:
    calls = SCENARIOS["the same tool twice"]
    bare = family if is_bare(family) else ""
    text = "So:\n" + FORMATS[family](calls, wire_formats.dumps())
    parser = DetectingParser(TOOLS, bare)
    found: list[Any] = []
    shown = ""
    for character in text:
        progress = parser.feed(character)
        shown, found = shown + progress.text, found + progress.tool_calls
    progress = parser.finish()
    assert calls_of(found + progress.tool_calls) == calls, text
    assert (shown + progress.text).strip() == "So:"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 12))])
@pytest.mark.parametrize("family", FORMATS)
def test_whatever_a_call_holds_comes_back(family: str, seed: int) -> None:
    chance = random.Random(f"{family} {seed}")
    for _ in range(10):
        calls = [a_call(chance, family in FREE) for _ in range(chance.randint(1, 4))]
        calls = [call for call in calls if can_be_told(family, call)]
        text = FORMATS[family](calls, chance.choice([*wire_formats.all_dumps()])) if calls else ""
        parsed = get_parser(family).parse(text, TOOLS)
        assert (calls_of(parsed.tool_calls), parsed.content) == (calls, None), text
        shown, found = streamed(family, text, chance)
        assert (found, shown.strip()) == (calls, ""), text


FREE = {
    *(
        "hermes",
        "hermes_tight",
        "qwen3_json",
        "granite4",
        "ernie45",
        "longcat",
        "granite_20b_fc",
        "gigachat3",
    ),
    *("internlm2", "interns1", "jamba", "hunyuan_a13b", "granite", "mistral_v3", "mistral_v11", "xlam"),
    *("phi4_mini_json", "llama3_json", "llama4_json", "llama3_json_python_tag", "apertus", "cohere_command4"),
    *("kimi_k2", "deepseek_v3", "deepseek_v31", "plamo3", "gpt_oss", "harmony", "mistral"),
    "nemotron_json",
    *("lfm2", "olmo3", "pythonic", "llama4_pythonic"),
}
"""Families whose formats carry any JSON value."""


def can_be_told(family: str, call: Call) -> bool:
    """White space that a value begins with may be the format's in some."""
    texts = [value for value in call[1].values() if isinstance(value, str)]
    return family not in ("seed_oss", "step3", "dots") or not any(text[:1].isspace() for text in texts)
