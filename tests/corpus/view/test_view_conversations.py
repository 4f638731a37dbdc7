"""Conversations of every layout, long ones, and how they look, in a real Chromium."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conversation.message import AssistantMessage, ToolCall, ToolResult, Usage, UserMessage
from corpus.view.page import ShownFile, write_page
from tests.corpus.view.conftest import Look
from tests.corpus.view.written import page_of, row, save, shown
from trajectories.session_file import SessionWriter
from trajectories.session_record import CompactionRecord, Header, RollbackRecord, SupersededRecord

pytestmark = pytest.mark.thorough

ARGUMENTS = '{"command": "ls", "n": 12345678901234567890}'
CALL = {"id": "c1", "type": "function", "function": {"name": "terminal", "arguments": ARGUMENTS}}
BLOCK = f'<tool_call>\n{{"name": "terminal", "arguments": {ARGUMENTS}}}\n</tool_call>'
LAYOUTS: dict[str, dict[str, Any]] = {
    "ShareGPT": {
        "conversations": [
            {"from": "human", "value": "List it."},
            {"from": "gpt", "value": f"<think>\nI list.\n</think>\nI look.\n{BLOCK}"},
            {
                "from": "tool",
                "value": '<tool_response>\n{"name": "terminal", "content": "a.txt"}\n</tool_response>',
            },
            {"from": "gpt", "value": "<think>\n</think>\nOne file."},
        ]
    },
    "turns of calls": {
        "conversations": [
            {"from": "human", "value": "List it."},
            {"from": "gpt", "value": "<think>I list.</think>I look."},
            {"from": "function_call", "value": f'{{"name": "terminal", "arguments": {ARGUMENTS}}}'},
            {"from": "observation", "value": "a.txt"},
            {"from": "gpt", "value": "One file."},
        ]
    },
    "OpenAI": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "List it."}]},
            {"role": "assistant", "content": "I look.", "reasoning_content": "I list.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "a.txt"},
            {"role": "assistant", "content": "One file."},
        ]
    },
    "prompt and completion": {
        "prompt": "List it.",
        "completion": [
            {"role": "assistant", "content": "I look.", "reasoning_content": "I list.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "a.txt"},
            {"role": "assistant", "content": "One file."},
        ],
    },
    "ATIF": {
        "steps": [
            {"source": "user", "message": "List it."},
            {
                "source": "agent",
                "message": "I look.",
                "reasoning_content": "I list.",
                "tool_calls": [
                    {
                        "tool_call_id": "c1",
                        "function_name": "terminal",
                        "arguments": {"command": "ls", "n": 12345678901234567890},
                    }
                ],
                "observation": {"results": [{"source_call_id": "c1", "content": "a.txt"}]},
            },
            {"source": "agent", "message": "One file."},
        ]
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_the_same(layout: str, look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, LAYOUTS[layout], row(2)))
    look.row(1)
    assert page.locator(".turn .said > .prose").all_text_contents() == ["List it.", "I look.", "One file."]
    page.locator(".reasoning summary").click()
    assert page.locator(".reasoning .prose").text_content() == "I list."
    assert page.locator(".call .tool-name").all_text_contents() == ["terminal"]
    assert page.locator(".call > dl dd").all_text_contents() == ["ls", "12345678901234567890"]
    assert page.locator(".call .result .code").text_content() == "a.txt"


def test_results_find_their_calls_and_one_without_a_call_is_shown_by_itself(
    look: Look, tmp_path: Path
) -> None:
    calls = [{"id": each, "function": {"name": f"tool_{each}", "arguments": "{broken"}} for each in "ab"]
    results = [{"role": "tool", "tool_call_id": each, "content": f"result {each}"} for each in "bax"]
    messages = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "", "tool_calls": calls},
        *results,
    ]
    page = look.at(page_of(tmp_path, {"messages": messages}))
    look.row(1)
    calls_shown = page.locator(".call:not(.orphan)")
    assert calls_shown.locator("> .code").all_text_contents() == ["{broken", "{broken"]
    assert calls_shown.locator(".result .code").all_text_contents() == ["result a", "result b"]
    assert page.locator(".call.orphan .code").all_text_contents() == ["result x"]


def test_a_row_that_is_no_conversation_is_shown_as_its_fields(look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, {"reason": "the server was away", "index": 7}))
    page.get_by_text("no conversation").wait_for()
    assert page.locator(".talk-inside > dl dd").all_text_contents() == ["the server was away", "7"]


def test_long_results_are_cut_until_somebody_asks(look: Look, tmp_path: Path) -> None:
    text = "\n".join(f"line {number}" for number in range(500))
    messages = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": text},
    ]
    page = look.at(page_of(tmp_path, {"messages": messages}))
    code = page.locator(".result .code")
    assert (code.text_content() or "").splitlines()[-1] == "line 13"
    more = page.locator(".result .more")
    assert more.text_content() == f"Show all {len(text):,} characters, 500 lines"
    more.click()
    assert code.text_content() == text
    assert not more.is_visible()


def test_a_conversation_of_very_many_turns_is_shown_in_parts(look: Look, tmp_path: Path) -> None:
    turns = [
        {"role": role, "content": f"{role} {number}"}
        for number in range(600)
        for role in ("user", "assistant")
    ]
    page = look.at(page_of(tmp_path, {"messages": turns}, row(2)), "#row=1")
    look.row(1)
    assert page.locator(".turn").count() == 500
    page.get_by_role("button", name="700 more turns").click()
    assert page.locator(".turn").count() == 1000
    page.evaluate("location.hash = '#row=1&turn=1190'")
    page.locator("#turn-1190.current").wait_for()
    assert page.locator(".turn").last.inner_text().endswith("assistant 599")


def save_session(folder: Path) -> Path:
    """One with everything that a training row leaves out."""
    writer = SessionWriter.create(
        folder, Header(id="", model="model-a", system="Be kind.", sandbox="docker:alpine")
    )
    for record in (
        UserMessage("List it."),
        SupersededRecord(text="I th", reason="the connection broke"),
        AssistantMessage(
            "",
            (ToolCall("c1", "terminal", "{}"),),
            usage=Usage(1200, 30, cost=0.002),
            seconds=1.5,
            model="model-b",
        ),
        ToolResult("c1", "terminal", "no", "denied", approval="refused", seconds=0.5),
        AssistantMessage("I may not."),
        UserMessage("Again."),
        AssistantMessage("Now."),
        RollbackRecord(keep=3, reason="undone"),
        CompactionRecord(start=0, end=2, text="They spoke of files.", before=900, after=80),
    ):
        writer.append(record)
    writer.end_turn("done", requests=2, seconds=3.0)
    writer.close()
    return writer.path


def test_a_session_shows_what_does_not_count_and_what_a_person_decided(look: Look, tmp_path: Path) -> None:
    write_page([ShownFile(save_session(tmp_path), "a session", session=True)], tmp_path / "page.html")
    page = look.at(tmp_path / "page.html")
    look.row(1)
    gone = page.locator(".turn.gone").all_inner_texts()
    assert [each.splitlines()[-1] for each in gone] == ["I th", "Again.", "Now."]
    assert "superseded: the connection broke" in gone[0]
    assert "rolled back: undone" in gone[1]
    assert (
        page.locator(".result summary").text_content()
        == "Resultdenied · approval: refused · 0.5 s · 2 characters"
    )
    facts = page.locator(".turn.gpt .fact").all_text_contents()
    assert facts[1:4] == ["1,200 → 30 tok", "$0.0020 · 1.5 s", "model-b"]
    notes = page.locator(".turn.note").all_inner_texts()
    assert "Entries 0 to 1 are sent as a summary from here on (900 → 80 tokens)" in notes[1]
    assert "done · 2 requests · 3.0 s" in notes[2]
    assert not page.locator("#rows-pane").is_visible()
    page.locator(".all-facts summary").click()
    assert "docker:alpine" in page.inner_text(".all-facts")


def test_on_a_narrow_screen_one_part_is_shown_at_a_time(
    new_look: Callable[..., Look], tmp_path: Path
) -> None:
    look = new_look(viewport={"width": 380, "height": 700})
    page = look.at(page_of(tmp_path, row(1), row(2, model="a-model-with-a-name-that-is-very-long/" * 3)))
    assert page.locator("#list").is_visible()
    assert not page.locator("#talk").is_visible()
    page.locator(".item").nth(1).click()
    look.row(2)
    assert not page.locator("#list").is_visible()
    look.press("f f")
    fits = "document.documentElement.scrollWidth <= 380 && document.getElementById('talk').scrollWidth <= 380"
    assert page.evaluate(fits)
    look.press("r")
    assert page.locator("#raw").is_visible()
    assert not page.locator("#talk").is_visible()
    page.locator("#back").click()
    page.locator("#back").click()
    assert page.locator("#list").is_visible()


LUMINANCE = """element => {
    const lightness = color => {
        const canvas = new OffscreenCanvas(1, 1).getContext('2d');
        canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
            .map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    let ground = element;
    while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)' && ground.parentElement) {
        ground = ground.parentElement;
    }
    const both = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor].map(lightness);
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_on_its_ground(
    scheme: str, new_look: Callable[..., Look], tmp_path: Path
) -> None:
    look = new_look(color_scheme=scheme)
    failed = row(2, outcome="failed", flags=[{"turn": 2, "flag": "flawed"}])
    page = look.at(page_of(tmp_path, row(1), failed, b"no row\n"), "#row=2")
    look.row(2)
    look.press("r f f")
    shown_text = page.locator(
        ".who, .fact, .flag, .prose, .code, .chip, .number, .label, .hint, .tool-name, .parts dt, .short, "
        "select, .item .title, .item .line, .counts, .raw-line span, .raw-line, button:visible"
    )
    assert shown_text.count() > 50
    pale = [
        each.evaluate("each => each.className + ': ' + each.textContent.slice(0, 40)")
        for each in shown_text.all()
        if each.evaluate(LUMINANCE) < 4.5
    ]
    assert pale == []


