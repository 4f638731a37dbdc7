"""The walls of a slot: what a command in it sees and can change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

WORKSPACE = "/workspace"
INSIDE = "/run/hermes"
"""Where the holder, the shell script and the shell's snapshots lie inside a slot."""
MINIMAL = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store")
"""What of a person's machine a slot sees: the programs, nothing of the person."""
SECRET = (
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d",
    "/etc/ssh", "/etc/ssl/private",
)  # fmt: skip
"""Of what lies there, what root could read; an empty thing stands in its place."""


_OWN = {"proc", "sys", "dev", "tmp", "run", "mnt", "media", "alloc", "local", "secrets", WORKSPACE[1:]}
"""What a slot has of its own, or must not see: in alloc, local and secrets Nomad puts the files of a task."""


class NoSandbox(Exception):
    """Slots cannot be walled off here. `str` says why and what to do."""


@dataclass(frozen=True)
class Walls:
    """How slots are walled off.

    Args:
        system: folders that are there to read; ("/",) for all of the machine (a container's image).
        network: whether commands reach a network.
        own_proc: False where the container forbids a new /proc: then commands see the names and arguments of
            the processes of other slots, and nothing else of them.
    """

    system: Sequence[str] = MINIMAL
    network: bool = False
    own_proc: bool = True

    def argv(self, folder: Path, holder: Path, info: int) -> list[str]:
        """`bwrap …` up to the program's arguments.

        Args:
            folder: the slot's own, with `work`, `tmp`, `shm` and `state` in it.
            holder: a folder with what the slot's first process needs.
            info: the descriptor to which bubblewrap writes the process id of what it started.
        """
        return [
            "bwrap", "--unshare-all", *(["--share-net"] if self.network else []),
            "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL", "--hostname", "sandbox",
            "--info-fd", str(info), *self._mounts(), *self._proc(), "--dev", "/dev",
            "--bind", str(folder / "shm"), "/dev/shm", "--bind", str(folder / "tmp"), "/tmp",
            "--bind", str(folder / "work"), WORKSPACE,
            "--tmpfs", "/run", "--ro-bind", str(holder), INSIDE,
            "--bind", str(folder / "state"), f"{INSIDE}/state", "--remount-ro", "/run", "--remount-ro", "/",
            "--chdir", WORKSPACE,
        ]  # fmt: skip

    def _mounts(self) -> Iterable[str]:
        for path in self.system:
            if path == "/":
                for name in sorted(set(os.listdir("/")) - _OWN):
                    yield from _shown(f"/{name}")
            else:
                yield from _shown(path)
        if os.path.isdir("/var/tmp") and "/" in self.system:
            yield from ("--tmpfs", "/var/tmp")
        interpreter = sys.base_prefix
        if not any(f"{interpreter}/".startswith(f"{path}/") for path in (*self.system, "/usr")):
            yield from ("--ro-bind", interpreter, interpreter)
        for path in SECRET:
            if os.access(path, os.R_OK):
                yield from ("--tmpfs", path) if os.path.isdir(path) else ("--ro-bind", "/dev/null", path)

    def _proc(self) -> list[str]:
        # Read-only: of root's processes, without any capability, the kernel takes settings in /proc/sys.
        return (
            ["--proc", "/proc", "--remount-ro", "/proc"] if self.own_proc else ["--ro-bind", "/proc", "/proc"]
        )

    def probe(self) -> None:
        """Raises NoSandbox unless a slot can be walled off so."""
        if shutil.which("bwrap") is None:
            raise NoSandbox(
                "bubblewrap (bwrap) is not installed here, and slots are never run without it; "
                "add the package bubblewrap to the image"
            )
        argv = [
            "bwrap", "--unshare-all", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev",
            *self._proc(), "true",
        ]  # fmt: skip
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            told = done.stderr.decode(errors="replace").strip()
            raise NoSandbox(
                f"bubblewrap does not work here, and slots are never run without it: {told}. "
                "A container needs user namespaces (docker: --security-opt seccomp=unconfined) and a "
                "/proc that is not masked (docker: --security-opt systempaths=unconfined; else start the "
                "executor with --proc either)"
            )


def _shown(path: str) -> Iterable[str]:
    if os.path.islink(path):
        return ("--symlink", os.readlink(path), path)
    return ("--ro-bind", path, path) if os.path.exists(path) else ()
