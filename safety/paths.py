"""What a path really names, and whether that lies in a folder or in a place of the lists in places.py."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterable

from safety.places import PRIVATE, SELF_ACTING


def canonical(path: str) -> str:
    """`path` absolute, its links resolved as far as they exist, `..` taken after the link before it.

    What does not exist is kept as it is spelt, and so is a link that leads in a circle. No name in the
    result is a link at this moment; `open_exact` makes sure that none has become one since.
    """
    resolved = os.path.realpath(path)
    return resolved[1:] if resolved.startswith("//") else resolved


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


def private_places() -> tuple[str, ...]:
    """PRIVATE for the account that runs hermes, canonical."""
    return tuple(canonical(os.path.expanduser(place)) for place in PRIVATE)


def acts_by_itself(path: str) -> bool:
    """Whether writing to canonical `path` sets something up that runs, or gives rights, unasked."""
    line = "/" + path.casefold().strip("/") + "/"
    if _self_acting(os.path.expanduser("~")).match(line):
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
