"""Finding and ending everything a command started, also what left its process group.

Three ways lead to a descendant: its process group, its parents, and the variable `MARKER` in its environment,
whose unguessable value is inherited through `setsid` and double forks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

MARKER = "HERMES_TASK"


@dataclass(slots=True)
class Facts:
    pid: int
    parent: int
    group: int
    marked: bool


def find_tree(marker: str, groups: Collection[int] = ()) -> set[int]:
    """The ids of all living processes whose marker begins with `marker`, that are in one of the process
    groups `groups`, or that descend from one of these. Zombies do not count."""
    facts = list(_from_proc(marker) if sys.platform == "linux" else _from_psutil(marker))
    found = {each.pid for each in facts if each.marked or each.group in groups}
    growing = bool(found)
    while growing:
        more = {each.pid for each in facts if each.parent in found} - found
        found |= more
        growing = bool(more)
    found.discard(os.getpid())
    return found


def signal_tree(pids: Iterable[int], groups: Collection[int], number: int) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


async def end_tree(marker: str, groups: Collection[int], grace: float) -> None:
    """TERM, and KILL for what is left after `grace` seconds. Cancelled in between, it kills at once."""
    pids = find_tree(marker, groups)
    try:
        # Once each, not to the groups as well: a second TERM would break off the shell's saving. The oldest
        # first: a shell that outlives its command by a moment says "Terminated" in the command's output.
        signal_tree(sorted(pids), (), signal.SIGTERM)
        # A stopped process gets no signal but KILL and CONT.
        signal_tree(pids, (), signal.SIGCONT)
        await wait_gone(pids, grace)
    finally:
        kill_tree(marker, groups)
    await wait_gone(find_tree(marker, groups), 0.5)  # a busy machine takes a moment to end what was killed


def kill_tree(marker: str, groups: Collection[int]) -> None:
    """KILL everything, again until nothing is left that could have forked in between."""
    for _ in range(5):
        pids = find_tree(marker, groups)
        if not pids:
            return
        signal_tree(pids, groups, signal.SIGKILL)


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def wait_gone(pids: Iterable[int], timeout: float) -> bool:
    """Wait until none of `pids` lives, at most `timeout` seconds; True if so."""
    if not hasattr(os, "pidfd_open"):
        return await asyncio.to_thread(_wait_with_psutil, list(pids), timeout)
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    watched: set[int] = set()

    def gone(descriptor: int) -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        watched.discard(descriptor)
        if not watched:
            done.set()

    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                watched.add(descriptor)
                loop.add_reader(descriptor, gone, descriptor)
        if watched:
            async with asyncio.timeout(timeout):
                await done.wait()
    except TimeoutError:
        return False
    finally:
        for descriptor in watched:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    return True


def _from_proc(marker: str) -> Iterator[Facts]:
    wanted = f"\0{MARKER}={marker}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            # pid (name, which may hold anything) state ppid pgrp …; see proc(5)
            with open(f"/proc/{name}/stat", "rb", buffering=0) as file:
                state, parent, group = file.readall().rpartition(b")")[2].split(None, 3)[:3]
        except OSError:
            continue  # it ended just now
        if state in (b"Z", b"X"):
            continue
        try:
            with open(f"/proc/{name}/environ", "rb", buffering=0) as file:
                marked = wanted in b"\0" + file.readall()
        except OSError:
            marked = False  # another user's
        yield Facts(int(name), int(parent), int(group), marked)


def _from_psutil(marker: str) -> Iterator[Facts]:
    import psutil

    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            parent, group = process.ppid(), os.getpgid(process.pid)
        except (psutil.Error, OSError):
            continue
        try:
            marked = process.environ().get(MARKER, "").startswith(marker)
        except (psutil.Error, OSError):
            marked = False
        yield Facts(process.pid, parent, group, marked)


def _wait_with_psutil(pids: list[int], timeout: float) -> bool:
    import psutil

    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    return not psutil.wait_procs(processes, timeout=timeout)[1]
