"""CPU seconds of a conversation in a batch: ours beside those of a released hermes-agent, on the same work.

    python -m benchmarks.peer_batch PEER_PYTHON [--conversations 64] [--concurrency 16] [--rounds 3] …

PEER_PYTHON is the Python of an environment that has the other hermes-agent (0.19.0 was tried) and edge-tts,
which it would otherwise try to install in every run. The work: five `echo` calls and a closing text for each
prompt, from a scripted server that waits `--latency` seconds before each answer. Both take turns on the same
machine, in a network namespace with loopback alone (`unshare`), since the peer looks for hosts of its own.
CPU is user and system time of all processes of a run, memory the most that they held together, with pages
that they share counted once. The server is another process and is not counted. Memory is taken in a first
round of its own, which also writes bytecode: to be looked at costs time.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import psutil

from benchmarks.process_clock import MB
from tests.server.script import Call, Step

ROOT = Path(__file__).parent.parent
TURNS = 5
LOOK_EVERY = 0.5
"""Seconds between two looks at the memory."""
ORPHANS_SECONDS = 30.0
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2): processes without a parent become our children: their time counts."""


@dataclass(frozen=True, slots=True)
class Work:
    """The prompts, and the server that answers them. `concurrency` counts conversations at once."""

    prompts: list[str]
    concurrency: int
    url: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a batch cost. `right` counts rows that are as they should be, `rows` all."""

    cpu: float
    wall: float
    memory: float
    rows: int
    right: int


def ours(work: Work) -> list[str]:
    return [
        sys.executable, str(ROOT / "cli.py"), "batch", "prompts.jsonl", "--run", "r", "--base-url", work.url,
        "--model", "scripted", "--toolsets", "terminal", "--concurrency", str(work.concurrency),
        "--policy", "yolo",
    ]  # fmt: skip


def theirs(python: str, work: Work) -> list[str]:
    """`batch_size` 1: its resume and its spread over workers go by batches."""
    return [
        python, "-m", "batch_runner", "--dataset_file=prompts.jsonl", "--run_name=r", "--batch_size=1",
        "--distribution=terminal_only", "--model=scripted", f"--base_url={work.url}", "--api_key=none",
        f"--num_workers={work.concurrency}",
    ]  # fmt: skip


def measured(argv: Sequence[str], work: Work, server: int, *, look: bool) -> Run:
    """`look` at the memory, or leave the run alone."""
    with tempfile.TemporaryDirectory(prefix="peer-batch-") as name:
        folder = Path(name)
        lines = (json.dumps({"prompt": prompt}) + "\n" for prompt in work.prompts)
        (folder / "prompts.jsonl").write_text("".join(lines))
        environ = {
            "PATH": os.environ["PATH"], "HOME": name, "HERMES_HOME": str(folder / ".hermes"),
            "LANG": "C.UTF-8", "OPENAI_API_KEY": "none", "OPENROUTER_API_KEY": "none",
            "HERMES_YOLO_MODE": "1",
        }  # fmt: skip
        before, start, peak = _cpu_of_children(), time.monotonic(), 0.0
        log = folder / "output.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                argv, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            root = psutil.Process(process.pid)
            while look and process.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
                    peak = max(peak, _held(root))
                time.sleep(LOOK_EVERY)
            process.wait()
        wall = time.monotonic() - start
        _await_orphans(server)
        found = folder / "data" / "r" / "trajectories.jsonl"
        if process.returncode or not found.exists():
            raise SystemExit(f"{argv[:3]} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        rows, right = _rows(found, work.prompts)
        return Run(_cpu_of_children() - before, wall, peak / MB, rows, right)


def _held(root: psutil.Process) -> int:
    """Bytes of the process tree now, shared pages counted once."""
    held = 0
    for each in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            held += each.memory_full_info().pss
    return held


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _await_orphans(server: int) -> None:
    left = [each for each in psutil.Process().children() if each.pid != server]
    psutil.wait_procs(left, timeout=ORPHANS_SECONDS)


def _rows(file: Path, prompts: Sequence[str]) -> tuple[int, int]:
    """(rows, prompts with exactly one row, and that one right)."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    by_index: dict[int, list[bool]] = {}
    for row in rows:
        index = row["prompt_index"]
        by_index.setdefault(index, []).append(_is_right(row["conversations"], prompts[index]))
    return len(rows), sum(verdicts == [True] for verdicts in by_index.values())


def _is_right(turns: Sequence[dict[str, str]], prompt: str) -> bool:
    said = [turn["value"] for turn in turns if turn["from"] == "human"]
    results = [turn["value"] for turn in turns if turn["from"] == "tool"]
    return (
        said == [prompt]
        and len(results) == TURNS
        and all(f"turn {number}" in result for number, result in enumerate(results, 1))
        and turns[-1]["from"] == "gpt"
        and turns[-1]["value"].rstrip().endswith("Done.")
    )


@contextlib.contextmanager
def latency_server(latency: float) -> Iterator[tuple[str, int]]:
    """(URL, process id). It sends reasoning: the peer throws conversations without any away."""
    steps = [
        Step(
            reasoning=f"Step {number} is next.",
            tool_calls=[Call("terminal", {"command": f"echo turn {number}"})],
            delay=latency,
        )
        for number in range(1, TURNS + 1)
    ]
    steps.append(Step(text="Done.", reasoning="All steps are done.", delay=latency))
    with tempfile.NamedTemporaryFile("wb", suffix=".json") as script:
        script.write(msgspec.json.encode({"steps": steps, "by": "turn"}))
        script.flush()
        argv = [sys.executable, "-m", "tests.server.scripted_server", "--script", script.name]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip(), process.pid
            finally:
                process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("peer_python", help="the Python of an environment that has the other hermes-agent")
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds before each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        inside = 'ip link set lo up && exec "$@"'
        module = [sys.executable, "-m", "benchmarks.peer_batch", "--inside", *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "--map-root-user", "--net", "sh", "-c", inside, "sh", *module])
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    prompts = [f"Take five steps for item {number}." for number in range(arguments.conversations)]
    with latency_server(arguments.latency) as (url, server):
        work = Work(prompts, arguments.concurrency, url)
        argvs = {"ours": ours(work), "hermes-agent": theirs(arguments.peer_python, work)}
        runs: dict[str, list[Run]] = {name: [] for name in argvs}
        for number in range(arguments.rounds + 1):
            for name, argv in argvs.items():
                runs[name].append(measured(argv, work, server, look=number == 0))
                print(f"{name}: {runs[name][-1]}", file=sys.stderr, flush=True)
    report(runs, arguments)


def report(runs: dict[str, list[Run]], arguments: argparse.Namespace) -> None:
    ideal = arguments.conversations / arguments.concurrency * (TURNS + 1) * arguments.latency
    print(
        f"{arguments.conversations} conversations, {arguments.concurrency} at once, {arguments.latency:g} s "
        f"a request (ideal {ideal:.1f} s), median of {arguments.rounds}, load now {os.getloadavg()[0]:.1f}"
    )
    print(f"| {'':14} | CPU s / conversation | wall s | memory MB | rows | right |")
    print("|---|---|---|---|---|---|")
    for name, each in runs.items():
        cpu, wall = (median(getattr(run, what) for run in each[1:]) for what in ("cpu", "wall"))
        memory = each[0].memory
        rows, right = (min(getattr(run, what) for run in each) for what in ("rows", "right"))
        print(
            f"| {name:14} | {cpu / arguments.conversations:20.3f} | {wall:6.1f} | {memory:9.0f} | {rows:4} "
            f"| {right:5} |"
        )


if __name__ == "__main__":
    main()
