"""What ends a sandbox's commands when hermes itself is killed: a small bash that waits on a pipe.

PR_SET_PDEATHSIG would not do: it is sent when the *thread* that started the child ends, reaches only the
child itself, and needs code between fork and exec, which makes starting slow. Nor would atexit: SIGKILL runs
none.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_SCRIPT = Path(__file__).with_name("lifeline.sh")


class Lifeline:
    """For one sandbox, or for all whose `identity` begins with `marker`; started before the first command.

    `on_death` is a command line that is run in the end if hermes is gone: it removes a container, say.
    """

    def __init__(
        self, bash: str, marker: str, path: str, on_death: Sequence[str] = (),
        environment: Mapping[str, str] = {},
    ) -> None:  # fmt: skip
        self.marker = marker
        self._argv = [bash, "--noprofile", "--norc", str(_SCRIPT), marker, *on_death]
        self._environment = {**environment, "PATH": path}
        self._popen: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Does nothing where it runs already; a task may have killed it."""
        with self._lock:
            if self._popen is None or self._popen.poll() is not None:
                self._close_pipe()
                # Without it commands still run, so a full process table must not stop them.
                with contextlib.suppress(OSError):
                    self._popen = subprocess.Popen(
                        self._argv, env=self._environment, cwd="/", start_new_session=True, bufsize=0,
                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    )  # fmt: skip

    def watch(self, group: int) -> None:
        """End this process group too should hermes die: it may hold what lost its marker."""
        with self._lock:
            self._say(f"+{group}\n")

    def release(self, group: int) -> None:
        with self._lock:
            self._say(f"-{group}\n")

    def close(self) -> None:
        """Everything has ended; let it go without looking for anything."""
        with self._lock:
            self._say("quit\n")
            self._close_pipe()

    def _close_pipe(self) -> None:
        if self._popen is not None and self._popen.stdin is not None:
            self._popen.stdin.close()
            self._popen.wait()
        self._popen = None

    def _say(self, line: str) -> None:
        if self._popen is not None and self._popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # somebody killed it
                os.write(self._popen.stdin.fileno(), line.encode())
