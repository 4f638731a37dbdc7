"""What a command in a container costs beside a bare `docker exec` of it: `python -m benchmarks.docker`.

Both in turns in one container of an engine of our own, the median of each; needs root, docker and dockerd, or
podman and runc.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.run import Row
from sandboxes.hosted import HostedSandbox
from tests.sandboxes.containers import container_host
from tests.sandboxes.engine import Engine, docker_engine, podman_engine

COMMANDS = {"true": "true", "a listing": "ls -l /usr/bin | tail -n 3", "6 kB of output": "seq 1500"}
BAR = 1.2


async def measure(engine: Engine, folder: Path, rounds: int) -> list[Row]:
    host = container_host(engine, folder)
    sandbox = HostedSandbox("benchmark", host)
    ours: dict[str, list[float]] = {name: [] for name in COMMANDS}
    bare: dict[str, list[float]] = {name: [] for name in COMMANDS}
    began = time.perf_counter()
    await sandbox.exec("true", timeout=60)
    first = time.perf_counter() - began
    try:
        for turn in range(rounds + 2):
            for name, command in COMMANDS.items():
                start = time.perf_counter()
                argv = [engine.name, "exec", "-i", host.container, "bash", "-c", command]
                subprocess.run(argv, env=engine.environ, capture_output=True, check=True)
                middle = time.perf_counter()
                result = await sandbox.exec(command, timeout=60)
                end = time.perf_counter()
                assert result.exit_code == 0, result
                if turn >= 2:  # the first ones warm up
                    bare[name].append(middle - start)
                    ours[name].append(end - middle)
    finally:
        start = time.perf_counter()
        await sandbox.close()
        last = time.perf_counter() - start
    rows = [
        Row(f"{engine.name}: {name}", "ms", 1000 * median(ours[name]), 1000 * median(bare[name]), BAR, True)
        for name in COMMANDS
    ]
    return [*rows, Row(f"{engine.name}: first command", "ms", 1000 * first),
            Row(f"{engine.name}: closing", "ms", 1000 * last)]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", nargs="?", default="docker", choices=["docker", "podman"])
    parser.add_argument("--rounds", type=int, default=25)
    chosen = parser.parse_args()
    begin = {"docker": docker_engine, "podman": podman_engine}[chosen.engine]
    with tempfile.TemporaryDirectory() as folder, begin() as engine:
        print("| figure | ours | floor | ratio | bar | |\n| --- | --- | --- | --- | --- | --- |")
        for row in asyncio.run(measure(engine, Path(folder), chosen.rounds)):
            print(row)


if __name__ == "__main__":
    main()
