"""Runs a container engine while somebody uses it: `python engine_keeper.py FOLDER [PROGRAM ARGUMENT…]`.

Users hold a shared lock on FOLDER/users. When nobody does any more, however they ended, FOLDER/end is run,
the engine that PROGRAM is (where it needs one) is ended, its mounts are undone and FOLDER is removed. It
needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import signal
import subprocess
import sys
from pathlib import Path


def main(folder: str, *command: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that one was for the users
    with open(f"{folder}/users", "rb") as users, open(f"{folder}/log", "ab") as log:
        daemon = (
            subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) if command else None
        )
        fcntl.flock(users, fcntl.LOCK_EX)
        subprocess.run(["bash", f"{folder}/end"], stdout=log, stderr=log, check=False, timeout=60)
        if daemon is not None:
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def unmount(folder: str) -> None:
    """Everything that is mounted below, the newest first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in reversed([point for point in points if point.startswith(folder + "/")]):
        with contextlib.suppress(OSError):
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
