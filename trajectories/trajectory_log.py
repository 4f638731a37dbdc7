"""`logs/trajectories.jsonl`: the row of every session that closed.

A session that is resumed and closed again adds a second row of the same id; readers take the last.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from configuration.home import make_private_folder
from trajectories.row_line import row_line
from trajectories.session_load import Session
from trajectories.sharegpt import sharegpt_row

if TYPE_CHECKING:
    from safety.redact import Redactor


def append_trajectory(session: Session, logs_dir: Path, redactor: Redactor) -> str:
    """Append the row of `session`, if it has one. Returns "" or, in one line, why that was not possible."""
    from trajectories.preparing import prepare

    row = sharegpt_row(prepare(session, redactor=redactor))
    if row is None:
        return ""
    path = logs_dir / "trajectories.jsonl"
    line = row_line(row)
    try:
        make_private_folder(logs_dir)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            _append(fd, line)
        finally:
            os.close(fd)
    except OSError as error:
        return f"the trajectory of {session.path.stem} was not written: {error.strerror} ({path})"
    return ""


def _append(fd: int, line: bytes) -> None:
    """One write; where only a part fits, none of it stays."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        line = b"\n" + line
    data = memoryview(line)
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        os.ftruncate(fd, size)
        raise
