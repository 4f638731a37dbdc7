"""What is said of a run while it goes on."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator

import pexpect
import pytest

from batch_runner import Standing
from batches.progress import Lines, counts, duration, pace, short_number, spent
from batches.statistics import CountedMetadata, CountedRow, CountedTurn, LostRow, Statistics
from conversation.message import Usage
from tests.batches.batch_process import Batch
from tests.faults.hermes_process import CLI
from tests.server.scripted_server import Step, scripted_server


def row(index: int, *, completed: bool = True, reasoning: bool = True) -> CountedRow:
    thought = "<think>\nhm\n</think>\n" if reasoning else "<think>\n</think>\n"
    turns = [CountedTurn("human", "go"), CountedTurn("gpt", f"{thought}Done.")]
    stats = {
        "terminal": {"count": 4, "success": 3, "failure": 1},
        "todo": {"count": 0, "success": 0, "failure": 0},
    }
    outcome = "done" if completed else "limit"
    usage = Usage(1000, 500, cost=0.25)
    return CountedRow(
        index, f"id{index}", CountedMetadata("x"), turns, completed, outcome, 2, ["terminal"], stats, usage
    )


def filled() -> Statistics:
    statistics = Statistics()
    for each in (row(0), row(1, completed=False), row(2, reasoning=False)):
        statistics.add_row(each)
    statistics.add_discarded(LostRow(3, "x", "mute", usage=Usage(10, 10, cost=0.5)))
    statistics.add_failure(LostRow(4, "x", "down", "connection"))
    return statistics


def test_statistics_count_outcomes_tools_reasoning_and_money() -> None:
    report = filled().report()
    assert (report["recorded"], report["completed"], report["partial"]) == (3, 2, 1)
    assert (report["discarded"], report["failures"], report["api_calls"]) == (1, 1, 6)
    assert report["outcomes"] == {"done": 2, "limit": 1}
    assert report["tools"] == {
        "terminal": {"count": 12, "success": 9, "failure": 3, "success_rate": 0.75, "failure_rate": 0.25}
    }
    assert report["reasoning"] == {"answers": 3, "with_reasoning": 2}
    assert report["usage"]["prompt_tokens"] == 3010
    assert report["usage"]["cost"] == pytest.approx(1.25)


def test_money_of_a_model_without_a_price_is_not_zero_but_unknown() -> None:
    statistics = Statistics()
    statistics.add_discarded(LostRow(0, "x", "mute", usage=Usage(10, 10)))
    assert statistics.report()["usage"]["cost"] is None
    assert statistics.unpriced


def test_a_standing_is_told_in_one_line() -> None:
    standing = Standing(10, filled(), earlier=2, failed=1, started=time.monotonic() - 4)
    assert counts(standing) == "4 of 10 done, 1 partial, 1 discarded, 1 failed"
    assert pace(standing).startswith("0.50/s, 12s left")
    assert spent(standing) == "4.5k tokens, $1.25"
    assert pace(Standing(10, Statistics())) == ""
    assert [duration(seconds) for seconds in (5, 65, 3700)] == ["5s", "1m 05s", "1h 01m"]
    assert [short_number(count) for count in (999, 1500, 2_500_000)] == ["999", "1.5k", "2.5M"]


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter([0.0, 1.0, 9.0, 10.5, 12.0, 21.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    out = io.StringIO()
    standing = Standing(10, Statistics(), started=0.0)
    lines = Lines(out)
    for _ in range(5):
        lines.show(standing)
    assert out.getvalue().count("hermes: 0 of 10 done") == 2


def test_at_a_terminal_there_is_a_bar_and_ctrl_c_drains(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(40)])
    with scripted_server(Step(text="Done.", delay=0.3)) as server:
        argv = [*CLI, *batch.arguments(server.url, "--concurrency", "2", "--workers", "1")]
        terminal = pexpect.spawn(
            sys.executable, argv[1:], cwd=batch.hermes.folder, env={**os.environ, **batch.hermes.environ},
            encoding="utf-8", dimensions=(24, 120), timeout=30,
        )  # fmt: skip
        terminal.expect(r"2 of 40 done . 2 running . [0-9.]+/s, \w+ left")
        terminal.sendintr()
        terminal.expect("finishing the [0-9] conversations")
        terminal.expect(r"[0-9]+ are left; --resume goes on with them")
        terminal.expect(pexpect.EOF)
        terminal.close()
    assert terminal.exitstatus == 130
    assert 2 <= len(batch.rows()) < 40
