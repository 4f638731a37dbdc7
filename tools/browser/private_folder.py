"""The folder of one browser: its profile, home and sockets. It goes with the browser, also after a crash."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sandboxes.leftovers import owner_is_dead, owner_label
from sandboxes.spill_file import private_folder

_PREFIX = "browser-"
_OWNER = "owner"
_LONGEST_SOCKET = 103
"""Bytes of a Unix socket's path: `sun_path` of macOS holds 104 with its zero."""
REMOVE = 'for _ in 1 2 3 4 5; do sleep 1; rm -rf -- "$1"; [ -e "$1" ] || exit 0; done'
"""For bash, once hermes is gone: what still writes there is ended in the same moment."""


def make_folder() -> Path:
    """A new folder for this account's eyes alone, short enough for a socket in it. Raises OSError."""
    parent = private_folder()
    if len(os.fsencode(parent)) > _LONGEST_SOCKET - 30 and os.access("/tmp", os.W_OK):
        path = Path(tempfile.mkdtemp(prefix="hermes-", dir="/tmp"))
    else:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    (path / _OWNER).write_text(owner_label(), encoding="ascii")
    for name in ("home", "profile", "s"):
        (path / name).mkdir(mode=0o700)
    return path


def remove_folder(path: Path) -> None:
    """What cannot be removed stays until the next hermes finds it."""
    shutil.rmtree(path, ignore_errors=True)


def remove_leftovers() -> None:
    """Folders of browsers whose hermes is dead: after a power cut nobody removed them."""
    for path in private_folder().glob(f"{_PREFIX}*"):
        try:
            label = (path / _OWNER).read_text(encoding="ascii")
        except (OSError, ValueError):
            continue  # it is being made
        if owner_is_dead(label):
            remove_folder(path)
