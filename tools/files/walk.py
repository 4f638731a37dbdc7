"""Walk a folder of a sandbox as git sees it: without .git, links, and what .gitignore leaves out."""

from __future__ import annotations

import asyncio
import fnmatch
import posixpath
from collections.abc import AsyncIterator, Sequence

from safety.paths import is_within
from sandboxes.sandbox import FileStat, Sandbox
from tools.files.ignore_rules import IgnoreFile, is_ignored, parse_ignore_file

_MOST_IGNORE_BYTES = 256 << 10


async def walk_files(
    sandbox: Sandbox, root: str, *, skip: Sequence[str] = ()
) -> AsyncIterator[tuple[str, FileStat]]:
    """Each regular file below `root` (absolute): its absolute path and stat, folders in order of name.

    `skip` are places as `is_passed_by` takes them. Folders that cannot be read are passed over.
    """
    stack: list[tuple[str, tuple[IgnoreFile, ...]]] = [(root, await ignore_files_above(sandbox, root))]
    while stack:
        folder, inherited = stack.pop()
        await asyncio.sleep(0)  # listing may not have let others run, or a timeout strike
        try:
            entries = sorted(await sandbox.list_dir(folder))
        except OSError:
            continue
        own = await _read_ignore_file(sandbox, folder) if any(n == ".gitignore" for n, _ in entries) else None
        rules = (own, *inherited) if own else inherited
        below: list[tuple[str, tuple[IgnoreFile, ...]]] = []
        for name, stat in entries:
            path = posixpath.join(folder, name)
            if name == ".git" or stat.is_symlink or is_ignored(rules, path, stat.is_dir):
                continue
            if is_passed_by(path, skip):
                continue
            if stat.is_dir:
                below.append((path, rules))
            elif stat.is_file:
                yield path, stat
        stack += reversed(below)


def is_passed_by(path: str, skip: Sequence[str]) -> bool:
    """Whether `path` is or lies in one of `skip`, absolute paths in which `*` stands for anything."""
    return any(fnmatch.fnmatchcase(path, place) if "*" in place else is_within(path, place) for place in skip)


async def ignore_files_above(sandbox: Sandbox, root: str) -> tuple[IgnoreFile, ...]:
    """The .gitignore files that hold for `root` from above, the nearest first.

    They end at the repository's top. None hold if they leave out `root` itself: who names an ignored
    folder wants to see it.
    """
    files: list[IgnoreFile] = []
    folder = root
    while not await _is_repository(sandbox, folder) and folder != posixpath.dirname(folder):
        folder = posixpath.dirname(folder)
        own = await _read_ignore_file(sandbox, folder)
        if own:
            files.append(own)
    inner = root
    while inner != folder:
        outer = [each for each in files if len(each.folder) < len(inner)]
        if is_ignored(outer, inner, True):
            return ()
        inner = posixpath.dirname(inner)
    return tuple(files)


async def _is_repository(sandbox: Sandbox, folder: str) -> bool:
    try:
        await sandbox.stat(posixpath.join(folder, ".git"))
    except OSError:
        return False
    return True


async def _read_ignore_file(sandbox: Sandbox, folder: str) -> IgnoreFile | None:
    path = posixpath.join(folder, ".gitignore")
    try:
        if not (await sandbox.stat(path)).is_file:
            return None
        data = await sandbox.read_file(path, size=_MOST_IGNORE_BYTES)
    except OSError:
        return None
    return parse_ignore_file(folder, data.decode("utf-8", "replace"))
