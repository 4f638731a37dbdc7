"""Commands that Landlock holds, where bubblewrap or namespaces are not to be had.

Landlock, landlock(7), names what may be reached; all else is refused. So it cannot hold a place below a
folder that can be changed, such as `.git/hooks`; and processes, the network and /tmp stay the machine's,
where a filter of system calls takes away what would lead out. docs/confinement.md says what that means.
"""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from safety.confinement import Confinement
from safety.paths import is_within
from sandboxes.confinement.confined_view import CACHE, TEMPORARY, View, deciding
from sandboxes.confinement.syscall_filter import INET, INET6, NETLINK, is_known, syscall_filter
from sandboxes.confinement.warden_host import WardenHost
from sandboxes.sandbox import SandboxError

_CREATE_RULESET, _VERSION = 444, 1  # the call is the same on every processor; LANDLOCK_CREATE_RULESET_VERSION
_ENOUGH = 3
"""The version that also keeps files from being cut to nothing (Linux 6.2)."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_SCOPED = 3  # warden.ABSTRACT_SOCKETS and SIGNALS


class LandlockHost(WardenHost):
    """Fulfils `Host`. `look` says what the commands see and may change, as this machine is now."""

    def __init__(self, look: Callable[[], View]) -> None:
        view = look()
        confinement = Confinement("landlock", network=view.network, writable=view.writable, keys=False)
        super().__init__(confinement, view.cwd, view.environment)
        self._tmp = os.path.join(self.folder, "tmp")
        self.environment = {**view.environment, "TMPDIR": self._tmp}
        if view.environment.get("XDG_CACHE_HOME") == CACHE:
            self.environment = {**self.environment, "XDG_CACHE_HOME": os.path.join(self._tmp, ".cache")}
        self._look = look
        self._view = view
        _refuse_mixed(view)

    def prepare(self) -> None:
        self._view = self._look()
        _refuse_mixed(self._view)
        os.mkdir(self._tmp, mode=0o700)

    def command_line(self, program: Sequence[str]) -> list[str]:
        return list(program)

    def orders(self) -> Mapping[str, Any]:
        facts = [(place, os.stat(place)) for place in self._view.writable]
        families = (INET, INET6, NETLINK) if self._view.network else ()
        return {
            "mounts": False,
            "writable": [(place, fact.st_dev, fact.st_ino) for place, fact in facts],
            "rules": [
                *((place, "read") for place in _readable(self._view)),
                *((place, "write") for place in (*self._view.writable, self._tmp)),
                *((f"/dev/{name}", "device") for name in _DEVICES),
            ],
            "scoped": _SCOPED,
            "filter": syscall_filter(families, shared=True),
            "clerk": [*self._view.writable, self._tmp],
        }


@functools.cache
def landlock_version() -> int:
    """What this kernel offers; 0 for nothing."""
    import ctypes

    libc = ctypes.CDLL(None)
    nothing = ctypes.c_size_t(0)
    answer: int = libc.syscall(ctypes.c_long(_CREATE_RULESET), None, nothing, ctypes.c_uint32(_VERSION))
    return max(answer, 0)


def landlock_problem() -> str:
    """Why it does not work here; "" if it does."""
    version = landlock_version()
    if version == 0:
        return "this kernel has no Landlock, or it is not switched on (lsm= on its command line)"
    if version < _ENOUGH:
        return f"Landlock of this kernel (version {version}) is too old; Linux 6.2 has a newer one"
    if not is_known():
        return f"there is no filter of system calls for {os.uname().machine}"
    return ""


def _refuse_mixed(view: View) -> None:
    """A rule for a folder holds for all below it."""
    for place in view.hidden:
        holder = deciding(place, view.writable)
        if holder and not _is_socket(place):  # nobody can make a socket to speak to it
            raise SandboxError(
                f"local: {place} is kept from commands but lies in {holder}, which they can change; Landlock "
                "cannot do that: install bubblewrap, or work in another folder"
            )


def _is_socket(place: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(place).st_mode)
    except OSError:
        return False


def _readable(view: View) -> Iterator[str]:
    """Folders and files that together are everything but the hidden places."""
    kept = {place for place in view.hidden if not _is_socket(place)} | {*TEMPORARY, "/dev"}
    yield from _parts("/", kept)
    for place in view.shown:
        if deciding(place, kept) not in ("", place):
            yield from _parts(place, kept)


def _parts(place: str, kept: set[str]) -> Iterator[str]:
    if place in kept:
        return
    if not any(is_within(each, place) for each in kept):
        yield place
        return
    try:
        entries = list(os.scandir(place))
    except OSError:
        return  # not for us either
    for entry in entries:
        if not entry.is_symlink():
            yield from _parts(entry.path, kept)
