"""Several processes use one index at once, and some are killed while they write it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trajectories.conftest import Talk
from trajectories.session_index import FILE
from trajectories.session_search import search_sessions

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
SEARCH = """
import json, sys, time
from pathlib import Path
from trajectories.session_search import search_sessions
logs, word, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(times):
    found = search_sessions(logs, word, 500)
    print(json.dumps([len(found.sessions), found.behind, found.problem]), flush=True)
"""


@pytest.fixture
def logs(folder: Path) -> Path:
    return folder.parent


@pytest.fixture
def many(new_talk: Callable[[], Talk], folder: Path) -> int:
    """So many sessions that speak of apples."""
    first = new_talk().person("apples " + "and other words " * 300).answer("yes " * 200).end()
    first.writer.close()
    data = first.path.read_bytes()
    for number in range(1, 200):
        (folder / f"20261121_000000_000000_{number:06x}.jsonl").write_bytes(data)
    return 200


def start(logs: Path, word: str, times: int = 1) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SEARCH, str(logs), word, str(times)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def answers(process: subprocess.Popen[bytes]) -> list[tuple[int, int, str]]:
    out, err = process.communicate(timeout=50)
    assert process.returncode == 0, err.decode()[-2000:]
    return [tuple(json.loads(line)) for line in out.splitlines()]


def test_processes_that_build_it_at_once_end_with_one_whole_index(many: int, logs: Path) -> None:
    searchers = [start(logs, "apples", times=3) for _ in range(5)]
    for searcher in searchers:
        for count, behind, problem in answers(searcher):
            assert (count + behind >= many, problem) == (True, "")
    assert len(search_sessions(logs, "apples", 500).sessions) == many


def test_who_writes_sessions_meanwhile_is_found_in_the_end(
    many: int, logs: Path, new_talk: Callable[[], Talk]
) -> None:
    searchers = [start(logs, "apples", times=10) for _ in range(3)]
    for number in range(30):
        new_talk().person(f"apples {number}").answer("yes").end().writer.close()
    for searcher in searchers:
        assert all(problem == "" for _, _, problem in answers(searcher))
    assert len(search_sessions(logs, "apples", 500).sessions) == many + 30


def test_who_is_killed_while_it_writes_leaves_an_index_that_works(many: int, logs: Path) -> None:
    for delay in (0.15, 0.25, 0.35, 0.45, 0.6):
        (logs / FILE).unlink(missing_ok=True)
        searcher = start(logs, "apples")
        wait_for_index(logs)
        time.sleep(delay)
        searcher.send_signal(signal.SIGKILL)
        searcher.communicate(timeout=10)
        assert len(search_sessions(logs, "apples", 500).sessions) == many


def test_a_damaged_index_is_replaced_once_while_others_use_it(many: int, logs: Path) -> None:
    search_sessions(logs, "apples", 1)
    for _ in range(2):
        searchers = [start(logs, "apples", times=4) for _ in range(4)]
        time.sleep(0.4)
        with (logs / FILE).open("r+b") as file:
            file.seek(0)
            file.write(os.urandom(100_000))
        for searcher in searchers:
            answers(searcher)
        assert len(search_sessions(logs, "apples", 500).sessions) == many


def wait_for_index(logs: Path) -> None:
    end = time.monotonic() + 20
    while not (logs / FILE).exists():
        assert time.monotonic() < end
        time.sleep(0.005)
