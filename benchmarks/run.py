"""What hermes costs, beside the smallest programs that do the same: `python -m benchmarks.run [WORD…]`.

Every figure is taken in one run on one machine: ours and the floor in turns, the median of each. A WORD
picks the figures whose name contains it. Run it with the interpreter that hermes is installed for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.installed import installed
from benchmarks.process_clock import peak_memory, seconds
from benchmarks.terminal_clock import idle_cpu, seconds_to_first_key, seconds_to_first_key_in_tmux
from tests.server.scripted_server import Recorded, ScriptedServer, Step, scripted_server, tool_turns

ROOT = Path(__file__).parent.parent
INSTALLED = Path(sys.executable).parent / "hermes"
HERMES = [str(INSTALLED)] if INSTALLED.exists() else [sys.executable, str(ROOT / "cli.py")]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `bar` is what `ours`, or with `relative` the ratio to `floor`, may be at most."""

    name: str
    unit: str
    ours: float
    floor: float | None = None
    bar: float | None = None
    relative: bool = False

    def __str__(self) -> str:
        ratio = self.ours / self.floor if self.floor else None
        held = ratio if self.relative else self.ours
        verdict = "" if self.bar is None or held is None else "pass" if held <= self.bar else "MISS"
        bar = "" if self.bar is None else f"{self.bar:g}{' x' if self.relative else ''}"
        told = [f"{each:.4g}" if each is not None else "" for each in (self.ours, self.floor, ratio)]
        cells = [f"{self.name} ({self.unit})".ljust(44), *(each.rjust(8) for each in (*told, bar)), verdict]
        return f"| {' | '.join(cells)} |"


