"""A command inside a host that goes on while the conversation does."""

from __future__ import annotations

import contextlib
import time

from sandboxes.background import KILL_GRACE, InputPipe
from sandboxes.foothold import Foothold
from sandboxes.host import Program
from sandboxes.hosted_files import HostedFiles
from sandboxes.reports import Reports
from sandboxes.sandbox import BoundedOutput, SandboxError


class HostedProcess:
    """Fulfils `BackgroundProcess`.

    Args:
        marker: of its processes inside.
        stdin: the writing end of its input pipe, -1 if it has none.
        adopted: the shell that began it has ended; what that left behind is the process, and `watcher`,
            a program inside, ends when there is none of it any more.
    """

    def __init__(
        self,
        id: str,
        text: str,
        program: Program,
        foothold: Foothold,
        marker: str,
        output_limit: int,
        *,
        reports: Reports,
        stdin: int = -1,
        watcher: Program | None = None,
    ) -> None:
        self.id = id
        self.command = text
        self.started = time.time()
        self.program = program
        self.marker = marker
        self._foothold = foothold
        self._reports = reports
        self._limit = output_limit
        self._input = InputPipe(id, stdin)
        self._watcher = watcher
        program.capture.watch()

    @property
    def exit_code(self) -> int | None:
        """None while it runs. Of an adopted process only its shell's exit code is known."""
        if self._watcher is not None and self._watcher.exit_code is None:
            return None
        return self.program.exit_code

    @property
    def is_cut_off(self) -> bool:
        """Whether the connection ended, and not the process."""
        if self._watcher is not None:
            return bool(self._watcher.exit_code)
        return self.program.exit_code is not None and not self._reports.ended

    def keep_watch(self, watcher: Program) -> None:
        """It was cut off: from now on only its end can be seen."""
        self._watcher = watcher
        self._input.close()

    def new_output(self) -> BoundedOutput:
        return self.program.capture.new_output(self._limit)

    def log(self, tail_bytes: int) -> BoundedOutput:
        return self.program.capture.tail(min(tail_bytes, self._limit))

    async def wait(self, timeout: float) -> int | None:
        await (self._watcher or self.program).wait(timeout)
        return self.exit_code

    async def write(self, data: bytes, *, end: bool = False) -> None:
        """Send `data` to its input; `end` closes it. Raises SandboxError if it does not take it."""
        await self._input.write(data, end=end)

    async def kill(self, grace: float = KILL_GRACE) -> None:
        with contextlib.suppress(SandboxError):  # what is gone need not be ended
            await self._foothold.end_marked(self.marker, grace)
        await (self._watcher or self.program).wait(KILL_GRACE)
        self.let_go()

    async def result(self) -> BoundedOutput:
        return await HostedFiles(self._foothold).output(self.program, self.marker.split(".")[-2], self._limit)

    def let_go(self) -> None:
        """Nothing of it runs any more, or nobody can reach it."""
        self._input.close()
        self.program.kill()
        if self._watcher is not None:
            self._watcher.kill()
