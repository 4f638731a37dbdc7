"""Which commit a working folder stands at, asked in a way that runs nothing the repository brings along."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

from sandboxes.child_environment import child_environment
from trajectories.session_record import GitRecord

_OFF = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "safe.bareRepository=explicit")
"""For the one call that reads the repository's configuration; it has no use for any of these as it is."""
_QUIET = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1", "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat",
}  # fmt: skip
_SHA1_LENGTH = 40
TIMEOUT = 10.0
"""Seconds; on a file system where git is slower than that the state stays unknown."""


async def git_state(folder: str) -> GitRecord | None:
    """Commit and dirty flag (tracked files differ from the commit) of the repository round `folder`.

    None where there is no repository, no commit in it, or no git. The repository's own configuration could
    name programs to run (fsmonitor, filters, external diff), so the comparison is made with an empty one,
    and without the person's too: what that names would run on the repository's files.
    """
    if not any(os.path.lexists(place / ".git") for place in (Path(folder), *Path(folder).parents)):
        return None
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(TIMEOUT):
            found = await _git(
                folder,
                {},
                "rev-parse",
                "--show-toplevel",
                "--git-path",
                "objects",
                "--git-path",
                "index",
                "HEAD",
            )
            parts = found.splitlines() if found is not None else []
            if len(parts) == 4:
                top, objects, index, commit = parts
                with tempfile.TemporaryDirectory(prefix="hermes-git-") as empty:
                    return await _compare(folder, top, objects, index, commit, Path(empty))
    return None


async def _compare(
    folder: str, top: str, objects: str, index: str, commit: str, empty: Path
) -> GitRecord | None:
    """Look at the repository through a git folder of our own: its objects and index, nothing else of it."""
    (empty / "refs").mkdir()
    (empty / "HEAD").write_text(commit + "\n", encoding="ascii")
    if len(commit) != _SHA1_LENGTH:
        config = "[core]\n repositoryformatversion = 1\n[extensions]\n objectformat = sha256\n"
        (empty / "config").write_text(config, encoding="ascii")
    index_path = Path(folder, index)
    if index_path.exists() and not index_path.is_file():
        return None  # git would wait for a pipe
    for shared in index_path.parent.glob("sharedindex.*"):  # a split index has the rest of itself there
        (empty / shared.name).symlink_to(shared)
    borrowed = {
        "GIT_DIR": str(empty),
        "GIT_WORK_TREE": top,
        "GIT_OBJECT_DIRECTORY": os.path.join(folder, objects),
        "GIT_INDEX_FILE": str(index_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    changes = await _git(
        top, borrowed, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"
    )
    return None if changes is None else GitRecord(commit=commit, dirty=bool(changes))


async def _git(folder: str, environ: dict[str, str], *command: str) -> str | None:
    """What git prints; None if it fails."""
    process = await asyncio.create_subprocess_exec(
        "git", "--no-optional-locks", *_OFF, *command,
        cwd=folder,
        env={**child_environment(os.environ), **_QUIET, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    return out.decode("utf-8", "surrogateescape") if process.returncode == 0 else None
