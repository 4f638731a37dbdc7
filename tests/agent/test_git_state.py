"""The state of the working folder's repository, asked without running what the repository brings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.git_state import git_state

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "file.txt").write_text("one\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def git(folder: Path, *command: str) -> str:
    done = subprocess.run([*GIT, *command], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


async def state(folder: Path) -> tuple[str, bool] | None:
    found = await git_state(str(folder))
    return None if found is None else (found.commit, found.dirty)


def in_loop(folder: Path) -> tuple[str, bool] | None:
    import asyncio

    return asyncio.run(state(folder))


def test_a_clean_repository_has_its_commit(repository: Path) -> None:
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), False)


def test_a_changed_tracked_file_makes_it_dirty_and_an_untracked_one_does_not(repository: Path) -> None:
    (repository / "new.txt").write_text("x")
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), False)
    (repository / "file.txt").write_text("two\n")
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), True)


def test_a_staged_change_makes_it_dirty(repository: Path) -> None:
    (repository / "new.txt").write_text("x")
    git(repository, "add", "new.txt")
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), True)


def test_it_works_from_a_folder_inside_and_from_a_second_worktree(repository: Path, tmp_path: Path) -> None:
    (repository / "sub").mkdir()
    assert in_loop(repository / "sub") == (git(repository, "rev-parse", "HEAD"), False)
    git(repository, "worktree", "add", "-q", str(tmp_path / "second"), "-b", "other")
    (tmp_path / "second" / "file.txt").write_text("changed\n")
    assert in_loop(tmp_path / "second") == (git(repository, "rev-parse", "HEAD"), True)
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), False)


def test_no_repository_and_no_commit_have_no_state(tmp_path: Path) -> None:
    assert in_loop(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert in_loop(tmp_path) is None


def test_nothing_that_the_repository_configures_is_run(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/ran\ncat\n")
    trap.chmod(0o755)
    (repository / ".gitattributes").write_text("*.txt filter=evil diff=evil\n")
    for key in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.process",
        "diff.evil.command",
        "core.pager",
    ):
        git(repository, "config", key, str(trap))
    hooks = repository / ".git" / "hooks"
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    (repository / "file.txt").write_text("two\n")
    os.utime(repository / "file.txt", (1, 1))
    found = in_loop(repository)
    assert found is not None
    assert found[1]
    assert not (tmp_path / "ran").exists()
