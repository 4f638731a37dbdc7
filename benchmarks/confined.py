"""What confinement costs: `python -m benchmarks.confined [COMMANDS]`. Medians, and ratios of the same run.

`plain` is what confined commands run through, without the confinement.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

from sandboxes.bubblewrap_host import BubblewrapHost, bubblewrap_problem
from sandboxes.confined_view import make_view
from sandboxes.hosted import HostedSandbox
from sandboxes.landlock_host import LandlockHost, landlock_problem
from sandboxes.local import LocalSandbox
from sandboxes.sandbox import Sandbox
from settings import TerminalSettings
from tests.sandboxes.conformance.plain_host import PlainHost

_STARTS = 10


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        kinds = {
            "bubblewrap": (BubblewrapHost, bubblewrap_problem()),
            "landlock": (LandlockHost, landlock_problem()),
        }
        makers: dict[str, Callable[[], Sandbox]] = {
            "local": lambda: LocalSandbox("task", folder),
            "plain": lambda: HostedSandbox("task", PlainHost(folder)),
        }
        for name, (kind, problem) in kinds.items():
            if problem:
                print(f"{name}: left out: {problem}")
            else:
                makers[name] = lambda kind=kind: HostedSandbox(
                    "task", kind(lambda: make_view(TerminalSettings(), folder, os.environ, ()))
                )
        first = {name: await _starts(make) for name, make in makers.items()}
        sandboxes = {name: make() for name, make in makers.items()}
        runs: dict[str, Callable[[], Awaitable[object]]] = {
            "bash -c": lambda: asyncio.to_thread(subprocess.run, ["bash", "-c", "true"], check=True),
            **{name: lambda place=place: place.exec("true", timeout=30) for name, place in sandboxes.items()},
        }
        spent: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(count):  # in turn, so that what else the machine does meets all alike
            for name, run in runs.items():
                spent[name].append(await _timed(run))
        for place in sandboxes.values():
            await place.close()
    medians = {name: statistics.median(times) for name, times in spent.items()}
    for name, median in medians.items():
        start = f"  first command {first[name]:6.1f} ms" if name in first else ""
        print(f"{name:11} {median:6.2f} ms a command  {median / medians['local']:5.2f} x local{start}")


async def _starts(make: Callable[[], Sandbox]) -> float:
    """Milliseconds to the end of the first command, sandbox and all."""
    times = []
    for _ in range(_STARTS):
        place = make()
        times.append(await _timed(lambda place=place: place.exec("true", timeout=30)))
        await place.close()
    return statistics.median(times)


async def _timed(run: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await run()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    asyncio.run(main())
