"""A repository whose settings would start programs: git reads in it only if asked, unless it is trusted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.security.commands.workplace import decided, gate_for, make_project

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")
READING = ("git status", "git diff", "git log -p", "git show", "git blame src/app.py", "git -C src status")


@pytest.fixture
def project(home: Path) -> Path:
    return make_project(home / "project")


def verdicts(project: Path, home: Path, *, trusted: bool = False) -> set[str]:
    gate = gate_for(project, home, trusted=trusted)
    return {decided(gate, command).verdict for command in READING}


def test_a_usual_repository_may_be_looked_at(project: Path, home: Path) -> None:
    for key, value in (
        ("remote.origin.url", "https://host/x.git"),
        ("branch.main.remote", "origin"),
        ("user.name", "A B"),
    ):
        subprocess.run(["git", "-C", str(project), "config", key, value], check=True)
    assert verdicts(project, home) == {"allow"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.fsmonitor", "./evil"),
        ("core.pager", "./evil"),
        ("pager.log", "./evil"),
        ("core.hooksPath", "."),
        ("diff.external", "./evil"),
        ("diff.x.textconv", "./evil"),
        ("filter.x.clean", "./evil"),
        ("filter.x.process", "./evil"),
        ("gpg.program", "./evil"),
        ("log.showSignature", "true"),
        ("include.path", "../evil"),
        ("includeIf.gitdir:/.path", "x"),
        ("core.worktree", "/"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", "./evil"),
        ("alias.st", "!evil"),
        ("remote.origin.url", "ext::sh -c evil"),
        ("extensions.worktreeConfig", "true"),
        ("core.askPass", "./evil"),
        ("core.sshCommand", "./evil"),
        ("credential.helper", "!evil"),
        ("diff.x.command", "./evil"),
        ("extensions.partialClone", "origin"),
        ("core.editor", "x"),
        ("core.attributesFile", "x"),
    ],
)
def test_a_setting_that_could_start_a_program_is_asked_about(
    project: Path, home: Path, key: str, value: str
) -> None:
    subprocess.run(["git", "-C", str(project), "config", key, value], check=True)
    assert verdicts(project, home) == {"ask"}
    assert verdicts(project, home, trusted=True) == {"allow"}


def _hook(git: Path) -> None:
    (git / "hooks").mkdir(exist_ok=True)
    (git / "hooks" / "post-index-change").write_text("#!/bin/sh\n")


def _odd_line(git: Path) -> None:
    (git / "config").write_text("[core]\n\tbare = false\n[core] fsmonitor = ./evil\n")


def _continued(git: Path) -> None:
    (git / "config").write_text("[user]\n\tname = a \\\n[core]\n\tfsmonitor = x\n")


def _binary(git: Path) -> None:
    (git / "config").write_bytes(b"[core]\n\xff")


def _submodule(git: Path) -> None:
    (git / "index").write_bytes(b"DIRC\x00\x00\x00\x02" + b"\x00" * 20 + b"\x00\x00\xe0\x00" + b"\x00" * 40)


def _in_pieces(git: Path) -> None:
    (git / "sharedindex.0123").write_bytes(b"")


def _elsewhere(git: Path) -> None:
    git.rename(git.parent / "moved")
    (git.parent / ".git").write_text("gitdir: moved\n")


def _link(git: Path) -> None:
    git.rename(git.parent / "moved")
    git.symlink_to("moved")


def _modules(git: Path) -> None:
    (git / "modules").mkdir()


def _unreadable(git: Path) -> None:
    (git / "config").unlink()
    (git / "config").mkdir()


@pytest.mark.parametrize(
    "change",
    [_hook, _odd_line, _continued, _binary, _submodule, _in_pieces, _elsewhere, _link, _modules, _unreadable],
)
def test_a_repository_of_an_unusual_build_is_asked_about(
    project: Path, home: Path, change: Callable[[Path], None]
) -> None:
    change(project / ".git")
    assert verdicts(project, home) == {"ask"}


def test_a_repository_hidden_in_a_folder_is_looked_at_where_git_would_find_it(
    project: Path, home: Path
) -> None:
    bare = project / "src" / "fixture"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    with open(bare / "config", "a") as file:
        file.write("[core]\n\tfsmonitor = ./evil\n")
    gate = gate_for(project, home, trusted=False)
    assert decided(gate, "git status").verdict == "allow"
    assert decided(gate, "cd src/fixture && git status").verdict == "ask"
    assert decided(gate, "git -C src/fixture status").verdict == "ask"


def test_an_empty_git_folder_does_not_hide_the_repository_above(project: Path, home: Path) -> None:
    subprocess.run(["git", "-C", str(project), "config", "core.fsmonitor", "./evil"], check=True)
    (project / "src" / ".git").mkdir()
    assert decided(gate_for(project, home, trusted=False), "git -C src status").verdict == "ask"


def test_a_chain_of_tools_that_the_folder_brings_is_asked_about(project: Path, home: Path) -> None:
    gate = gate_for(project, home, trusted=False)
    assert decided(gate, "cargo --version").verdict == "allow"
    (project / "rust-toolchain.toml").write_text('[toolchain]\npath = "evil"\n')
    assert decided(gate, "cargo --version").verdict == "ask"


def test_a_file_named_like_an_option_is_seen_through_a_glob(project: Path, home: Path) -> None:
    gate = gate_for(project, home, trusted=True)
    assert decided(gate, "sort *.csv").verdict == "allow"
    (project / "--output=x.csv").write_text("")
    (project / "-o.csv").write_text("")
    assert decided(gate, "sort *.csv").verdict == "ask"
    assert decided(gate, "uniq *.csv").verdict == "ask"
    assert decided(gate, "sort ./*.csv").verdict == "allow"


def test_a_link_that_leads_out_is_seen_through_a_glob_and_a_name(project: Path, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_rsa").write_text("key")
    (project / "harmless.txt").symlink_to(home / ".ssh" / "id_rsa")
    (project / "up").symlink_to(home)
    gate = gate_for(project, home, trusted=True)
    for command in (
        "cat harmless.txt",
        "cat *.txt",
        "cat up/.ssh/id_rsa",
        "cd up && cat x",
        "head h*",
        "ls up/.ssh",
    ):
        assert decided(gate, command).verdict == "ask", command
    assert decided(gate, "cat up/../README.md").verdict == "ask"
