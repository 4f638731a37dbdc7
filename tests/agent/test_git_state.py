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


def test_a_split_index_is_read_whole(repository: Path) -> None:
    git(repository, "update-index", "--split-index")
    (repository / "second.txt").write_text("x\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    assert list((repository / ".git").glob("sharedindex.*"))
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), False)
    (repository / "file.txt").write_text("two\n")
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), True)


def test_a_repository_of_sha256_has_a_state(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    (tmp_path / "file.txt").write_text("one\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert len(head) == 64
    assert in_loop(tmp_path) == (head, False)
    (tmp_path / "file.txt").write_text("two\n")
    assert in_loop(tmp_path) == (head, True)


def test_a_sparse_index_is_read(repository: Path) -> None:
    for name in ("a", "b"):
        (repository / name).mkdir()
        (repository / name / "x.txt").write_text("x\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    git(repository, "sparse-checkout", "set", "--cone", "--sparse-index", "a")
    assert not (repository / "b").exists()
    assert in_loop(repository) == (git(repository, "rev-parse", "HEAD"), False)


def test_an_index_that_is_a_pipe_keeps_nobody_waiting(repository: Path) -> None:
    (repository / ".git/index").unlink()
    os.mkfifo(repository / ".git/index")
    assert in_loop(repository) is None


TRAPS = (
    "core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "core.askPass",
    "core.gitProxy", "core.alternateRefsCommand", "sequence.editor", "diff.external",
    "diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge",
    "filter.evil.process", "merge.evil.driver", "gpg.program", "pager.status", "pager.rev-parse",
    "credential.helper", "uploadpack.packObjectsHook", "submodule.sub.update", "trailer.x.command",
    "interactive.diffFilter", "browser.x.cmd", "man.x.cmd",
)  # fmt: skip
"""Settings whose value git runs."""


def test_nothing_that_the_repository_configures_is_run(repository: Path, tmp_path: Path) -> None:
    trap = trap_in(tmp_path)
    set_traps(repository / ".git/config", trap)
    (repository / ".git/more").write_text(f"[core]\n\tfsmonitor = {trap}\n")
    git_config = repository / ".git/config"
    git_config.write_text(git_config.read_text() + "[include]\n\tpath = more\n")
    hooks = repository / ".git" / "hooks"
    for name in (
        "post-index-change", "fsmonitor-watchman", "reference-transaction", "query-watchman", "post-checkout",
    ):  # fmt: skip
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    provoke(repository)
    found = in_loop(repository)
    assert found is not None
    assert found[1]
    assert not (tmp_path / "ran").exists()


def test_nothing_that_the_person_configures_is_run_on_the_repositorys_files(
    repository: Path, home: Path, tmp_path: Path
) -> None:
    set_traps(home / ".gitconfig", trap_in(tmp_path))
    provoke(repository)
    found = in_loop(repository)
    assert found is not None
    assert not (tmp_path / "ran").exists()


def test_a_program_called_git_in_the_folder_is_not_run(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "git").write_bytes(trap_in(tmp_path).read_bytes())
    (repository / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    assert in_loop(repository) is not None
    assert not (tmp_path / "ran").exists()


def trap_in(folder: Path) -> Path:
    trap = folder / "trap"
    trap.write_text(f"#!/bin/sh\necho ran >> '{folder}/ran'\ncat\n")
    trap.chmod(0o755)
    return trap


def set_traps(config: Path, trap: Path) -> None:
    for key in TRAPS:
        subprocess.run(["git", "config", "-f", str(config), key, str(trap)], check=True)


def provoke(repository: Path) -> None:
    """Give git every reason to run a filter, a diff program or the monitor."""
    (repository / ".gitattributes").write_text("*.txt filter=evil diff=evil merge=evil\n")
    (repository / "file.txt").write_text("two\n")
    os.utime(repository / "file.txt", (1, 1))
