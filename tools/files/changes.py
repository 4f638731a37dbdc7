"""Changes to several files, planned in memory and then made all or not at all."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from sandboxes.sandbox import FileStat, Sandbox
from tools.files.kind import irregular_kind

MOST_BYTES = 128 << 20
"""Files larger than this are not edited as a whole text (two to six copies of it are in memory)."""


class ChangeError(ValueError):
    """A change that cannot be made; nothing was written."""


@dataclass(slots=True)
class PlannedFile:
    """A file as it is and as it shall be (None: there is none)."""

    before: bytes | None
    after: bytes | None
    mode: int | None


class FileChanges:
    """Collects changes by absolute path. Later ones see what earlier ones planned."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._files: dict[str, PlannedFile] = {}

    async def read(self, path: str) -> PlannedFile:
        """The planned state of `path`.

        Raises:
            ChangeError: it is a folder, a device, or too large.
            OSError: it cannot be read.
        """
        if path not in self._files:
            stat = await regular_file(self._sandbox, path)
            if stat is not None and stat.size > MOST_BYTES:
                raise ChangeError(
                    f"{shown_path(self._sandbox, path)} has {stat.size} bytes, more than the {MOST_BYTES} "
                    "that can be edited here; change it with a command in the terminal"
                )
            data = None if stat is None else await self._sandbox.read_file(path)
            self._files[path] = PlannedFile(data, data, None if stat is None else stat.mode & 0o7777)
        return self._files[path]

    async def write(self, path: str, data: bytes, *, mode: int | None = None) -> None:
        """Plan the whole content; `mode` for a file that is new."""
        planned = await self.read(path)
        planned.after = data
        if planned.before is None:
            planned.mode = mode

    async def remove(self, path: str) -> None:
        (await self.read(path)).after = None

    async def commit(self) -> None:
        """Write all of it. On a failure, or when cancelled, what was written is taken back.

        Raises:
            OSError: as writing does; the files are as they were.
            ChangeError: a file is not what it was when it was planned (changed by another program, or
                named twice by way of a link); or taking back failed too, and the text names the files.
        """
        changed = [(path, file) for path, file in self._files.items() if file.before != file.after]
        changed.sort(key=lambda entry: entry[1].after is None)
        done: list[tuple[str, PlannedFile]] = []
        try:
            for path, planned in changed:
                await self._check_unchanged(path, planned)
                done.append((path, planned))
                await _to_its_end(self._put(path, planned.after, planned.mode))
        except BaseException as error:
            left = await asyncio.shield(self._take_back(done))
            if left:
                raise ChangeError(f"{error}; these files could not be put back: {', '.join(left)}") from error
            raise

    async def _check_unchanged(self, path: str, planned: PlannedFile) -> None:
        if not await self._is_as_before(path, planned):
            shown = shown_path(self._sandbox, path)
            raise ChangeError(f"{shown} was changed in the meantime; read it again")

    async def _take_back(self, done: list[tuple[str, PlannedFile]]) -> list[str]:
        left: list[str] = []
        for path, planned in reversed(done):
            try:
                await self._put(path, planned.before, planned.mode)
            except FileNotFoundError:
                continue
            except OSError:
                if not await self._is_as_before(path, planned):
                    left.append(path)
        return left

    async def _is_as_before(self, path: str, planned: PlannedFile) -> bool:
        try:
            return await self._sandbox.read_file(path) == planned.before
        except OSError:
            return planned.before is None

    async def _put(self, path: str, data: bytes | None, mode: int | None) -> None:
        if data is None:
            await self._sandbox.remove_file(path)
        else:
            await self._sandbox.write_file(path, data, mode=mode)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work` even when cancelled: half-way it could still land after it was taken back."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def check_unchanged(sandbox: Sandbox, path: str, stat: FileStat | None, before: bytes | None) -> None:
    """Make sure that `path` is still what it was: `stat`, and `before` as far as that was read.

    Raises:
        ChangeError: it is not.
    """
    now = await regular_file(sandbox, path)
    same = (now is None) == (stat is None)
    if same and stat is not None and now is not None:
        if before is None:
            same = (now.size, now.mtime) == (stat.size, stat.mtime)
        else:
            same = now.size == len(before) and await sandbox.read_file(path) == before
    if not same:
        raise ChangeError(f"{shown_path(sandbox, path)} was changed in the meantime; read it again")


async def regular_file(sandbox: Sandbox, path: str) -> FileStat | None:
    """The stat of a file that may be written; None if there is none yet.

    Raises:
        ChangeError: a folder, device, pipe or socket stands there.
    """
    try:
        stat = await sandbox.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.is_dir:
        raise ChangeError(f"{shown_path(sandbox, path)} is a folder")
    if not stat.is_file:
        raise ChangeError(f"{shown_path(sandbox, path)} is {irregular_kind(stat)}")
    return stat


def shown_path(sandbox: Sandbox, path: str) -> str:
    """An absolute path as people write it: relative to the sandbox's cwd if it is inside."""
    cwd = sandbox.cwd.rstrip("/") + "/"
    if not path.startswith(cwd):  # the cwd may have been reached through a link
        cwd = sandbox.canonical(".").rstrip("/") + "/"
    return path[len(cwd) :] if path.startswith(cwd) else path


async def similar_names(sandbox: Sandbox, path: str, most: int = 5) -> list[str]:
    """Paths beside `path` with a name like its own; entries of the nearest folder there is."""
    import difflib

    folder, name = posixpath.split(path)
    try:
        names = [entry for entry, _ in await sandbox.list_dir(folder)]
    except OSError:
        return []
    lower = {entry.lower(): entry for entry in names}
    close = difflib.get_close_matches(name.lower(), lower, n=most, cutoff=0.6)
    stem = posixpath.splitext(name)[0].lower()
    within = [each for each in sorted(lower) if stem and each not in close and stem in each]
    return [shown_path(sandbox, posixpath.join(folder, lower[each])) for each in [*close, *within][:most]]
