"""Rows that would run something, load something or hide something, on the page in a real Chromium."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.view.conftest import Look
from tests.corpus.view.written import page_of, row

pytestmark = pytest.mark.thorough

TAGS = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1><svg onload=window.pwned=1>"
BREAKOUT = "</script></style></textarea><!--<script>" + TAGS + '"><b onmouseover=window.pwned=1>'


def hostile_rows(address: str) -> list[dict[str, Any] | bytes]:
    """Rows that would run a script or load something, wherever markup could come from data."""
    text = f"{BREAKOUT} [x](javascript:window.pwned=1) ![i]({address}/i.png) <link href={address}>"
    call = {"name": text, "arguments": {text: text, "__proto__": {"pwned": 1}, "constructor": 1}}
    block = json.dumps(call).replace("</", "<\\/")
    result = json.dumps({"tool_call_id": text, "name": text, "content": {"error": text}}).replace(
        "</", "<\\/"
    )
    turns = [
        {"from": "system", "value": text * 9}, {"from": "human", "value": text},
        {"from": "gpt", "value": f"<think>\n{text}\n</think>\n{text}\n<tool_call>\n{block}\n</tool_call>"},
        {"from": "tool", "value": f"<tool_response>\n{result}\n</tool_response>"},
        {"from": text, "value": text}, {"from": "gpt", "value": f"```html\n{text}\n```\n{text}"},
    ]  # fmt: skip
    image = [
        {"type": "image_url", "image_url": {"url": f"{address}/image.png"}},
        {"type": "text", "text": text},
    ]
    calls = [{"id": text, "function": {"name": text, "arguments": text}}]
    names = dict.fromkeys(("id", "model", "outcome", "title", "timestamp", "status", text), text)
    tools = json.dumps([{"type": "function", "function": {"name": text, "description": text}}])
    return [
        {"conversations": turns, **names, "flags": [{"turn": 2, "flag": text}], "tools": tools},
        {"messages": [{"role": "user", "content": image},
                      {"role": "assistant", "content": text, "tool_calls": calls, "reasoning_content": text},
                      {"role": "tool", "tool_call_id": text, "name": text, "content": text}]},
        {"steps": [{"source": "agent", "message": text, "timestamp": text}], text: {text: [text]}},
        {"conversations": {"a": text}, "messages": 5, "flags": 3, "tools": "[", "usage": "x"},
        {"conversations": [None, 3, [], {"from": {"a": 1}, "value": {"b": text}}], "__proto__": {"pwned": 1}},
        {"session": {"system": text, "tools": 3}, "records": [None, {"type": text}, {"type": "tool"},
                     {"type": "user", "content": text}, {"type": "rollback", "keep": text, "reason": text}]},
        {"messages": [{"role": "assistant", "content": "", "tool_calls": [{"function": 3}, 4]}], "prompt": 3},
        b'{"conversations": ' + b"[" * 400 + b"]" * 400 + b"}\n",
        b'{"cut": "' + BREAKOUT.encode() + b"\n",
    ]  # fmt: skip


def test_nothing_in_a_row_is_ever_executed_or_loaded(look: Look, tmp_path: Path) -> None:
    path = page_of(tmp_path, *hostile_rows("http://127.0.0.1:9"))
    page = look.at(path)
    look.press("r")
    for number in range(1, 9):
        look.row(number)
        look.press("f f")
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        page.evaluate("document.querySelectorAll('summary, .prose').forEach(each => each.dispatchEvent(new"
                      " MouseEvent('mouseover', { bubbles: true })))")  # fmt: skip
        look.press("j")
    page.fill("#search", TAGS)
    look.counts("6 of 8 rows")
    page.get_by_role("button", name="1 problem").click()
    page.wait_for_timeout(300)
    assert page.evaluate("[window.pwned, {}.pwned, document.images.length, document.scripts.length]") == [
        None, None, 0, 3,
    ]  # fmt: skip
    assert set(look.requests) == {path.as_uri()}
    assert look.complaints == []


def test_the_page_could_not_run_what_was_put_into_it_either(look: Look, tmp_path: Path) -> None:
    """The second wall: markup that got in would be refused by the policy."""
    page = look.at(page_of(tmp_path, row(1)))
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>'; } catch (error) { return error.name; } }"
    )
    assert refused == "TypeError"
    page.evaluate(
        "() => { const image = document.body.appendChild(new Image()); image.src = 'http://127.0.0.1:9/x'; }"
    )
    page.wait_for_timeout(200)
    assert "violates the following Content Security Policy directive" in look.complaints[-1]


def test_hidden_characters_are_spelled_out(look: Look, tmp_path: Path) -> None:
    said = "a\x1b[31mred\x07 \u202egnp.exe\u202c zero\u200bwidth \U000e0041 \u00ad é 👨‍👩‍👧 نامه‌ای"
    page = look.at(page_of(tmp_path, {"messages": [{"role": "user", "content": said}], "title": said}))
    assert page.locator(".turn .ghost").all_text_contents() == [
        "ESC", "BEL", "U+202E", "U+202C", "U+200B", "U+E0041", "U+00AD",
    ]  # fmt: skip
    text = page.locator(".turn .prose").text_content()
    assert text is not None and "👨‍👩‍👧" in text and "نامه‌ای" in text
    assert "\u202e" not in page.inner_text("h1")


def test_a_line_of_50_megabytes_opens_cut_and_can_be_searched(look: Look, tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "a long one"},
        {"from": "gpt", "value": "word " * 10_000_000 + "the end"},
    ]
    page = look.at(page_of(tmp_path, {"conversations": turns}, row(2)))
    look.row(1)
    more = page.locator(".turn.gpt .more")
    assert more.text_content() == "Show 400,000 more of 50,000,007 characters, 1 line"
    assert len(page.text_content(".turn.gpt .prose") or "") < 10_000
    more.click()
    assert len(page.text_content(".turn.gpt .prose") or "") > 400_000
    look.press("r")
    assert "… 49,99" in (page.locator(".raw-code .more").text_content() or "")
    page.fill("#search", "the end")
    look.counts("1 of 2 rows")


@pytest.mark.parametrize("shape", ["turns", "calls", "turns of calls", "results", "flags", "fields"])
def test_a_hundred_thousand_of_anything_do_not_stop_the_page(shape: str, look: Look, tmp_path: Path) -> None:
    many = range(100_000)
    call = {"function": {"name": "terminal", "arguments": "{}"}}
    rows: dict[str, dict[str, Any]] = {
        "turns": {"conversations": [{"from": "gpt", "value": "x"} for _ in many]},
        "calls": {"messages": [{"role": "assistant", "content": "x", "tool_calls": [call for _ in many]}]},
        "turns of calls": {"messages": [{"role": "assistant", "tool_calls": [call]} for _ in many]},
        "results": {
            "messages": [{"role": "tool", "tool_call_id": str(each), "content": "x"} for each in many]
        },
        "flags": {**row(1), "flags": [{"turn": 2, "flag": str(each)} for each in many]},
        "fields": {**row(1), **{f"field {each}": each for each in many}},
    }
    page = look.at(page_of(tmp_path, rows[shape], row(2)), "#row=1")
    look.row(1)
    assert page.locator("#talk *").count() < 20_000
    look.press("r f j")
    look.row(2)
    page.fill("#search", "folder 2")
    look.counts("1 of 2 rows")


def test_marks_that_pile_up_stay_within_their_turn(look: Look, tmp_path: Path) -> None:
    piled = "Z" + "\u0338\u0351" * 500
    page = look.at(page_of(tmp_path, {"messages": [{"role": "user", "content": piled}] * 2}))
    assert page.locator(".turn .prose").first.evaluate("each => getComputedStyle(each).overflow") == "clip"


def test_a_page_that_was_not_copied_to_its_end_says_so(look: Look, tmp_path: Path) -> None:
    path = page_of(tmp_path, *(row(number, padding="x" * 50_000) for number in range(20)))
    text = path.read_text()
    path.write_text(text[: text.index('id="b3"')])
    page = look.at(path, "#row=20")
    page.get_by_text("Row 20: this page is incomplete: the file was not copied to its end").wait_for()
    page.evaluate("location.hash = '#row=1'")
    look.row(1)


VALUES: list[Any] = [
    None, True, 0, -1, 3.0, 1.5, 12345678901234567890, 0.12345678901234567890123, "", "text", "constructor",
    "9e3", "__proto__", [], [None], ["a"], {}, {"a": 1}, {"text": 3}, {"type": {}}, [[[]]], "<think>",
]  # fmt: skip


def mutated(draw: random.Random, value: Any) -> Any:
    """The same value with another one in place of some of its parts."""
    if draw.random() < 0.06:
        return draw.choice(VALUES)
    if isinstance(value, dict):
        return {key: mutated(draw, each) for key, each in value.items()}
    return [mutated(draw, each) for each in value] if isinstance(value, list) else value


@pytest.mark.timeout(180)
def test_rows_with_anything_in_the_place_of_anything_are_shown(look: Look, tmp_path: Path) -> None:
    call = {"id": "c1", "function": {"name": "terminal", "arguments": '{"n": 12345678901234567890}'}}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5}
    listed = {"id": "c1", "name": "terminal", "arguments": "{}"}
    records = [
        {"type": "user", "content": "x", "entry": 0, "ts": "2026-11-21T07:18:13Z", "origin": "notice"},
        {
            "type": "assistant",
            "content": "y",
            "tool_calls": [listed],
            "usage": usage,
            "seconds": 1.5,
            "entry": 1,
        },
        {"type": "assistant", "content": "y", "flawed": "f", "tokens": {"answer": [1, 2]}, "entry": 2},
        {"type": "tool", "call_id": "c1", "name": "t", "content": "r", "seconds": 2.0, "approval": "once"},
        {"type": "rollback", "keep": 1, "reason": "r"},
        {"type": "superseded", "text": "t"},
        {"type": "compaction", "start": 0, "end": 1, "before": 5, "after": 3, "text": "t"},
        {"type": "change", "what": "model", "value": "m"},
        {"type": "git", "commit": "c", "dirty": True},
        {"type": "turn", "outcome": "done", "requests": 2, "seconds": 3.0},
    ]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "assistant", "content": "y", "reasoning": "z", "tool_calls": [call], "usage": usage},
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
    ]
    results = {"results": [{"source_call_id": "c1", "content": "r"}]}
    step = {"source": "agent", "message": "m", "metrics": usage, "tool_calls": [call], "observation": results}
    seeds = [
        row(1),
        {"messages": messages, "tools": [call]},
        {"steps": [{**step, "timestamp": "t"}]},
        {"session": {"system": "s", "tools": [call]}, "facts": {"seconds": 3.0}, "records": records},
    ]
    draw = random.Random(7)
    rows = [made for _ in range(60) for seed in seeds if isinstance(made := mutated(draw, seed), dict)]
    page = look.at(page_of(tmp_path, *rows), "#row=1")
    look.press("r")
    for number in range(1, len(rows) + 1):
        look.row(number)
        page.evaluate("() => document.querySelectorAll('details').forEach(each => { each.open = true; })")
        look.press("j")
    assert look.complaints == []
