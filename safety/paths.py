"""What a path really names, whether that lies in a folder or in a place of the lists in places.py, and how
to open exactly that.

What was decided about a path holds only if the same file is used afterwards. So a path is made canonical
once; the decision is about that; and `open_exact` goes there name by name from `/`, following nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import os
import re
import stat
from collections.abc import Iterable, Iterator

from safety.places import PRIVATE, SELF_ACTING

_SYSTEM = ("/usr", "/bin", "/sbin")
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def canonical(path: str) -> str:
    """`path` absolute, its links resolved as far as they exist, `..` taken after the link before it.

    What does not exist is kept as it is spelt, and so is a link that leads in a circle. No name in the
    result is a link at this moment; `open_exact` makes sure that none has become one since.
    """
    resolved = os.path.realpath(path)
    return resolved[1:] if resolved.startswith("//") else resolved


def existing_canonical(path: str) -> str:
    """`canonical`, but a last name that is a link to nowhere, or in a circle, stays."""
    resolved = canonical(path)
    name = os.path.basename(path)
    if os.path.lexists(resolved) or not os.path.islink(path):
        return resolved
    return os.path.join(canonical(os.path.dirname(path)), name)


def open_exact(path: str, flags: int, mode: int = 0o666) -> int:
    """A descriptor of the file at canonical `path`; no link is followed, at no place of it.

    `flags` and `mode` are those of os.open.

    Raises:
        OSError: as os.open does; ELOOP, "changed since it was checked", where a link stands.
    """
    with exact_folder(path) as (folder, name):
        try:
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
        except OSError as error:
            raise _named(error, path, folder, name) from None


@contextlib.contextmanager
def exact_folder(path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The folder of canonical `path` as a descriptor for `dir_fd=`, and the last name of the path.

    `make` makes the folders that are missing. The descriptor leads to the folder that was found, whatever
    its name is made to lead to meanwhile. It is closed at the end.

    Raises:
        OSError: as os.open does; ELOOP, "changed since it was checked", where a link stands.
    """
    names = path.split("/")
    if not path.startswith("/") or ".." in names:
        raise OSError(errno.EINVAL, "Not a canonical path", path)
    *above, last = [name for name in names if name] or ["."]
    folder = os.open("/", _FOLDER)
    try:
        for name in above:
            try:
                below = _step(folder, name, make)
            except OSError as error:
                raise _named(error, path, folder, name) from None
            os.close(folder)
            folder = below
        yield folder, last
    finally:
        os.close(folder)


def _step(folder: int, name: str, make: bool) -> int:
    if make:
        with contextlib.suppress(FileNotFoundError):
            return os.open(name, _FOLDER, dir_fd=folder)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _named(error: OSError, path: str, folder: int, name: str) -> OSError:
    """`error` with the whole path in it. Systems differ in what they say of a link; this says it plainly."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        with contextlib.suppress(OSError):
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                return OSError(errno.ELOOP, f"{name} is a link now: changed since it was checked", path)
    return OSError(error.errno, error.strerror, path)


def is_within(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it, name by name; both canonical.

    It says no where a file system takes two spellings for one name: use it for what is allowed.
    """
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def touches(path: str, folder: str) -> bool:
    """Whether canonical `path` is or lies in `folder`, also by another spelling or by a second mount.

    It says yes where names differ in upper and lower case alone: use it for what is protected.
    """
    if is_within(path.casefold(), folder.casefold()):
        return True
    try:
        wanted = os.stat(folder)
    except OSError:
        return False
    return any(_is(each, wanted) for each in _upwards(path))


def touches_any(path: str, places: Iterable[str]) -> bool:
    """`touches` for one of `places`; in a place, `*` stands for anything."""
    folded = path.casefold()
    return any(
        fnmatch.fnmatchcase(folded, place.casefold()) if "*" in place else touches(path, place)
        for place in places
    )


def private_places(*, anywhere: bool = False) -> tuple[str, ...]:
    """PRIVATE for the account that runs hermes, canonical; `anywhere`: of every home, wherever that is."""
    own = tuple(canonical(os.path.expanduser(place)) for place in PRIVATE)
    homes = [place[1:] for place in PRIVATE if place[0] == "~"] if anywhere else []
    return own + tuple(f"*{place}{below}" for place in homes for below in ("", "/*"))


def acts_by_itself(path: str) -> bool:
    """Whether writing to canonical `path` sets something up that runs, or gives rights, unasked."""
    line = "/" + path.casefold().strip("/") + "/"
    if _self_acting(os.path.expanduser("~")).match(line):
        return True
    if any(is_within(path, folder) for folder in _own_programs(os.environ.get("PATH", ""))):
        return True
    return any(_makes_repository(folder, path) for folder in _upwards(os.path.dirname(path)))


@functools.lru_cache(maxsize=4)
def _self_acting(home: str) -> re.Pattern[str]:
    patterns = []
    for name in SELF_ACTING:
        place = canonical(home) + name[1:] if name[0] == "~" else name
        start = "" if place[0] == "/" else "(?:/.*)?/"
        patterns.append(start + re.escape(place.casefold()).replace(r"\*", "[^/]*") + "/")
    return re.compile("|".join(patterns), re.DOTALL)


@functools.lru_cache(maxsize=4)
def _own_programs(path: str) -> tuple[str, ...]:
    """The folders of PATH that are not the system's: what lies there runs under the name of any command."""
    folders = [canonical(folder) for folder in path.split(os.pathsep) if os.path.isabs(folder)]
    return tuple(each for each in folders if not any(is_within(each, system) for system in _SYSTEM))


def _makes_repository(folder: str, path: str) -> bool:
    """Whether git takes `folder` itself for a repository once `path`, below it, is there.

    Such a folder brings hooks and a configuration of its own, under names that mean nothing elsewhere.
    """
    new = path.casefold()[len(folder.rstrip("/").casefold()) + 1 :].partition("/")[0]

    def has(name: str) -> bool:
        return new == name.casefold() or os.path.lexists(os.path.join(folder, name))

    return has("HEAD") and (has("objects") or has("commondir"))


def _upwards(path: str) -> Iterable[str]:
    while True:
        yield path
        parent = os.path.dirname(path)
        if parent == path:
            return
        path = parent


def _is(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)
    except OSError:
        return False
