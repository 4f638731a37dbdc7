"""The page of `hermes data stats --html`: one file, nothing loaded, nothing run, and the numbers right."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import xml.dom.minidom
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from corpus.html_report import report, write_report
from corpus.html_report_plot import histogram, percent, share_bar, short, stacked_bar
from corpus.reading import Problem, Row
from corpus.spread import Spread, SpreadCounter
from corpus.statistics import Statistics, StatisticsCounter
from corpus.writing import OutputError

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e\x1b[31m</title></style>"


class Tags(HTMLParser):
    """Every tag with its attributes, and whether what was opened is closed."""

    VOID = ("meta", "path", "rect")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def statistics_of(
    rows: list[dict[str, Any]], *problems: Problem, path: str = "/data/rows.jsonl"
) -> Statistics:
    counter = StatisticsCounter()
    counter.begin(path)
    for number, row in enumerate(rows, 1):
        counter.add(Row(number, 0, row, b"x" * 100))
    for problem in problems:
        counter.add(problem)
    return counter.statistics()


def row(name: str, number: int, **fields: Any) -> dict[str, Any]:
    call = f'<tool_call>\n{{"name": "{name}", "arguments": {{}}}}\n</tool_call>'
    return {
        "conversations": [
            {"from": "human", "value": "word " * (number + 1)},
            {"from": "gpt", "value": f"<think>\nhm\n</think>\n{call}"},
            {
                "from": "tool",
                "value": f'<tool_response>\n{{"name": "{name}", "content": "ok"}}\n</tool_response>',
            },
            {"from": "gpt", "value": "<think>\n</think>\nDone."},
        ],
        "outcome": "done",
        "model": "m",
        **fields,
    }


def hostile_statistics() -> Statistics:
    stats = [{"name": HOSTILE, "calls": 3, "failed": 1}]
    rows = [
        row(
            "terminal",
            number,
            outcome=HOSTILE,
            model=HOSTILE,
            tool_stats=stats,
            flags=[{"turn": 0, "flag": HOSTILE}],
        )
        for number in range(20)
    ]
    return statistics_of(rows, Problem(21, 0, "not_json", HOSTILE), path=f"/data/{HOSTILE}.jsonl")


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    page = report(hostile_statistics())
    tags = Tags(page)
    policy = next(
        attrs["content"] for tag, attrs in tags.seen if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script" not in policy
    assert not {tag for tag, _ in tags.seen} & {"script", "img", "link", "iframe", "object", "a", "form"}
    names = {name for _, attrs in tags.seen for name in attrs}
    assert not {name for name in names if name.startswith("on") or name in ("style", "src", "href")}
    assert "http://" not in page.replace("http-equiv", "")
    assert "https://" not in page
    assert "url(" not in style


def test_what_a_row_says_is_shown_as_text_whatever_it_is() -> None:
    page = report(hostile_statistics())
    assert "<script>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert Tags(page).open == []


def test_the_numbers_of_the_rows_stand_in_the_page() -> None:
    rows = [row("terminal", number) for number in range(30)]
    paid = {"prompt_tokens": 90_000, "cost": 0.5}
    rows += [row("read_file", number, outcome="failed", usage=paid) for number in range(10)]
    rows[0]["tool_stats"] = [{"name": "terminal", "calls": 4, "failed": 3}]
    text = Tags(
        report(statistics_of(rows, Problem(41, 0, "cut_off", "the line was not written to its end")))
    ).text
    for told in (
        "40 rows in 1 file, 4.0 kB", "done", "75 %", "failed", "25 %", "terminal", "33", "50 %", "$5.00",
        "of 10 rows", "line 41", "the line was not written to its end", "1 cut off", "900k",
        "estimated, 4 characters a token", "1 more lines skipped",
    ):  # fmt: skip
        assert told in text, told
    assert "rows.jsonl" in text


def test_long_lists_are_folded_after_a_dozen_names() -> None:
    page = report(statistics_of([row(f"tool_{number}", 1, model=f"m{number}") for number in range(40)]))
    assert page.count("<details>") == 2
    assert "28 more" in page
    assert page.count("tool_39") == 1


def test_no_rows_make_a_page_all_the_same() -> None:
    page = report(statistics_of([]))
    assert Tags(page).open == []
    assert "0 rows" in page
    assert "No rows." in page


def test_the_same_statistics_make_the_same_file_which_is_the_owners_alone(tmp_path: Path) -> None:
    statistics = statistics_of([row("terminal", 1)])
    path = tmp_path / "page.html"
    write_report(statistics, path)
    first = path.read_bytes()
    write_report(statistics, path)
    assert path.read_bytes() == first == report(statistics).encode()
    assert os.stat(path).st_mode & 0o777 == 0o600
    with pytest.raises(OutputError, match="is read and cannot be written"):
        write_report(statistics, path, [path])


def bars(plot: str) -> list[tuple[float, float, float]]:
    """x, width and height of each bar of a histogram."""
    document = xml.dom.minidom.parseString(plot)
    found = [
        each for each in document.getElementsByTagName("rect") if each.getAttribute("class").startswith("bar")
    ]
    return [(*(float(each.getAttribute(name)) for name in ("x", "width", "height")),) for each in found]  # type: ignore[misc]


def spread_of(values: list[int]) -> Spread:
    counter = SpreadCounter()
    for value in values:
        counter.add(value)
    return counter.spread()


@pytest.mark.parametrize(
    "values",
    [
        [0], [7], [1, 1, 1], [0, 1], [3, 4, 5] * 10, list(range(41)), list(range(2, 900)), [1, 10**9],
        [2**number for number in range(1, 40)], [0, 10**12], [1] * 5000 + [40],
    ],
)  # fmt: skip
def test_a_histogram_has_its_bars_side_by_side_inside_its_frame(values: list[int]) -> None:
    spread = spread_of(values)
    drawn = bars(histogram(spread, "turns"))
    assert drawn
    for (x, width, height), (following, _, _) in zip(drawn, [*drawn[1:], (551.0, 0, 0)], strict=True):
        assert 46 <= x <= x + width <= following + 0.11
        assert 0 <= height <= 162.05
    assert max(height for _, _, height in drawn) > 60
    filled = sum(height > 0 for _, _, height in drawn)
    assert filled == sum(each.count > 0 for each in spread.histogram)
    labels = re.findall(r'text-anchor="middle">([^<]+)<', histogram(spread, "turns"))
    assert 1 <= len(labels) <= 14
    assert len(set(labels)) == len(labels)


def test_every_bar_tells_its_range_and_its_rows() -> None:
    plot = histogram(spread_of([1, 1, 1, 2, 900]), "tokens")
    told = re.findall("<title>(.*?)</title>", plot)
    assert "1 tokens: 3 rows" in told
    assert "2 tokens: 1 row" in told
    ranges = [re.match(r"([\d,]+)(?: to ([\d,]+))? tokens", each) for each in told]
    edges = [(int(m[1].replace(",", "")), int((m[2] or m[1]).replace(",", ""))) for m in ranges if m]
    assert edges[0][0] == 1
    assert edges[-1][1] == 900
    assert all(first[1] + 1 == second[0] for first, second in pairwise(edges))


def widths(plot: str) -> list[float]:
    return [float(width) for width in re.findall(r'width="([\d.]+)"', plot)]


def test_parts_of_a_bar_are_as_wide_as_their_shares() -> None:
    assert widths(stacked_bar([("a", 3, "x"), ("b", 1, "y")])) == [750.0, 250.0]
    assert stacked_bar([("a", 0, "x")]) == ""
    assert widths(share_bar(0.5, "good", second=0.1, second_kind="bad")) == [450.0, 50.0]


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (7, "7"), (2.5, "2.5"), (950, "950"), (999.9, "1k"), (1000, "1k"), (1234, "1.2k"),
     (99_960, "100k"),
     (1e6, "1M"), (5.62e7, "56M"), (3e9, "3G"), (999_999, "1M")],
)  # fmt: skip
def test_numbers_on_an_axis_are_short(number: float, shown: str) -> None:
    assert short(number) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.9999, "99.9 %"), (0.034, "3.4 %"), (0.00001, "< 0.1 %")],
)  # fmt: skip
def test_a_share_is_not_rounded_to_all_or_nothing(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.thorough)])
def test_a_browser_shows_it_without_a_word_of_complaint(tmp_path: Path, scheme: Any) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("chromium is not installed")
    path = tmp_path / "page.html"
    write_report(hostile_statistics(), path)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page(color_scheme=scheme, viewport={"width": 500, "height": 900})
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append("a dialog"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        wide = page.evaluate("document.documentElement.scrollWidth")
        bars = page.locator("rect.bar").count()
        browser.close()
    assert (said, asked) == ([], [path.as_uri()])
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3]))
    assert brightness > 600 if scheme == "light" else brightness < 150
    assert wide <= 500
    assert bars > 10