class Bench:
    """A home and a working folder of its own, and who is timed how often."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.rounds = rounds
        self.folder = folder
        self.cwd = folder / "work"
        self.cwd.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "HERMES_HOME": str(folder / ".hermes"),
            "TERM": "xterm-256color", "LANG": "C.UTF-8", "LLM_USER_PATH": str(folder / "llm"),
        }  # fmt: skip

    def in_turns(self, *takers: Callable[[], float]) -> list[float]:
        """The median of each; a first round, which writes bytecode, does not count."""
        rounds = [[take() for take in takers] for _ in range(self.rounds + 1)]
        return [median(values) for values in zip(*rounds[1:], strict=True)]

    def floor(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "benchmarks" / "floors" / f"{name}.py"), *arguments]

    def ask(self, argv: Sequence[str], *steps: Step) -> tuple[float, float, ScriptedServer]:
        """(when it started, seconds it took, the server that it asked). `{url}` is put into `argv`."""
        with scripted_server(*steps) as server:
            start = time.monotonic()
            environ = {**self.environ, "OPENAI_BASE_URL": server.url}
            took = seconds([each.format(url=server.url) for each in argv], environ, self.cwd)
            return start, took, server


ONE_SHOT = [*HERMES, "-q", "go", "--base-url", "{url}", "-m", "scripted", "--yolo", "--max-turns", "300"]


def prompt_ready(bench: Bench) -> Iterator[Row]:
    place = bench.environ, bench.cwd
    for name, clock, bar, relative in (
        ("prompt ready, PTY", seconds_to_first_key, 1.4, True),
        ("prompt ready, tmux", seconds_to_first_key_in_tmux, 0.28, False),
    ):
        ours, floor = bench.in_turns(
            partial(clock, HERMES, *place), partial(clock, bench.floor("prompt"), *place)
        )
        yield Row(name, "s", ours, floor, bar, relative)


def first_request(bench: Bench) -> Iterator[Row]:
    def take(argv: Sequence[str]) -> float:
        start, _, server = bench.ask(argv, Step(text="Hello."))
        return server.requests[0].began - start

    ours, floor = bench.in_turns(partial(take, ONE_SHOT), partial(take, bench.floor("request")))
    yield Row("first request, beside an openai script", "s", ours, floor, 1.25, relative=True)
    if llm := shutil.which("llm"):
        ours, other = bench.in_turns(partial(take, ONE_SHOT), partial(_llm, bench, llm))
        yield Row("first request, beside llm", "s", ours, other, 1.0, relative=True)


def _llm(bench: Bench, program: str) -> float:
    known = bench.folder / "llm" / "extra-openai-models.yaml"
    known.parent.mkdir(exist_ok=True)
    with scripted_server(Step(text="Hello.")) as server:
        known.write_text(f"- {{model_id: scripted, model_name: scripted, api_base: {server.url}}}\n")
        start = time.monotonic()
        seconds([program, "-m", "scripted", "--key", "none", "go"], bench.environ, bench.cwd)
        return server.requests[0].began - start


def told_at_once(bench: Bench) -> Iterator[Row]:
    def take(*argv: str) -> float:
        return seconds(argv, bench.environ, bench.cwd)

    for option in ("--version", "--help"):
        ours, bare, group = bench.in_turns(
            partial(take, *HERMES, option),
            partial(take, sys.executable, "-c", "pass"),
            partial(take, *bench.floor("group", option)),
        )
        yield Row(f"{option}, beside bare Python", "s", ours, bare, 2.0, relative=True)
        yield Row(f"{option}, beside a click group", "s", ours, group, 1.5, relative=True)


def a_turn(bench: Bench) -> Iterator[Row]:
    def take(argv: Sequence[str]) -> float:
        many, one = (bench.ask(argv, *tool_turns(count))[1] for count in (50, 1))
        return (many - one) / 49 * 1000

    ours, floor = bench.in_turns(partial(take, ONE_SHOT), partial(take, bench.floor("turns")))
    yield Row("a turn, one echo", "ms", ours, floor, 12)


def growth(bench: Bench) -> Iterator[Row]:
    def take(argv: Sequence[str]) -> float:
        gaps = _gaps(bench.ask(argv, *tool_turns(200))[2].requests)
        return median(gaps[-10:]) / median(gaps[:10])

    ours, floor = bench.in_turns(partial(take, ONE_SHOT), partial(take, bench.floor("turns")))
    yield Row("growth, last 10 of 200 turns to first 10", "x", ours, floor, 1.3)


def _gaps(requests: Sequence[Recorded]) -> list[float]:
    """Seconds from the end of each answer to the next request."""
    return [after.began - before.ended for before, after in pairwise(requests)]


def connections(bench: Bench) -> Iterator[Row]:
    ours, floor = (
        bench.ask(argv, *tool_turns(50))[2].connections for argv in (ONE_SHOT, bench.floor("turns"))
    )
    yield Row("connections for 51 streamed requests", "", ours, floor, 1)


def first_size(bench: Bench) -> Iterator[Row]:
    ours, floor = (
        bench.ask(argv, Step(text="Hello."))[2].requests[0] for argv in (ONE_SHOT, bench.floor("request"))
    )
    yield Row("first request's size, bytes / 4", "tokens", ours.size / 4, floor.size / 4, 3000)


def memory(bench: Bench) -> Iterator[Row]:
    def take(argv: Sequence[str]) -> tuple[float, float]:
        with scripted_server(*tool_turns(1)) as server:
            environ = {**bench.environ, "OPENAI_BASE_URL": server.url}
            return peak_memory([each.format(url=server.url) for each in argv], environ, bench.cwd)

    taken = [(take(ONE_SHOT), take(bench.floor("turns"))) for _ in range(bench.rounds)]
    for which, name in enumerate(("memory, one tool call, resident", "memory, shared pages counted once")):
        ours, floor = (median(pair[who][which] for pair in taken) for who in (0, 1))
        yield Row(name, "MB", ours, floor, 80)


def idle(bench: Bench) -> Iterator[Row]:
    ours, floor = (idle_cpu(argv, bench.environ, bench.cwd) for argv in (HERMES, bench.floor("prompt")))
    yield Row("idle at the prompt, CPU over 30 s", "%", ours, floor, 0.5)


def installation(bench: Bench) -> Iterator[Row]:
    for name, extra, packages, size in (("base", "", 30, 65), ("with web", "[web]", 48, 115)):
        count, megabytes = installed(f"{ROOT}{extra}", bench.folder / f"venv{extra}")
        yield Row(f"installed, {name}", "packages", count, None, packages)
        yield Row(f"installed, {name}", "MB", megabytes, None, size)


FIGURES = (
    prompt_ready, first_request, told_at_once, a_turn, growth, connections, first_size, memory, idle,
    installation,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure hermes beside the smallest programs that do the same."
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only figures whose name contains it")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is taken (default 7)")
    given = parser.parse_args()
    names = ("figure", "hermes", "floor", "ratio", "bar")
    print("| " + " | ".join([names[0].ljust(44), *(each.rjust(8) for each in names[1:]), ""]) + " |")
    print("|---|--:|--:|--:|--:|---|")
    with tempfile.TemporaryDirectory(prefix="hermes-benchmark-") as folder:
        bench = Bench(Path(folder), given.rounds)
        for figure in FIGURES:
            if not given.words or any(word in figure.__name__ for word in given.words):
                for row in figure(bench):
                    print(row, flush=True)


if __name__ == "__main__":
    main()
