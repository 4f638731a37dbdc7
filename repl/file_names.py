"""The files of a folder, without what its .gitignore files leave out. Runs no program."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator

from tools.files.ignore_rules import IgnoreFile, is_ignored, parse_ignore_file

MOST_FILES = 20_000
MOST_SECONDS = 0.5
_MOST_RULE_BYTES = 64 << 10
NEVER = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache"}
)


def file_names(folder: str) -> list[str]:
    """Paths relative to `folder`, folders end in "/"; as many as can be found within the bounds above."""
    names: list[str] = []
    for name in _walk(folder, "", (), time.monotonic() + MOST_SECONDS):
        names.append(name)
        if len(names) >= MOST_FILES:
            break
    return names


def _walk(root: str, inside: str, ignoring: tuple[IgnoreFile, ...], deadline: float) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(os.path.join(root, inside)), key=lambda entry: entry.name)
    except OSError:
        return
    if any(entry.name == ".gitignore" for entry in entries):
        ignoring = (_read_rules(os.path.join(root, inside)), *ignoring)
    folders = []
    for entry in entries:
        if time.monotonic() > deadline:
            return
        is_folder = entry.is_dir(follow_symlinks=False)
        name = inside + entry.name + ("/" if is_folder else "")
        if entry.name in NEVER or is_ignored(ignoring, os.path.join(root, inside, entry.name), is_folder):
            continue
        yield name
        if is_folder:
            folders.append(name)
    for name in folders:
        yield from _walk(root, name, ignoring, deadline)


def _read_rules(folder: str) -> IgnoreFile:
    text = b""
    try:
        # A pipe by that name must keep nobody waiting, nor a link to a file without end.
        with open(os.path.join(folder, ".gitignore"), "rb", opener=_at_once) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                text = file.read(_MOST_RULE_BYTES)
    except OSError:
        text = b""
    return parse_ignore_file(folder.rstrip("/"), text.decode("utf-8", "replace"))


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
