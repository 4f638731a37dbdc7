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
from collections.abc import Callable

from sandboxes.confinement.bubblewrap_host import BubblewrapHost, bubblewrap_problem
from sandboxes.confinement.confined_view import View, make_view
from sandboxes.confinement.landlock_host import LandlockHost, landlock_problem
from sandboxes.hosted import HostedSandbox
from sandboxes.local import LocalSandbox
from sandboxes.sandbox import Sandbox
from settings import TerminalSettings
from tests.sandboxes.conformance.plain_host import PlainHost

_STARTS = 10


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        sandboxes = {name: make() for name, make in _makers(folder).items()}
        first = {name: await _starts(make) for name, make in _makers(folder).items()}
        spent: dict[str, list[float]] = {name: [] for name in ("bash -c", *sandboxes)}
        for _ in range(count):  # in turn, so that what else the machine does meets all alike
            began = time.perf_counter()
            subprocess.run(["bash", "-c", "true"], check=True)
            spent["bash -c"].append((time.perf_counter() - began) * 1000)
            for name, place in sandboxes.items():
                spent[name].append(await _timed(place))
        for place in sandboxes.values():
            await place.close()
    medians = {name: statistics.median(times) for name, times in spent.items()}
    for name, median in medians.items():
        start = f"  first command {first[name]:6.1f} ms" if name in first else ""
        print(f"{name:11} {median:6.2f} ms a command  {median / medians['plain']:5.2f} x plain{start}")


def _makers(folder: str) -> dict[str, Callable[[], Sandbox]]:
    makers: dict[str, Callable[[], Sandbox]] = {
        "local": lambda: LocalSandbox("task", folder),
        "plain": lambda: HostedSandbox("task", PlainHost(folder)),
    }

    def look() -> View:
        return make_view(TerminalSettings(), folder, os.environ, ())

    if problem := bubblewrap_problem():
        print(f"bubblewrap is left out: {problem}")
    else:
        makers["bubblewrap"] = lambda: HostedSandbox("task", BubblewrapHost(look))
    if problem := landlock_problem():
        print(f"landlock is left out: {problem}")
    else:
        makers["landlock"] = lambda: HostedSandbox("task", LandlockHost(look))
    return makers


async def _starts(make: Callable[[], Sandbox]) -> float:
    """Milliseconds to the end of the first command, sandbox and all."""
    times = []
    for _ in range(_STARTS):
        place = make()
        times.append(await _timed(place))
        await place.close()
    return statistics.median(times)


async def _timed(place: Sandbox) -> float:
    began = time.perf_counter()
    await place.exec("true", timeout=30)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    asyncio.run(main())
