"""An instance of Apptainer, or of SingularityCE, for each task."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from configuration.sandbox_settings import ApptainerSettings
from safety.confinement import Confinement
from sandboxes.bounded_output import OutputCapture
from sandboxes.child_environment import passed_variables
from sandboxes.containers.apptainer_client import ApptainerClient, problem
from sandboxes.containers.apptainer_images import cache_folder, ready_image
from sandboxes.containers.container_mounts import Mount, all_mounts, made_ready, project_mount
from sandboxes.host import CommandLineHost
from sandboxes.leftovers import owner_is_dead, owner_label
from sandboxes.running_command import RunningCommand
from sandboxes.sandbox import SandboxError
from settings import Settings

_HERE = Path(__file__).parent
_FAREWELL = _HERE / "apptainer_farewell.sh"
_WAITER = _HERE / "apptainer_waiter.sh"
_PREFIX = "hermes-apptainer-"
_START = ("/.singularity.d/actions/start", "/.singularity.d/startscript")
"""What an instance begins with, in images of files and in plain folders."""
_HARMLESS = (
    "blkio-weight", "cleanenv", "contain", "containall", "cpu-shares", "cpus", "cpuset-cpus",
    "cpuset-mems", "c", "C", "dns", "drop-caps", "e", "hostname", "i", "ipc", "memory",
    "memory-reservation", "memory-swap", "no-eval", "no-home", "no-init", "no-mount", "no-privs",
    "no-umask", "nv", "nvccli", "oom-kill-disable", "pids-limit", "rocm", "unsquash", "u", "userns", "uts",
    "writable-tmpfs",
)  # fmt: skip
"""With these options it stays what it is. What is not named here counts as a door."""
OWN_FOLDER = "/tmp/work"
"""Where commands start if the working folder is not mounted."""


def make_apptainer_host(
    settings: Settings, task_id: str, cwd: str, environ: Mapping[str, str], hidden: Sequence[str]
) -> ApptainerHost:
    """The instance of a task with the backend apptainer or singularity; nothing is started yet.

    Args:
        cwd: the working folder on this machine, absolute.
        environ: of hermes.
        hidden: the agent's own folders, which nothing inside may see.

    Raises SandboxError where `cwd` must not be mounted.
    """
    terminal = settings.terminal
    name = terminal.backend
    project = project_mount(name, cwd, settings.apptainer.mount, hidden)
    mounts = all_mounts(name, project, terminal.writable, hidden)
    passed = passed_variables(environ, terminal.env_pass)
    return ApptainerHost(
        ApptainerClient(name, environ, {"LANG": "C.UTF-8", "TERM": "dumb", "TMPDIR": "/tmp", **passed}),
        settings.apptainer,
        cwd if project else OWN_FOLDER,
        mounts=mounts,
        network=bool(terminal.network),
        hidden=hidden,
        cache=cache_folder(environ),
    )


class ApptainerHost(CommandLineHost):
    """Fulfils `Host`.

    Args:
        cwd: the folder inside in which commands start.
        mounts: what of this machine is seen inside.
        hidden: the agent's own folders.
        cache: where images that were built are kept.
    """

    lasting = False

    def __init__(
        self,
        client: ApptainerClient,
        settings: ApptainerSettings,
        cwd: str,
        *,
        cache: Path,
        mounts: Sequence[Mount] = (),
        network: bool = False,
        hidden: Sequence[str] = (),
    ) -> None:
        self.name = client.name
        self.cwd = cwd
        word = secrets.token_hex(6)
        self.instance = _instance(word)
        self._base = Path(tempfile.gettempdir())
        self.folder = self._base / f"{_PREFIX}{word}"
        # What the client keeps of it, its logs too, goes with the folder.
        kept = str(self.folder / "state")
        self._own = {"APPTAINER_CONFIGDIR": kept, "SINGULARITY_CONFIGDIR": kept}
        self.environment: Mapping[str, str] = {**client.environment, **self._own}
        self.on_death: Sequence[str] = self._farewell(self.folder, self.instance, client)
        overlay = [os.path.expanduser(settings.overlay)] if settings.overlay else []
        wide = any(option not in _HARMLESS for option in _names(settings.options))
        self.confinement = Confinement(
            "apptainer",
            network=network or wide,
            writable=("/",) if wide else (*(each.target for each in mounts if each.writable), *overlay),
            keys=wide,
        )
        self._client = client
        self._settings = settings
        self._mounts = mounts
        self._network = network
        self._hidden = hidden
        self._cache = cache
        self._begun = False
        self._why = ""

    def command_line(self, argv: Sequence[str]) -> list[str]:
        """See `CommandLineHost.command_line`."""
        dropped = ["--no-privs"] if os.geteuid() == 0 else []
        joined = ["exec", "--cleanenv", "--pwd", "/", *dropped, f"instance://{self.instance}"]
        return [self._client.program, "--silent", *joined, *argv]

    async def start(self, identity: str) -> None:
        """See `Host.start`."""
        if self._begun:
            await self.stop()
        else:
            await asyncio.to_thread(self._end_forsaken)
        marker = f"{identity}."
        image = await ready_image(self._client, self._settings.image, self._cache, marker)
        self._mounts = [made_ready(mount, self._hidden, self.environment) for mount in self._mounts]
        self._begun = True
        try:
            self._make_folder()
            answer = await self._client.call(
                "instance", "start", *self._options(), str(image), self.instance,
                marker=marker, variables=self._own,
            )  # fmt: skip
            if answer.code != 0:
                said = answer.said or answer.output or "it took too long"
                raise problem(self.name, said, self._settings.image)
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def is_up(self) -> bool:
        answer = await self._client.call("instance", "list", "--json", self.instance, variables=self._own)
        with contextlib.suppress(ValueError):
            if answer.code == 0 and json.loads(answer.output)["instances"]:
                return True
        limit = self._settings.memory
        self._why = "its instance ended" + (f"; its memory is limited to {limit}" if limit else "")
        return False

    def why_gone(self) -> str:
        return self._why

    async def stop(self) -> None:
        """See `Host.stop`."""
        if not self._begun:
            return
        self._begun = False
        farewell = RunningCommand(
            self.on_death, env=self.environment, cwd="/", marker="farewell.", capture=OutputCapture(None, 0)
        )
        await farewell.wait(30)

    def _options(self) -> list[str]:
        settings, folder = self._settings, self.folder
        given = ["--containall", "--cleanenv", "--workdir", str(folder), "--pid-file", str(folder / "pid")]
        for target in _START:
            given += ["--mount", _mount(str(folder / "start"), target, writable=False)]
        for mount in self._mounts:
            given += self._binds(mount)
        if settings.overlay:
            given += ["--overlay", os.path.abspath(os.path.expanduser(settings.overlay))]
        else:
            given.append("--writable-tmpfs")
        if not self._network:
            given += ["--net", "--network", "none"]
        if settings.memory:
            given += ["--memory", settings.memory]
        if settings.cpus is not None:
            given += ["--cpus", f"{settings.cpus:g}"]
        if os.geteuid() == 0:
            given.append("--no-privs")
        return [*given, *settings.options]

    def _binds(self, mount: Mount) -> list[str]:
        def at(place: str) -> str:
            return f"{mount.target}{place[len(mount.source) :]}"

        binds = [_mount(mount.source, mount.target, writable=mount.writable)]
        binds += [_mount(place, at(place), writable=True) for place in mount.held]
        binds += [_mount(place, at(place), writable=False) for place in mount.fixed]
        for place in mount.hidden:
            if os.path.lexists(place):
                instead = str(self.folder / "empty") if os.path.isdir(place) else "/dev/null"
                binds.append(_mount(instead, at(place), writable=False))
        return [word for bind in binds for word in ("--mount", bind)]

    def _make_folder(self) -> None:
        """Its part of this machine's disk: /tmp and the home inside, and how it begins."""
        try:
            self.folder.mkdir(mode=0o700)
            (self.folder / "owner").write_text(owner_label())
            (self.folder / "tmp" / "work").mkdir(parents=True)
            (self.folder / "empty").mkdir(mode=0o555)
            shutil.copy(_WAITER, self.folder / "start")
            (self.folder / "start").chmod(0o755)
            if self._settings.overlay:
                os.makedirs(os.path.expanduser(self._settings.overlay), 0o700, exist_ok=True)
        except OSError as error:
            raise SandboxError(
                f"{self.name}: no instance without {error.filename or self.folder}: {error.strerror}"
            ) from error

    def _end_forsaken(self) -> None:
        """End the instances of those who were killed together with their lifeline."""
        for folder in self._base.glob(f"{_PREFIX}*"):
            try:
                status = folder.lstat()
                own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
                forsaken = own and owner_is_dead((folder / "owner").read_text())
            except OSError:  # it is going just now
                continue
            if forsaken:
                instance = _instance(folder.name.removeprefix(_PREFIX))
                RunningCommand(
                    self._farewell(folder, instance, self._client), env=self.environment, cwd="/",
                    marker="farewell.", capture=OutputCapture(None, 0),
                )  # fmt: skip

    @staticmethod
    def _farewell(folder: Path, instance: str, client: ApptainerClient) -> list[str]:
        return ["bash", str(_FAREWELL), client.program, str(folder), instance]


def _instance(word: str) -> str:
    return f"hermes-{word}"


def _names(options: Sequence[str]) -> list[str]:
    """Without dashes and values; a word that is no option is the value of the one before it."""
    return [word.lstrip("-").partition("=")[0] for word in options if word.startswith("-")]


def _mount(source: str, target: str, *, writable: bool) -> str:
    """As --mount reads it: comma-separated values, quoted where needed (RFC 4180)."""
    fields = ["type=bind", f"source={source}", f"destination={target}", *([] if writable else ["ro"])]
    return ",".join(
        '"' + each.replace('"', '""') + '"' if any(sign in each for sign in ',"\n') else each
        for each in fields
    )
