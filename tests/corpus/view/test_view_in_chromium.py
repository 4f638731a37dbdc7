"""The page as a person meets it, in a real Chromium."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus.view.conftest import Look
from tests.corpus.view.written import page_of, row

pytestmark = pytest.mark.long


def test_rows_are_listed_and_a_click_opens_one(look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, row(1), row(2, outcome="failed", model="org/model-b")))
    assert look.titles() == ["What is in folder 1?", "What is in folder 2?"]
    assert page.locator(".item .line").all_inner_texts()[1].split() == [
        "#2", "failed", "1", "turn", "120", "tok", "model-b",
    ]  # fmt: skip
    assert look.counts("2 rows") == "2 rows · 240 tokens · $0.50"
    page.locator(".item").nth(1).click()
    look.row(2)
    assert page.locator(".turn .who").all_text_contents() == ["System", "Person", "Model", "Model"]
    call = page.locator(".call")
    assert call.locator(".tool-name").text_content() == "terminal"
    assert call.locator("> dl dt").all_text_contents() == ["command", "timeout"]
    assert call.locator("> dl dd").all_text_contents() == ["ls -la folder-2", "30"]
    assert call.locator(".result .code").text_content() == "a.txt 2\nb.txt"
    assert page.locator(".chips").inner_text().split("\n")[0].startswith("#2")
    assert look.complaints == []


@pytest.mark.thorough
def test_ten_thousand_rows_make_no_more_elements_than_fit_the_screen(look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, *({"prompt": f"prompt {number}"} for number in range(10_000))))
    assert page.locator(".item").count() < 40
    page.evaluate("document.getElementById('list').scrollTop = 1e9")
    page.locator("#item-10000").wait_for()
    assert page.locator(".item").count() < 40


@pytest.mark.parametrize(
    "words", ["TWO FILES in folder 3", "i list it, 3", "folder-3", "a.txt 3", "what is in folder 3", "row-3"]
)
def test_search_finds_what_was_said_wherever_it_stands(words: str, look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, *(row(number) for number in range(1, 6))))
    look.press("/")
    page.keyboard.type(words)
    look.counts("1 of 5 rows")
    assert look.titles() == ["What is in folder 3?"]
    look.press("Enter")
    look.row(3)
    look.press("/ Escape")
    look.counts("5 rows")


@pytest.mark.thorough
def test_what_was_found_is_marked_and_its_fold_is_open(look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, row(1), row(2)))
    assert page.locator(".reasoning .body").count() == 0
    page.fill("#search", "list it, 2")
    look.counts("1 of 2 rows")
    page.locator(".item").first.click()
    look.row(2)
    page.locator(".reasoning .body").wait_for()
    page.wait_for_function(
        "() => [...CSS.highlights.get('found') ?? []].some(each => String(each) === 'list it, 2')"
    )


def test_enter_goes_from_hit_to_hit(look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, row(1), row(2)))
    look.row(1)
    look.press("/")
    page.keyboard.type("folder 1")
    look.counts("1 of 2 rows")
    page.wait_for_function("() => CSS.highlights.get('found')?.size === 3")
    here = (
        "() => [...CSS.highlights.get('found-here')][0].startContainer.parentElement"
        ".closest('h1, section').className"
    )
    places = []
    for _ in range(4):
        look.press("Enter")
        places.append(page.evaluate(here))
    assert places == ["", "turn human", "turn gpt", ""]


@pytest.mark.thorough
def test_filters_narrow_the_list_together_and_say_how_many_there_are(look: Look, tmp_path: Path) -> None:
    flagged = [{"turn": 2, "flag": "flawed"}]
    rows = [
        row(1), row(2, tool="read_file"), row(3, outcome="failed"),
        row(4, tool="read_file", outcome="failed", flags=flagged), row(5, model="model-b"),
    ]  # fmt: skip
    page = look.at(page_of(tmp_path, *rows))
    tools = page.locator("#filter-tool option").all_text_contents()
    assert tools == ["Any tool", "terminal  (3)", "read_file  (2)"]
    page.select_option("#filter-tool", "read_file")
    look.counts("2 of 5 rows")
    page.select_option("#filter-outcome", "failed")
    look.counts("1 of 5 rows")
    assert look.titles() == ["What is in folder 4?"]
    page.select_option("#filter-tool", "")
    look.counts("2 of 5 rows")
    page.select_option("#filter-flag", "flawed")
    look.counts("1 of 5 rows")
    for name in ("outcome", "flag"):
        page.select_option(f"#filter-{name}", "")
    page.select_option("#filter-model", "model-b")
    assert look.titles() == ["What is in folder 5?"]


@pytest.mark.thorough
def test_rows_can_be_sorted(look: Look, tmp_path: Path) -> None:
    usages = [{"prompt_tokens": count, "completion_tokens": 0} for count in (5, 90, 40)]
    page = look.at(page_of(tmp_path, *(row(number, usage=usage) for number, usage in enumerate(usages))))
    page.select_option("#order", label="Most tokens")
    assert look.titles() == [f"What is in folder {number}?" for number in (1, 2, 0)]


def test_reasoning_and_results_fold(look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, row(1), row(2)))
    look.row(1)
    folds = page.locator(".turn details")
    opened = "folds => folds.map(fold => fold.className.split(' ')[1] + ' ' + fold.open)"
    assert folds.evaluate_all(opened) == ["system-text false", "reasoning false", "result true"]
    page.locator(".reasoning summary").click()
    assert page.locator(".reasoning .prose").text_content() == "I list it, 1."
    look.press("f")
    assert folds.evaluate_all(opened) == ["system-text false", "reasoning false", "result false"]
    look.press("f")
    assert folds.evaluate_all(opened) == ["system-text true", "reasoning true", "result true"]


@pytest.mark.thorough
def test_the_keyboard_is_enough(look: Look, tmp_path: Path) -> None:
    page = look.at(page_of(tmp_path, *(row(number) for number in range(1, 31))))
    look.row(1)
    look.press("j ArrowDown j k")
    look.row(3)
    look.press("G")
    look.row(30)
    assert page.locator("#item-30.chosen").is_visible()
    look.press("g")
    look.row(1)
    look.press("n n n p")
    assert page.locator(".turn.current .who").text_content() == "Person"
    look.press("?")
    assert "next and previous row" in page.inner_text("dialog")
    look.press("j Escape")
    look.row(1)
    look.press("/")
    page.keyboard.type("jk")
    assert page.input_value("#search") == "jk"
    look.press("Escape")
    assert page.input_value("#search") == ""


def test_the_raw_row_stands_beside_it_with_every_digit(look: Look, tmp_path: Path) -> None:
    line = b'{"prompt": "big \\u202e", "n": 12345678901234567890123, "x": 1.50, "d": {"a": [], "b": [1, 2]}}'
    page = look.at(page_of(tmp_path, row(1), line + b"\n"), "#row=2")
    assert not page.locator("#raw").is_visible()
    look.press("r")
    lines = page.locator(".raw-line").all_text_contents()
    assert "".join(lines) == line.decode().replace(", ", ",")
    assert lines[:4] == ["{", '"prompt": "big \\u202e",', '"n": 12345678901234567890123,', '"x": 1.50,']
    look.press("k")
    look.row(1)
    assert json.loads("".join(page.locator(".raw-line").all_text_contents())) == row(1)
    look.press("r")
    assert not page.locator("#raw").is_visible()


@pytest.mark.thorough
def test_each_row_and_turn_has_a_link(look: Look, tmp_path: Path) -> None:
    path = page_of(tmp_path, *(row(number) for number in range(1, 21)))
    page = look.at(path, "#row=12&turn=3")
    look.row(12)
    assert page.locator(".turn.current").get_attribute("id") == "turn-3"
    assert page.locator("#item-12.chosen").is_visible()
    look.press("j")
    page.wait_for_function("() => location.hash === '#row=13'")
    page.evaluate("location.hash = '#row=2'")
    look.row(2)
    page.evaluate("location.hash = '#row=999'")
    look.row(2)


@pytest.mark.thorough
def test_lines_that_are_no_rows_are_listed_with_their_reason(look: Look, tmp_path: Path) -> None:
    bad: list[bytes] = [b'{"a": "\xff"}\n', b"[1]\n", b'{"conversations": [{"from": "human']
    page = look.at(page_of(tmp_path, row(1), row(2), *bad))
    page.get_by_role("button", name="3 problems").click()
    told = page.locator(".problems li").all_inner_texts()
    assert [each.split("\n")[0] for each in told] == ["line 3", "line 4", "line 5"]
    assert "UTF-8" in told[0]
    assert "not written to its end" in told[2]
