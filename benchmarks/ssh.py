"""What a command over ssh costs beside a bare `ssh` over an open master: `python -m benchmarks.ssh`.

Both in turns on a real sshd of this machine, each over a connection that is open already, the median of each.
The bare one is told the same connection, and reads no more settings than ours; needs OpenSSH's server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.run import Row
from sandboxes.child_environment import child_environment
from sandboxes.hosted import HostedSandbox
from sandboxes.ssh.ssh_host import SshHost
from tests.sandboxes.sshd import Sshd, running_sshd

COMMANDS = {"true": "true", "a listing": "ls -l /usr/bin | tail -n 3", "6 kB of output": "seq 1500"}
BAR = 1.2
THINKING = 0.03
"""Seconds between two commands; a model takes a hundred times as long."""


async def measure(sshd: Sshd, rounds: int) -> list[Row]:
    settings = sshd.settings()
    environment = child_environment(os.environ)
    socket = str(sshd.folder / "bare")
    told = ["-S", socket, "-i", settings.identity_file, "-p", str(settings.port), "-o", "BatchMode=yes"]
    told += [word for option in settings.options for word in ("-o", option)]
    bare_ssh = ["ssh", *told, settings.host]
    subprocess.run(["ssh", "-M", "-N", "-f", *told, settings.host], env=environment, check=True)
    sandbox = HostedSandbox("benchmark", SshHost(settings, os.environ))
    ours: dict[str, list[float]] = {name: [] for name in COMMANDS}
    bare: dict[str, list[float]] = {name: [] for name in COMMANDS}
    began = time.perf_counter()
    await sandbox.exec("true", timeout=60)
    first = time.perf_counter() - began
    try:
        for turn in range(rounds + 2):
            for name, command in COMMANDS.items():
                await asyncio.sleep(THINKING)
                start = time.perf_counter()
                subprocess.run(
                    [*bare_ssh, command],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=True,
                )
                middle = time.perf_counter()
                await asyncio.sleep(THINKING)
                begin = time.perf_counter()
                result = await sandbox.exec(command, timeout=60)
                end = time.perf_counter()
                assert result.exit_code == 0, result
                if turn >= 2:  # the first ones warm up
                    bare[name].append(middle - start)
                    ours[name].append(end - begin)
    finally:
        start = time.perf_counter()
        await sandbox.close()
        last = time.perf_counter() - start
        subprocess.run(["ssh", "-S", socket, "-O", "exit", settings.host], capture_output=True, check=False)
    rows = [
        Row(f"ssh: {name}", "ms", 1000 * median(ours[name]), 1000 * median(bare[name]), BAR, True)
        for name in COMMANDS
    ]
    return [*rows, Row("ssh: first command", "ms", 1000 * first), Row("ssh: closing", "ms", 1000 * last)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ssh-") as folder, running_sshd(Path(folder) / "sshd") as sshd:
        print("| figure | ours | floor | ratio | bar | |\n| --- | --- | --- | --- | --- | --- |")
        for row in asyncio.run(measure(sshd, chosen.rounds)):
            print(row)


if __name__ == "__main__":
    main()
