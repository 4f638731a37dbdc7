"""The backend modal: a sandbox at Modal for each task, by the service's own client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from safety.confinement import Confinement
from sandboxes.bounded_output import OutputCapture
from sandboxes.child_environment import child_environment
from sandboxes.modal.modal_program import ModalProgram
from sandboxes.modal.modal_service import ModalOrder, ModalSandbox, ModalService, modal_order
from sandboxes.reports import Reports
from sandboxes.sandbox import SandboxError
from settings import Settings

_OF_CLIENT = (
    "MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "MODAL_CONFIG_PATH", "MODAL_PROFILE", "MODAL_ENVIRONMENT",
    "MODAL_SERVER_URL",
)  # fmt: skip
"""Variables that the service's client reads."""
_FAREWELL = (
    "import sys, time, modal\n"
    "app = modal.App.lookup(sys.argv[1]).app_id\n"
    "for pause in (0, 5):\n"  # an order to start it may be under way still
    "    time.sleep(pause)\n"
    "    for sandbox in modal.Sandbox.list(app_id=app, tags={'hermes_sandbox': sys.argv[2]}):\n"
    "        sandbox.terminate()\n"
)


def make_modal_host(settings: Settings, task_id: str, environ: Mapping[str, str]) -> ModalHost:
    """The host of a task; nothing is started yet. Raises SandboxError where a setting cannot be kept."""
    return ModalHost(modal_order(settings, environ), task_id, environ, cwd=settings.terminal.cwd or "")


class ModalHost:
    """Fulfils `Host`.

    Should hermes be killed, `on_death` ends the sandbox; where that fails, the next hermes does, or Modal
    when it has been idle for `order.idle` seconds or has lived for `order.lifetime`.
    """

    name = "modal"
    lasting = False

    def __init__(self, order: ModalOrder, task_id: str, environ: Mapping[str, str], *, cwd: str = "") -> None:
        self.cwd = cwd
        self.confinement = Confinement(kind="modal", network=order.network, writable=(), keys=False)
        self.environment: Mapping[str, str] = child_environment(environ, _OF_CLIENT)
        self._tag = secrets.token_hex(8)
        self.on_death: Sequence[str] = (sys.executable, "-P", "-c", _FAREWELL, order.app, self._tag)
        self._order = order
        self._task_id = task_id
        self._environ = environ
        self._service: ModalService | None = None
        self._sandbox: ModalSandbox = None
        self._watch: asyncio.Task[None] | None = None
        self._programs: set[ModalProgram] = set()
        self._why = ""
        self.is_gone = False
        """Its sandbox has ended, or does not answer."""
        self.on_gone: Callable[[str], None] | None = None
        """Called with the reason, from the thread of the service, as soon as that is known."""

    async def start(self, identity: str) -> None:
        """See `Host.start`."""
        if self._service is None:
            self._service = ModalService(self._environ)
        try:
            await self._service.call(self._start(self._service))
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def launch(
        self,
        argv: Sequence[str],
        *,
        stdin: int,
        capture: OutputCapture,
        reports: Reports,
        marker: str,
        on_text: Callable[[str], None] | None = None,
        stop_after: int | None = None,
    ) -> ModalProgram:
        """See `Host.launch`. Where the service fails the program ends, and `reports` has the reason."""
        if self._service is None:
            raise SandboxError("modal: there is no sandbox")
        kept = stdin if stdin == subprocess.DEVNULL else os.dup(stdin)
        return await self._service.call(self._launch(argv, kept, capture, reports, on_text, stop_after))

    async def is_up(self) -> bool:
        """See `Host.is_up`."""
        return self._service is not None and await self._service.call(self._runs())

    def why_gone(self) -> str:
        return self._why

    async def stop(self) -> None:
        """See `Host.stop`."""
        service, self._service = self._service, None
        if service is not None:
            await service.call(self._end(service))
            await service.close()

    # -- in the loop of the service ---------------------------------------------------------------------

    async def _start(self, service: ModalService) -> None:
        await self._end(service)
        self._sandbox = await service.start_sandbox(self._order, self._task_id, self._tag)
        self.is_gone = False
        self._watch = asyncio.ensure_future(self._follow(self._sandbox))

    async def _launch(
        self,
        argv: Sequence[str],
        stdin: int,
        capture: OutputCapture,
        reports: Reports,
        on_text: Callable[[str], None] | None,
        stop_after: int | None,
    ) -> ModalProgram:
        sandbox = self._sandbox
        program = ModalProgram(
            lambda: sandbox.exec.aio(*argv, text=False), stdin, capture, reports, on_text, stop_after
        )  # fmt: skip
        self._programs.add(program)
        program.task.add_done_callback(lambda _: self._programs.discard(program))
        if self.is_gone:
            program.lose(self._why)
        return program

    async def _runs(self) -> bool:
        from modal.exception import Error

        if self.is_gone or self._sandbox is None:
            return False
        try:
            async with asyncio.timeout(30):
                ended = await self._sandbox.poll.aio()
        except (Error, OSError, TimeoutError) as error:
            self._lost(f"Modal does not answer: {error}")
            return False
        if ended is not None:
            self._lost(_why(ended))
        return not self.is_gone

    async def _follow(self, sandbox: ModalSandbox) -> None:
        """Learn of its end, which its programs may not tell: their machine is gone with it."""
        from modal.exception import Error, SandboxTimeoutError

        try:
            await sandbox.wait.aio(raise_on_termination=False)
            why = _why(sandbox.returncode)
        except SandboxTimeoutError:
            why = f"its time was over (modal.max_lifetime: {self._order.lifetime} s)"
        except (Error, OSError, TimeoutError) as error:
            why = f"Modal does not answer: {error}"
        self._lost(why)

    def _lost(self, why: str) -> None:
        first, self.is_gone, self._why = not self.is_gone, True, why
        if first and self.on_gone is not None:
            self.on_gone(why)
        for program in list(self._programs):
            program.lose(why)

    async def _end(self, service: ModalService) -> None:
        watch, self._watch = self._watch, None
        sandbox, self._sandbox = self._sandbox, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        programs = [program.task for program in self._programs]
        for program in list(self._programs):
            program.lose(self._why or "the sandbox was ended")
        if programs:
            await asyncio.gather(*programs, return_exceptions=True)
        if sandbox is not None:  # also one that is gone: its connection is there yet
            with contextlib.suppress(asyncio.CancelledError):
                await service.terminate(sandbox)


def _why(code: int | None) -> str:
    if code == 137:
        return "Modal or somebody there ended its sandbox, or its memory was used up"
    return f"its sandbox ended with {code}"
