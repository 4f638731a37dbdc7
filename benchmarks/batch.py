"""What a batch reaches beside what is possible: `python -m benchmarks.batch`.

A conversation is five `echo` calls and a closing text from a server that waits before each answer, so that
`concurrency` conversations can at best end at a rate of concurrency / (6 * latency). Taken in one run on one
machine: the rate in steady state, between the ends of the first and of the last `concurrency` conversations,
and that of the whole run, start and end included; CPU seconds (user and system) of all its
processes; memory of the process tree with shared pages counted once, above that of a run of one conversation
a worker. The server is another process, and not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from benchmarks.run import HERMES, ROOT, Row

TURNS = 5
LOOK_EVERY = 0.5
"""Seconds between two looks at the memory: each costs the processes that are looked at."""
MB = 1e6


@dataclass(frozen=True, slots=True)
class Work:
    prompts: int
    concurrency: int
    workers: int


@dataclass(frozen=True, slots=True)
class Taken:
    """`wall` and `cpu` in seconds, `memory` in bytes at most; `busy` is what of the machine others took.

    `ends` are the times at which conversations ended, in seconds, sorted.
    """

    wall: float
    cpu: float
    memory: float
    ends: list[float]
    busy: float


@contextlib.contextmanager
def latency_server(latency: float) -> Iterator[str]:
    argv = [
        sys.executable,
        "-m",
        "benchmarks.latency_server",
        "--turns",
        str(TURNS),
        "--latency",
        str(latency),
    ]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def take(work: Work, url: str) -> Taken:
    with tempfile.TemporaryDirectory(prefix="hermes-benchmark-") as name:
        folder = Path(name)
        lines = (json.dumps({"prompt": f"go {number}"}) + "\n" for number in range(work.prompts))
        (folder / "prompts.jsonl").write_text("".join(lines))
        environ = {
            "PATH": os.environ["PATH"], "HOME": name, "HERMES_HOME": str(folder / ".hermes"),
            "LANG": "C.UTF-8",
        }  # fmt: skip
        argv = [
            *HERMES, "batch", "prompts.jsonl", "--run", "r", "--base-url", url, "--model", "scripted",
            "--toolsets", "terminal", "--policy", "yolo", "--concurrency", str(work.concurrency),
            "--workers", str(work.workers),
        ]  # fmt: skip
        start, cpu, idle = time.monotonic(), _cpu_of_children(), psutil.cpu_times().idle
        memory = 0.0
        with subprocess.Popen(argv, cwd=folder, env=environ, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # fmt: skip
            root = psutil.Process(process.pid)
            while process.poll() is None:
                memory = max(memory, _held(root))
                time.sleep(LOOK_EVERY)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, argv)
        wall, used = time.monotonic() - start, _cpu_of_children() - cpu
        others = wall * (psutil.cpu_count() or 1) - (psutil.cpu_times().idle - idle) - used
        return Taken(wall, used, memory, _ends(folder / "data" / "r" / "trajectories.jsonl"), others / wall)


def _ends(rows: Path) -> list[float]:
    with rows.open(encoding="utf-8") as lines:
        return sorted(datetime.fromisoformat(json.loads(line)["ended"]).timestamp() for line in lines)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _held(root: psutil.Process) -> float:
    held = 0.0
    with contextlib.suppress(psutil.Error):
        for each in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):  # it ended just now
                held += each.memory_full_info().pss
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure hermes batch beside what is possible.")
    parser.add_argument("--prompts", type=int, default=1024)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--latency", type=float, default=2.0, help="seconds before each answer")
    given = parser.parse_args()
    with latency_server(given.latency) as url:
        few = take(Work(given.workers * 4, given.workers, given.workers), url)
        many = take(Work(given.prompts, given.concurrency, given.workers), url)
    ended, edge = len(many.ends), given.concurrency
    assert ended == given.prompts, f"{ended} rows for {given.prompts} prompts"
    if ended <= 2 * edge:
        parser.error("there is a steady state only with more than twice as many prompts as run at once")
    ideal = given.concurrency / ((TURNS + 1) * given.latency)
    steady = (ended - 2 * edge) / (many.ends[ended - edge] - many.ends[edge])
    memory = (many.memory - few.memory) / (given.concurrency - given.workers) / MB
    cpu = (many.cpu - few.cpu) / (given.prompts - given.workers * 4)
    for row in (
        Row("seconds for one, steady, beside the ideal", "s", given.concurrency / steady,
            given.concurrency / ideal, 1 / 0.9, relative=True),
        Row("memory of a conversation", "MB", memory, None, 1.0),
        Row("CPU of a conversation", "s", cpu, None, 0.08),
    ):  # fmt: skip
        print(row)
    print(
        f"steady {steady:.2f}/s of {ideal:.2f}/s ({steady / ideal:.0%}); {ended} conversations in "
        f"{many.wall:.1f} s, start and end included ({ended / many.wall / ideal:.0%}); "
        f"other programs took {many.busy:.2f} cores meanwhile"
    )


if __name__ == "__main__":
    main()
