"""What stays as it is in a folder that commands can change, because it acts by itself later.

A mount holds a place against writing, deleting and renaming; it does not hold the folder above it against
being moved. So a repository's `.git` is made a mount of its own, in which all else can be changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from safety.paths import canonical, is_within
from safety.places import SELF_ACTING

AGENT_FOLDER = ".hermes"
"""Held in a trusted folder also where it does not exist yet: settings from there count at once."""
_DEEP = frozenset({".git", AGENT_FOLDER})
"""Held in folders further down too, where found."""
_IN_REPOSITORY = ("hooks", "config", "config.worktree", "commondir")
_SKIPPED = frozenset({"node_modules", ".venv", "venv", "__pycache__", "site-packages", ".tox", ".cache"})
_MOST_FOLDERS = 400
_DEPTH = 3
"""How far down, and in how many folders, repositories are looked for before the first command."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Canonical paths.

    Args:
        places: existing files and folders that cannot be changed.
        held: folders that can be changed but neither renamed nor removed.
        folders: do not exist; to be made, empty, so that nobody can make them.
        unwanted: files that do not exist and are removed in the end: one that appears was put there to make
            git read hooks and settings from elsewhere.
    """

    places: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


def fixed_places(writable: Iterable[str], home: str, trusted: str) -> Fixed:
    """Looks into the folders of `writable`, not following links.

    Args:
        trusted: the folder whose settings count as soon as they are there; "" for none.
    """
    places: dict[str, None] = {}
    held: dict[str, None] = {}
    folders: dict[str, None] = {}
    unwanted: dict[str, None] = {}
    for root in writable:
        if not os.path.isdir(root):
            continue
        for place in _self_acting(root, home):
            places[place] = None
        if root == trusted and not os.path.lexists(agent := os.path.join(root, AGENT_FOLDER)):
            folders[agent] = None
        for found in _found_below(root):
            if not _is_repository(found):
                places[found] = None
                continue
            for folder in (found, *_modules(found)):
                held[folder] = None
                for name in _IN_REPOSITORY:
                    place = os.path.join(folder, name)
                    if os.path.lexists(place):
                        places[place] = None
                    elif name == "hooks":
                        folders[place] = None
                    elif name == "commondir":
                        unwanted[place] = None
    real = {place: None for place in places if not os.path.islink(place)}
    return Fixed(tuple(real), tuple(held), tuple(folders), tuple(unwanted))


def _self_acting(root: str, home: str) -> Iterator[str]:
    for name in SELF_ACTING:
        if name[0] == "~":
            place = home + name[1:]
            if not is_within(place, root):
                continue
        elif name[0] == "/" or name == ".git":
            continue
        else:
            place = os.path.join(root, name)
        if os.path.lexists(place) and canonical(place) == place:
            yield place


def _found_below(root: str) -> Iterator[str]:
    """`.git` and the like in `root` and, not everywhere, below; and what is a bare repository."""
    waiting, looked_at = [(root, 0)], 0
    while waiting and looked_at < _MOST_FOLDERS:
        folder, depth = waiting.pop(0)
        looked_at += 1
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        if _is_repository(folder):
            yield folder
            continue
        for entry in entries:
            if entry.name.casefold() in _DEEP:
                yield entry.path
            elif depth < _DEPTH and entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, depth + 1))


def _modules(repository: str) -> Iterator[str]:
    """Repositories of submodules, and the folders on the way to them."""
    above = os.path.join(repository, "modules")
    if os.path.isdir(above) and not os.path.islink(above):
        for found in _found_below(above):
            between = os.path.dirname(found)
            while is_within(between, above):
                yield between
                between = os.path.dirname(between)
            yield found


def _is_repository(folder: str) -> bool:
    """As git decides it, roughly; a link is none."""
    return (
        os.path.isfile(os.path.join(folder, "HEAD"))
        and os.path.isdir(os.path.join(folder, "objects"))
        and not os.path.islink(folder)
    )