def test_the_theme_can_be_switched(new_look: Callable[..., Look], tmp_path: Path) -> None:
    look = new_look(color_scheme="light")
    page = look.at(page_of(tmp_path, row(1)))
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(ground) == light


def long_row(number: int) -> dict[str, Any]:
    """About 20 kB, a good half of it words that are nowhere else."""
    made = row(number)
    words = random.Random(number).randbytes(5500).hex(" ", 5)
    made["conversations"][-1]["value"] += f" {words} {'the same ' * 800}"
    return made


@pytest.mark.timeout(240)
def test_ten_thousand_rows_of_20_kilobytes_stay_quick(look: Look, tmp_path: Path) -> None:
    """Prints what it measures; the bounds are far above it, for machines that do other things as well."""
    rows = save(tmp_path / "rows.jsonl", (long_row(number) for number in range(10_000)))
    start = time.perf_counter()
    shown(rows, tmp_path / "page.html")
    written = time.perf_counter() - start
    start = time.perf_counter()
    look.page.goto((tmp_path / "page.html").as_uri(), wait_until="commit")
    look.page.locator(".item").first.wait_for()
    listed = time.perf_counter() - start
    look.page.wait_for_load_state("load")
    painted = look.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
    took = []
    for query in ("folder 9876?", "folder 9875?", "folder 9874?"):
        start = time.perf_counter()
        look.page.fill("#search", query)
        look.counts("1 of 10,000 rows")
        took.append(time.perf_counter() - start)
    size = (tmp_path / "page.html").stat().st_size / 1e6
    print(  # noqa: T201
        f"\nwritten in {written:.1f} s, {size:.0f} MB; first paint {painted:.2f} s, list {listed:.2f} s; "
        f"searches {', '.join(f'{each:.2f}' for each in took)} s"
    )
    assert painted < 5
    assert listed < 10
    assert took[0] < 60
    assert min(took[1:]) < 5
