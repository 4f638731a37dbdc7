"""File operations of the local sandbox. Errors are the OSErrors of `open`.

Paths are canonical: what `LocalSandbox.canonical` gave, and what was decided on. No link is followed on the
way, so that nobody can put another file in its place in between (`safety.paths.open_exact`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat as status_bits

from safety.paths import exact_folder, open_exact
from sandboxes.sandbox import FileStat


def stat_file(path: str) -> FileStat:
    """Facts on the file at `path`. Of a link: on what it leads to, or on itself if that is nothing."""
    with exact_folder(path) as (folder, name):
        try:
            return _facts(folder, name)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None


def read_part(path: str, offset: int, size: int | None) -> bytes:
    """Raises OSError too where all of what has no end, a device or a pipe, is asked for."""
    # Opening a pipe would wait for its other end.
    with open(open_exact(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if size is None and not status_bits.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        if offset:
            file.seek(offset)
        return file.read(-1 if size is None else size)


def replace_file(path: str, data: bytes, mode: int | None) -> None:
    """Write `data` beside the file and put it in its place; mode and owner are kept.

    Another name of the same file (a hard link) keeps the old content. Missing folders above it are made.
    What is no regular file (a device, a pipe) is written to.
    """
    with exact_folder(path, make=True) as (folder, name):
        try:
            before: os.stat_result | None = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            before = None
        if before is not None and not status_bits.S_ISREG(before.st_mode):
            with open(open_exact(path, os.O_WRONLY | os.O_NONBLOCK), "wb") as file:
                file.write(data)
            return
        if before is not None and not os.access(name, os.W_OK, dir_fd=folder):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        try:
            _replace(folder, name, data, before, mode)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None


def remove_file(path: str) -> None:
    """A link is removed itself, not what it leads to."""
    with exact_folder(path) as (folder, name):
        try:
            os.unlink(name, dir_fd=folder)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None


def list_folder(path: str) -> list[tuple[str, FileStat]]:
    """Names and facts, sorted by name."""
    listed = []
    folder = open_exact(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in sorted(os.listdir(folder)):
            with contextlib.suppress(FileNotFoundError):  # removed since
                listed.append((name, _facts(folder, name)))
    finally:
        os.close(folder)
    return listed


def _facts(folder: int, name: str) -> FileStat:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    is_link = status_bits.S_ISLNK(found.st_mode)
    if is_link:
        with contextlib.suppress(OSError):
            found = os.stat(name, dir_fd=folder)
    return FileStat(
        size=found.st_size,
        mode=status_bits.S_IMODE(found.st_mode),
        is_dir=status_bits.S_ISDIR(found.st_mode),
        is_file=status_bits.S_ISREG(found.st_mode),
        is_symlink=is_link,
        mtime=found.st_mtime,
    )


def _replace(folder: int, name: str, data: bytes, before: os.stat_result | None, mode: int | None) -> None:
    # A new file gets what the umask says; any other is nobody else's to read until it has its own mode.
    draft = f".{name[:50]}.{secrets.token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o666 if before is None and mode is None else 0o600, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            _keep_identity(descriptor, before, mode)
        os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        raise


def _keep_identity(descriptor: int, before: os.stat_result | None, mode: int | None) -> None:
    if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):  # only root may give files away
            os.fchown(descriptor, before.st_uid, before.st_gid)
    if mode is not None:
        os.fchmod(descriptor, mode)
    elif before is not None:
        os.fchmod(descriptor, status_bits.S_IMODE(before.st_mode))
