"""Modal, as its client knows it: the connection, what is asked for, what its errors mean.

The client `modal` is heavy and is imported when it is first used, in the thread of the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import math
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from configuration.sandbox_settings import ModalProfile, ModalSettings
from sandboxes.child_environment import passed_variables
from sandboxes.leftovers import owner_is_dead, owner_label
from sandboxes.sandbox import SandboxError
from settings import Settings

Value = TypeVar("Value")
ModalSandbox: TypeAlias = Any
"""A modal.Sandbox."""
_WAITER = "exec 3<> <(:); while :; do read -r -u 3; done"
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ModalOrder:
    """What a sandbox is to be.

    Args:
        idle: seconds without a program after which Modal may end it; None: only at `lifetime`.
        lifetime: seconds after which Modal ends it in any case.
        variables: that the person passes to commands on purpose.
    """

    app: str
    image: str
    gpu: str
    cpu: float | None
    memory: int | None
    secrets: tuple[str, ...]
    lifetime: int
    idle: int | None
    network: bool
    variables: Mapping[str, str]


def modal_order(settings: Settings, environ: Mapping[str, str], profile: str | None = None) -> ModalOrder:
    """What the settings ask for.

    Args:
        profile: in place of `modal.profile`.

    Raises SandboxError if there is no such profile.
    """
    modal, terminal = settings.modal, settings.terminal
    chosen = _profile(modal, modal.profile if profile is None else profile)
    idle = (
        None if terminal.lifetime is None else min(max(1, math.ceil(terminal.lifetime)), modal.max_lifetime)
    )
    return ModalOrder(
        app=modal.app,
        image=chosen.image or modal.image,
        gpu=chosen.gpu or modal.gpu,
        cpu=modal.cpu if chosen.cpu is None else chosen.cpu,
        memory=modal.memory if chosen.memory is None else chosen.memory,
        secrets=tuple(chosen.secrets or modal.secrets),
        lifetime=modal.max_lifetime,
        idle=idle,
        network=bool(terminal.network),
        variables=passed_variables(environ, terminal.env_pass),
    )


def _profile(settings: ModalSettings, name: str) -> ModalProfile:
    if not name:
        return ModalProfile()
    if name not in settings.profiles:
        known = ", ".join(sorted(settings.profiles)) or "none"
        raise SandboxError(f"modal: there is no profile {name!r} in modal.profiles; there are: {known}")
    return settings.profiles[name]


class ModalService:
    """A connection to Modal in a thread and an event loop of its own, so that any loop can use it.

    Args:
        environ: of hermes; its tokens are there or in the client's own file.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._client: Any = None
        self._mine = False
        self._apps: dict[str, Any] = {}
        self._endings: set[asyncio.Future[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="modal", daemon=True)
        self._thread.start()

    async def call(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run `work` in the loop of the connection."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def close(self) -> None:
        """End the thread when what is being ended has ended."""
        await self.call(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)

    # -- in the loop of the connection ------------------------------------------------------------------

    async def start_sandbox(self, order: ModalOrder, task_id: str, tag: str) -> ModalSandbox:
        """Raises SandboxError in plain words. `tag` becomes the value of its tag hermes_sandbox."""
        if importlib.util.find_spec("modal") is None:
            raise SandboxError(
                "modal: the package modal is not installed. Install it with "
                "`pip install 'hermes-agent[modal]'`, or set terminal.backend to another place"
            )
        try:
            app = await self._app(order.app)
            creating = asyncio.ensure_future(self._create(app, order, task_id, tag))
            try:
                return await asyncio.shield(creating)
            except asyncio.CancelledError:
                self._see_out(self._end_when_made(creating))
                raise
        except Exception as error:
            raise problem(error, order) from error

    def end(self, sandbox: ModalSandbox) -> None:
        """Terminate it; `close` waits for it."""
        self._see_out(self.terminate(sandbox))

    async def terminate(self, sandbox: ModalSandbox) -> None:
        """End it. What fails the reaper, or the sandbox's own lifetime, makes good."""
        from modal.exception import Error

        with contextlib.suppress(Error, OSError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await sandbox.terminate.aio()
        await sandbox.detach.aio()

    async def _app(self, name: str) -> Any:
        import modal

        for each in ("modal-client", "modal-utils"):
            # Its warnings would be written over a screen that is not its own.
            logging.getLogger(each).handlers[:] = [logging.NullHandler()]
        if self._client is None:
            token, secret = (self._environ.get(f"MODAL_TOKEN_{each}", "") for each in ("ID", "SECRET"))
            self._mine = bool(token and secret)
            if self._mine:
                self._client = await modal.Client.from_credentials.aio(token, secret)
            else:
                self._client = await modal.Client.from_env.aio()
        if name not in self._apps:
            self._apps[name] = await modal.App.lookup.aio(name, client=self._client, create_if_missing=True)
            if LEFTOVERS.claim(self._environ.get("MODAL_SERVER_URL", ""), name):
                self._see_out(self._end_leftovers(self._apps[name].app_id))
        return self._apps[name]

    async def _create(self, app: Any, order: ModalOrder, task_id: str, tag: str) -> ModalSandbox:
        import modal

        task = "".join(each if each.isalnum() or each in "-_." else "_" for each in task_id)[:60]
        return await modal.Sandbox.create.aio(
            "bash", "--noprofile", "--norc", "-c", _WAITER,
            app=app,
            client=self._client,
            image=modal.Image.from_registry(order.image),
            gpu=order.gpu or None,
            cpu=order.cpu,
            memory=order.memory,
            secrets=[modal.Secret.from_name(name) for name in order.secrets],
            env=dict(order.variables) or None,
            timeout=order.lifetime,
            idle_timeout=order.idle,
            block_network=not order.network,
            tags={**_owner_tags(owner_label()), "hermes_task": task or "_", "hermes_sandbox": tag},
        )  # fmt: skip

    async def _end_when_made(self, creating: asyncio.Future[ModalSandbox]) -> None:
        with contextlib.suppress(Exception):  # it was not made, then
            await self.terminate(await creating)

    async def _end_leftovers(self, app_id: str) -> None:
        """Terminate the sandboxes of this account's dead processes on this machine. Nobody waits for it: what
        fails the next hermes tries again."""
        import modal

        ours = {"hermes_machine": _owner_tags(owner_label())["hermes_machine"]}
        with contextlib.suppress(modal.exception.Error, OSError, TimeoutError):
            async for sandbox in modal.Sandbox.list.aio(app_id=app_id, tags=ours, client=self._client):
                if owner_is_dead(_owner(await sandbox.get_tags.aio())):
                    await self.terminate(sandbox)

    def _see_out(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _disconnect(self) -> None:
        if self._endings:
            await asyncio.wait(self._endings, timeout=_SECONDS)
        client, self._client = self._client, None
        if client is not None and self._mine:
            await client.close.aio()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()


def _owner_tags(label: str) -> dict[str, str]:
    """In three, because a tag's value may not be long."""
    machine, boot, namespace, user, pid, start = label.split(".")
    return {
        "hermes_machine": f"{machine}.{user}", "hermes_boot": f"{boot}.{namespace}",
        "hermes_process": f"{pid}.{start}",
    }  # fmt: skip


def _owner(tags: Mapping[str, str]) -> str:
    """The label that was made into `tags`; "" if it was not."""
    parts = [
        tags.get(name, "").split(".") for name in ("hermes_machine", "hermes_boot", "hermes_process")
    ]  # fmt: skip
    if any(len(part) != 2 for part in parts):
        return ""
    (machine, user), boot, process = parts
    return ".".join((machine, *boot, user, *process))


class _Once:
    """What a process does once in its life."""

    def __init__(self) -> None:
        self._done: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def claim(self, *what: str) -> bool:
        """Whether the caller is the first, and has to do it."""
        with self._lock:
            first = what not in self._done
            self._done.add(what)
            return first


LEFTOVERS = _Once()
"""The tasks of a process know nothing of each other, and one of them is to look."""


def problem(error: Exception, order: ModalOrder) -> SandboxError:
    """What the client raised, in plain words, with what helps."""
    if isinstance(error, SandboxError):
        return error
    kinds = [each.__name__ for each in type(error).__mro__]
    said = " ".join(str(error).split())[-1500:]
    told = next((told for kind, told in _PROBLEMS if kind in kinds), "Modal gave an error")
    if "NotFoundError" in kinds and order.secrets and "ecret" in said:
        told = "Modal does not have one of modal.secrets. Make it with `modal secret create`, or leave it out"
    if "AuthError" in kinds and "oken missing" in said:
        told = _NO_TOKENS
        said = ""
    what = told.format(image=order.image)
    return SandboxError(f"modal: {what}\n{said}" if said else f"modal: {what}")


_NO_TOKENS = (
    "there are no tokens for Modal. Run `modal token new`, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET"
)
_NO_IMAGE = (
    "Modal could not build the image {image}. Set modal.image to one that exists and that Modal may fetch"
)
_PROBLEMS = (
    (
        "ImageBuildError",
        _NO_IMAGE,
    ),
    (
        "RemoteError",
        _NO_IMAGE,
    ),
    (
        "AuthError",
        "Modal refuses the tokens. Make new ones with `modal token new`, or set MODAL_TOKEN_ID and "
        "MODAL_TOKEN_SECRET",
    ),
    ("PermissionDeniedError", "these tokens may not do that at Modal"),
    (
        "ResourceExhaustedError",
        "Modal has no room for the sandbox, or your quota there is used up. Ask for less (modal.gpu, "
        "modal.memory), or try again later",
    ),
    ("NotFoundError", "Modal does not have what the settings name; see modal.app and modal.secrets"),
    ("InvalidError", "Modal does not accept what the settings of modal ask for"),
    ("TimeoutError", "Modal did not answer in time; try again"),
    ("ConnectionError", "Modal cannot be reached. Is there a network?"),
    ("OSError", "Modal cannot be reached. Is there a network?"),
    ("ServiceError", "Modal's service has a fault; try again later"),
    ("InternalError", "Modal's service has a fault; try again later"),
)
