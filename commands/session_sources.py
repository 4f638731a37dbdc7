"""What people name when they mean sessions: an id, a title, `latest`, a session file, a folder of a run."""

from __future__ import annotations

from pathlib import Path

from corpus.reading import is_session_file
from trajectories.session_list import find_session, session_files


def is_source(name: str) -> bool:
    """True if there is a session file or a folder with sessions at the path `name`."""
    path = Path(name)
    if path.is_dir():
        return _folder_of(path) is not None
    return path.suffix == ".jsonl" and is_session_file(path)


def sessions_named(folder: Path, name: str) -> list[Path]:
    """The session files that `name` stands for; a name that is no path is looked for in `folder`.

    Of a folder all are given, oldest first.

    Raises:
        trajectories.session_load.SessionError: there is none, or several go by that name.
    """
    if not is_source(name):
        return [find_session(folder, name)]
    inside = _folder_of(Path(name))
    return sorted(session_files(inside)) if inside else [Path(name)]


def _folder_of(path: Path) -> Path | None:
    """`path/sessions`, where a run and the logs keep them, or `path` itself if it is such a folder."""
    if (path / "sessions").is_dir():
        return path / "sessions"
    return path if path.is_dir() and any(map(is_session_file, path.glob("*.jsonl"))) else None
