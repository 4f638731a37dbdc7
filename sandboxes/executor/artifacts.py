"""Files of a slot's workspace, read from outside: the task's processes may hang, be gone, or lay traps.

Every folder on the way is opened relative to the one above it and no link is followed, so nothing outside of
the workspace can be reached, whatever is swapped meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandboxes.executor.bubblewrap import WORKSPACE

READ_LIMIT = 8 * 1024 * 1024
ARCHIVE_LIMIT = 16 * 1024 * 1024
"""Bytes of content that one answer holds at most."""
ENTRIES = 10_000
DEPTH = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read(work: Path, path: str, offset: int = 0, size: int = READ_LIMIT) -> dict[str, Any]:
    """{"content": base64, "size": of the whole file}. Raises OSError: also where it is no regular file."""
    with _opened(work, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC) as descriptor:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        with open(os.dup(descriptor), "rb") as file:
            file.seek(max(offset, 0))
            content = file.read(max(0, min(size, READ_LIMIT)))
        return {"content": base64.b64encode(content).decode(), "size": facts.st_size}


def listing(work: Path, path: str = ".") -> dict[str, Any]:
    """{"entries": [{"path", "type", "size", "mode"}], "truncated"}, folders and all below them, by name."""
    entries: list[dict[str, Any]] = []
    with _opened(work, path, _FOLDER) as folder:
        for name, facts, _ in _walk(folder, ""):
            if len(entries) >= ENTRIES:
                return {"entries": entries, "truncated": True}
            entries.append(
                {
                    "path": name,
                    "type": _kind(facts.st_mode),
                    "size": facts.st_size,
                    "mode": facts.st_mode & 0o7777,
                }
            )
    return {"entries": entries, "truncated": False}


def archive(work: Path, path: str = ".") -> dict[str, Any]:
    """{"archive": base64 of a tar.gz, "left_out": [paths]}: folders, files, and links as links.

    Raises OSError (EFBIG) where the files hold more than ARCHIVE_LIMIT bytes.
    """
    packed = io.BytesIO()
    left_out, total = [], 0
    with _opened(work, path, _FOLDER) as folder, tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, facts, parent in _walk(folder, ""):
            member = tarfile.TarInfo(name)
            member.mode, member.mtime = facts.st_mode & 0o777, facts.st_mtime
            if stat.S_ISDIR(facts.st_mode):
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif stat.S_ISLNK(facts.st_mode):
                member.type, member.linkname = (
                    tarfile.SYMTYPE,
                    os.readlink(os.path.basename(name), dir_fd=parent),
                )
                tar.addfile(member)
            elif (
                stat.S_ISREG(facts.st_mode)
                and (content := _content(name, parent, ARCHIVE_LIMIT - total)) is not None
            ):
                member.size = len(content)
                total += len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                left_out.append(name)
    return {"archive": base64.b64encode(packed.getvalue()).decode(), "left_out": left_out}


def _content(name: str, parent: int, room: int) -> bytes | None:
    """None for a file that is closed to us or was swapped for something else."""
    try:
        descriptor = os.open(
            os.path.basename(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent
        )
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = file.read(room + 1)
    if len(content) > room:
        raise OSError(errno.EFBIG, f"more than {ARCHIVE_LIMIT} bytes; ask for a smaller folder")
    return content


def _walk(folder: int, prefix: str, depth: int = 0) -> Iterator[tuple[str, os.stat_result, int]]:
    if depth > DEPTH:
        raise OSError(errno.ENAMETOOLONG, f"folders more than {DEPTH} deep")
    for name in sorted(os.listdir(folder)):
        try:
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            yield f"{prefix}{name}", facts, folder
            if not stat.S_ISDIR(facts.st_mode):
                continue
            below = os.open(name, _FOLDER, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # changed meanwhile, or closed to us
        try:
            yield from _walk(below, f"{prefix}{name}/", depth + 1)
        finally:
            os.close(below)


@contextlib.contextmanager
def _opened(work: Path, path: str, flags: int) -> Iterator[int]:
    """A path relative to the workspace, or absolute as a command in the slot would say it."""
    if path == WORKSPACE or path.startswith(f"{WORKSPACE}/"):
        path = path[len(WORKSPACE) :].lstrip("/") or "."
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise OSError(errno.EACCES, f"Only what lies in {WORKSPACE} can be fetched")
    *folders, last = [part for part in path.split("/") if part not in ("", ".")] or ["."]
    descriptor = os.open(work, _FOLDER)
    try:
        for part in folders:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        found = os.open(last, flags, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    try:
        yield found
    finally:
        os.close(found)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "other"
