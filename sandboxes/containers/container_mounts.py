"""What of this machine a container sees: the working folder, without what is the agent's or private."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from configuration.home import SettingsError, is_trusted
from configuration.sandbox_settings import MountMode
from safety.paths import canonical, is_within, private_places, touches
from sandboxes.confinement.fixed_places import fixed_places
from sandboxes.containers.engine_client import EngineName
from sandboxes.sandbox import SandboxError

_NO_PROJECTS = (
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/mnt", "/opt", "/proc",
    "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/run", "/var/tmp",
    "/Users", "/Library", "/System", "/private", "/private/tmp", "/private/var", "/private/etc",
)  # fmt: skip
"""Folders of the system: what is in them, sockets above all, opens ways around a container."""
_NOT_WITHIN = ("/proc", "/sys", "/dev", "/boot", "/run/docker", "/run/containerd", "/var/lib/docker",
               "/var/lib/containers")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of this machine at the path `target` inside, without `hidden`, places below `source`.

    What else is below it and differs: `fixed` cannot be changed, `held` neither renamed nor removed.
    """

    source: str
    target: str
    writable: bool
    hidden: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    def options(self, engine: EngineName) -> list[str]:
        """For `docker run` or `podman run`."""
        # podman would first copy there what lies below.
        empty = "tmpfs-mode=0555", "tmpfs-size=4096", *(("notmpcopyup",) if engine == "podman" else ())
        bind = f"source={self.source}", f"target={self.target}"
        if self.writable:
            given = [_mount("type=bind", *bind)]
        elif _has_mounts(self.source):
            # A mount below it would stay writable: only the newest engines make those read-only too.
            given = [_mount("type=bind", *bind, "readonly", "bind-nonrecursive=true")]
        else:
            given = [_mount("type=bind", *bind, "readonly")]
        for place in self.held:
            given.append(_mount("type=bind", f"source={place}", self._at(place)))
        for place in self.fixed:
            given.append(_mount("type=bind", f"source={place}", self._at(place), "readonly"))
        for place in self.hidden:
            if os.path.isdir(place):
                given.append(_mount("type=tmpfs", self._at(place), *empty))
            elif os.path.lexists(place):
                given.append(_mount("type=bind", "source=/dev/null", self._at(place), "readonly"))
        return [word for mount in given for word in ("--mount", mount)]

    def _at(self, place: str) -> str:
        return f"target={self.target}{place[len(self.source) :]}"


def project_mount(name: str, cwd: str, mode: MountMode, hidden: Iterable[str]) -> Mount | None:
    """The working folder `cwd` as the settings say; None where it is not mounted.

    Args:
        name: of the backend, for messages.
        hidden: places that nothing inside may see, besides PRIVATE of safety.places; the agent's own.

    Raises SandboxError where it must not be mounted.
    """
    if mode == "none":
        return None
    source = canonical(cwd)
    own = [canonical(place) for place in hidden]
    section = {"podman": "docker", "singularity": "apptainer"}.get(name, name)
    instead = f"Choose another folder (terminal.cwd), or set {section}.mount to none"
    if source in _NO_PROJECTS or any(is_within(source, place) for place in _NOT_WITHIN):
        raise SandboxError(
            f"{name}: {cwd} is a folder of the system; mounted into a container it would open a way out "
            f"of it. {instead}"
        )
    if not os.path.isdir(source):
        raise SandboxError(f"{name}: the working folder {cwd} does not exist")
    for place in own:
        if touches(source, place):
            raise SandboxError(
                f"{name}: {cwd} belongs to the agent itself ({place}): its keys and sessions must not be "
                f"seen inside. {instead}"
            )
    places = dict.fromkeys((*own, *private_places()))
    return Mount(source, cwd, mode == "write", tuple(place for place in places if is_within(place, source)))


def all_mounts(
    name: str, project: Mount | None, writable: Iterable[str], hidden: Sequence[str]
) -> list[Mount]:
    """The working folder's, if it has one, and one for each of `terminal.writable`. Raises as it does."""
    folders = (os.path.abspath(os.path.expanduser(folder)) for folder in writable)
    found = [project, *(project_mount(name, folder, "write", hidden) for folder in folders)]
    return [each for each in found if each is not None]


def made_ready(mount: Mount, own: Sequence[str], environ: Mapping[str, str]) -> Mount:
    """`mount` with what acts by itself later held fast: hooks and settings of git, the agent's settings.

    Folders that must not come into being are made, empty, and stay: the agent's own that is hidden, a
    repository's hooks, and settings in a folder whose settings count.

    Args:
        own: places of the agent's own.
    """
    for place in own:
        if canonical(place) in mount.hidden:
            os.makedirs(place, 0o700, exist_ok=True)
    if not mount.writable:
        return mount
    home = canonical(environ.get("HOME") or os.path.expanduser("~"))
    found = fixed_places([mount.source], home, mount.source if _is_trusted(mount.source, environ) else "")
    made = tuple(folder for folder in found.folders if _made(folder))

    def seen(places: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(place for place in places if not any(is_within(place, each) for each in mount.hidden))

    held = tuple(place for place in seen(found.held) if place != mount.source)
    return replace(mount, fixed=seen((*found.places, *made)), held=held)


def _made(folder: str) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False  # nobody else of this account can make it either
    return True


def _is_trusted(folder: str, environ: Mapping[str, str]) -> bool:
    try:
        return is_trusted(Path(folder), environ)
    except SettingsError:
        return True  # it cannot be known


def _mount(*fields: str) -> str:
    """As --mount reads it: comma-separated values, quoted where needed (RFC 4180)."""
    return ",".join(
        '"' + each.replace('"', '""') + '"' if any(sign in each for sign in ',"\n') else each
        for each in fields
    )


def _has_mounts(folder: str) -> bool:
    """Whether something is mounted below `folder`; see proc(5) on mountinfo."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            points = [line.split()[4].replace("\\040", " ") for line in file]
    except OSError:
        return False
    return any(point != folder and is_within(point, folder) for point in points)
