"""Percentiles in bounded memory, and the statistics made of them."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from corpus.reading import read_rows
from corpus.spread import Spread, SpreadCounter
from corpus.statistics import MOST_NAMES, MOST_PROBLEMS, StatisticsCounter
from tests.corpus.every_format import lines_of_formats, write_rows, write_session


def spread_of(values: list[int]) -> Spread:
    counter = SpreadCounter()
    for value in values:
        counter.add(value)
    return counter.spread()


@pytest.mark.parametrize("kind", ["small", "wide", "narrow", "zeros", "one", "huge"])
def test_percentiles_are_at_most_one_percent_off(kind: str) -> None:
    source = random.Random(kind)
    values = {
        "small": [source.randrange(20) for _ in range(999)],
        "wide": [int(source.lognormvariate(8, 2)) for _ in range(20_000)],
        "narrow": [100_000 + source.randrange(300) for _ in range(5000)],
        "zeros": [0] * 100,
        "one": [12_345],
        "huge": [10**15, 10**15, 5],
    }[kind]
    spread = spread_of(values)
    ordered = sorted(values)
    for share, found in (
        (0.1, spread.p10), (0.25, spread.p25), (0.5, spread.median), (0.75, spread.p75),
        (0.9, spread.p90), (0.99, spread.p99),
    ):  # fmt: skip
        exact = ordered[math.ceil(share * len(ordered)) - 1]
        assert abs(found - exact) <= 0.01 * exact + 1e-9
    assert (spread.least, spread.most, spread.count) == (ordered[0], ordered[-1], len(values))
    assert spread.mean == pytest.approx(sum(values) / len(values))


@pytest.mark.parametrize("kind", ["small", "wide", "with zeros", "one"])
def test_the_histogram_has_every_value_and_no_gap(kind: str) -> None:
    source = random.Random(kind)
    values = {
        "small": [source.randrange(7) for _ in range(300)],
        "wide": [int(source.lognormvariate(8, 2)) + 1 for _ in range(3000)],
        "with zeros": [0, 0] + [int(source.lognormvariate(8, 2)) for _ in range(3000)],
        "one": [5],
    }[kind]
    bins = spread_of(values).histogram
    assert sum(each.count for each in bins) == len(values)
    assert len(bins) <= 41
    assert all(one.high == other.low for one, other in pairwise(bins))
    assert all(each.low < each.high for each in bins)
    assert max(each.count for each in bins) < len(values) * 0.5 or kind in ("one", "with zeros")


def test_no_values_have_no_spread() -> None:
    assert spread_of([]) == Spread()


def test_the_order_of_values_does_not_matter() -> None:
    source = random.Random(4)
    values = [source.randrange(10**6) for _ in range(1000)]
    assert spread_of(values) == spread_of(sorted(values))


def test_statistics_count_what_is_in_a_file_of_all_formats(tmp_path: Path) -> None:
    formats = lines_of_formats(write_session(tmp_path / "sessions"))
    lines = formats.pop("hf")
    path = write_rows(tmp_path / "rows.jsonl", *(row for rows in formats.values() for row in rows), "bad", "")
    trace = write_rows(tmp_path / "trace.jsonl", *lines)
    counter = StatisticsCounter()
    for each in (path, trace):
        counter.begin(str(each))
        for item in read_rows(each):
            counter.add(item)
    found = counter.statistics()
    assert found.rows == 9
    assert found.formats == {
        **dict.fromkeys(("atif", "axolotl", "hf", "llamafactory", "nemo", "openai", "trl"), 1), "sharegpt": 2,
    }  # fmt: skip
    assert (found.answers, found.answers_with_reasoning, found.rows_with_reasoning) == (27, 9, 9)
    (tool,) = found.tools
    assert (tool.name, tool.rows, tool.calls, tool.failed, tool.success) == ("terminal", 9, 18, 9, 0.5)
    assert found.outcomes == {"done": 9}
    assert found.models == {"test-model": 9}
    assert (found.usage.rows, found.usage.prompt_tokens, found.usage.completion_tokens) == (9, 2250, 225)
    assert found.usage.cost == pytest.approx(0.27)
    assert found.turns.median == 2
    assert found.lines_skipped == {"cut_off": 1, "blank": 1} or found.lines_skipped == {
        "not_json": 1,
        "blank": 1,
    }
    assert [(each.file, each.line) for each in found.skipped] == [(str(path), 9)]
    assert json.loads(msgspec.json.encode(found))["rows"] == 9


def test_tokens_are_those_of_the_tokenizer_that_is_given(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "rows.jsonl",
        {
            "messages": [
                {"role": "user", "content": "one two three"},
                {"role": "assistant", "content": "four"},
            ]
        },
    )
    counter = StatisticsCounter(lambda text: len(text.split()), "words")
    counter.begin("x")
    for item in read_rows(path):
        counter.add(item)
    found = counter.statistics()
    assert (found.tokens.total, found.parts.human, found.parts.answers, found.tokens_by) == (4, 3, 1, "words")


def test_a_hostile_file_cannot_make_the_statistics_grow(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": "x",
            "model": f"m{n}" + "x" * 1000,
            "tool_stats": {f"t{n}": {"count": 1}},
            "flags": [f"f{n}"],
        }
        for n in range(MOST_NAMES + 500)
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows, *["bad"] * (MOST_PROBLEMS + 50))
    counter = StatisticsCounter()
    counter.begin("x")
    for item in read_rows(path):
        counter.add(item)
    found = counter.statistics()
    assert len(found.models) == len(found.tools) == len(found.flags) == MOST_NAMES + 1
    assert found.models["(others)"] == 500
    assert len(found.skipped) == MOST_PROBLEMS
    assert found.files[0].skipped == MOST_PROBLEMS + 50
    assert len(msgspec.json.encode(found)) < 1_000_000
