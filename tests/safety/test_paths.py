"""What a path names, what lies in what, and opening exactly what was decided on."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest

from safety.paths import (
    acts_by_itself,
    canonical,
    exact_folder,
    existing_canonical,
    is_within,
    open_exact,
    touches,
    touches_any,
)


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(tmp_path)


def test_links_are_resolved_as_far_as_they_exist_and_the_rest_is_kept(tmp_path: Path, base: str) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/deep")
    (tmp_path / "lost").symlink_to("nowhere/yet")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert canonical(f"{base}/link/new/ünïcode/e\u0301") == f"{base}/real/deep/new/ünïcode/e\u0301"
    assert canonical(f"{base}/link/../x") == f"{base}/real/x"
    assert canonical(f"{base}//link///.//x/") == f"{base}/real/deep/x"
    assert canonical(f"/{base}/x") == f"{base}/x"
    assert canonical(f"{base}/lost") == f"{base}/nowhere/yet"
    assert canonical(f"{base}/a/x").startswith(base)
    assert canonical("/../..") == "/"


def test_a_last_link_to_nowhere_stays_where_only_what_exists_is_meant(tmp_path: Path, base: str) -> None:
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "there").symlink_to(".")
    assert existing_canonical(f"{base}/there/lost") == f"{base}/lost"
    assert existing_canonical(f"{base}/circle") == f"{base}/circle"
    assert existing_canonical(f"{base}/there") == base
    assert existing_canonical(f"{base}/new") == f"{base}/new"


def test_a_neighbour_with_a_longer_name_is_not_inside() -> None:
    assert is_within("/w/proj", "/w/proj") and is_within("/w/proj/a", "/w/proj/") and is_within("/a", "/")
    for path in ("/w/proj-evil/a", "/w/proj.bak", "/w", "/w/PROJ/a", "/w/pro"):
        assert not is_within(path, "/w/proj")


def test_what_is_protected_is_found_under_another_spelling_and_another_mount(
    tmp_path: Path, base: str
) -> None:
    (tmp_path / "own/deep").mkdir(parents=True)
    (tmp_path / "other").symlink_to("own")  # stands for a second mount: another name, the same folder
    assert touches(f"{base}/own", f"{base}/own") and touches(f"{base}/own/x/y", f"{base}/own")
    assert touches(f"{base}/OWN/x", f"{base}/own")
    assert touches(f"{base}/other/deep/new", f"{base}/own")
    assert touches(f"{base}/Later/x", f"{base}/later")  # it does not exist yet
    assert not touches(f"{base}/own-not/x", f"{base}/own")
    assert not touches(base, f"{base}/own")
    assert touches_any("/proc/12/task/3/environ", ["/x", "/proc/*/environ"])
    assert not touches_any("/proc/cpuinfo", ["/x", "/proc/*/environ"])


@pytest.mark.parametrize(
    "path",
    [
        "/w/.git", "/w/.git/hooks/pre-commit", "/w/a/.GIT/config", "/w/sub/.git", "/w/.hermes/config.yaml",
        "/h/.bashrc", "/h/.config/fish/config.fish", "/h/.Config/Fish/conf.d/x", "/w/.vscode/tasks.json",
        "/w/.envrc", "/w/.husky/pre-push", "/h/.ssh/config", "/h/.ssh/authorized_keys", "/var/spool/cron/me",
        "/etc/cron.d/x", "/etc/profile.d/x.sh", "/h/.config/systemd/user/x.service",
        "/h/.config/autostart/x.desktop", "/h/.npmrc", "/h/.netrc", "/h/.local/bin/ls", "/proc/self/mem",
        "/w/line\nbreak/.git/config",
    ],
)  # fmt: skip
def test_what_runs_or_gives_rights_unasked_is_known_before_it_exists(path: str) -> None:
    assert acts_by_itself(path)


@pytest.mark.parametrize(
    "path",
    [
        "/w/.gitignore", "/w/.gitattributes", "/w/.github/workflows/ci.yml", "/w/git/config", "/w/x.git.txt",
        "/w/config", "/w/hooks/pre-commit", "/w/src/head/index.ts", "/w/objects/a", "/w/.env.example",
        "/w/profile", "/w/.config/app.toml", "/w/fish/config.fish", "/w/bin/run", "/etc/hosts",
        "/w/AGENTS.md", "/w/.ssh.md", "/w/Makefile",
    ],
)  # fmt: skip
def test_ordinary_files_are_ordinary(path: str) -> None:
    assert not acts_by_itself(path)


def test_the_file_that_would_make_a_folder_a_repository_is_not_ordinary(tmp_path: Path, base: str) -> None:
    assert not acts_by_itself(f"{base}/HEAD")
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    assert not acts_by_itself(f"{base}/config")
    assert acts_by_itself(f"{base}/objects/x") and acts_by_itself(f"{base}/commondir")
    (tmp_path / "objects").mkdir()
    for name in ("config", "hooks/post-checkout", "refs/heads/main"):
        assert acts_by_itself(f"{base}/{name}")
    (tmp_path / "HEAD").unlink()
    assert acts_by_itself(f"{base}/HEAD") and not acts_by_itself(f"{base}/config")


def test_what_lies_on_the_path_of_programs_is_not_ordinary(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not acts_by_itself(f"{base}/venv/bin/ls")
    (tmp_path / "link").symlink_to(tmp_path / "venv")
    monkeypatch.setenv("PATH", f"{base}/link/bin:{os.environ['PATH']}")
    assert acts_by_itself(f"{base}/venv/bin/ls")
    assert not acts_by_itself(f"{base}/venv/lib/ls")
    assert not acts_by_itself("/usr/bin/new")


def test_the_home_is_the_persons_own(home: Path) -> None:
    assert acts_by_itself(f"{home}/bin/ls")
    assert not acts_by_itself(f"{home}/src/bin/ls")


def test_exactly_the_file_is_opened_and_nothing_through_a_link(tmp_path: Path, base: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("x")
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "d/l").symlink_to("f")
    with open(open_exact(f"{base}/d/f", os.O_RDONLY)) as file:
        assert file.read() == "x"
    for path, name in ((f"{base}/link/f", "link"), (f"{base}/d/l", "l"), (f"{base}/link/no/f", "link")):
        with pytest.raises(OSError, match=f"{name} is a link now: changed since it was checked") as caught:
            os.close(open_exact(path, os.O_RDWR | os.O_CREAT))
        assert caught.value.filename == path
    assert sorted(os.listdir(tmp_path / "d")) == ["f", "l"]


def test_the_canonical_path_names_the_same_file_without_any_link(tmp_path: Path, base: str) -> None:
    names = random.Random(4)
    folders = [tmp_path]
    for number in range(12):
        folders.append(names.choice(folders) / f"d{number}")
        folders[-1].mkdir()
        (folders[-1] / "f").write_text(str(number))
    for number in range(25):
        target = os.path.relpath(names.choice(folders), names.choice(folders))
        (names.choice(folders) / f"l{number}").symlink_to(target)
    parts = [*(f"d{n}" for n in range(12)), *(f"l{n}" for n in range(25)), "..", ".", "", "f"]
    found = 0
    for _ in range(4000):
        path = f"{base}/{'/'.join(names.choices(parts, k=names.randint(1, 6)))}"
        exact = existing_canonical(path)
        assert existing_canonical(exact) == exact
        if not os.path.exists(path):
            continue
        found += 1
        handle = open_exact(exact, os.O_RDONLY)
        assert os.path.samestat(os.fstat(handle), os.stat(path))
        os.close(handle)
    assert found > 100


@pytest.mark.parametrize("path", ["relative", "", "/a/../b", ".."])
def test_a_path_that_is_not_canonical_is_not_opened(path: str) -> None:
    with pytest.raises(OSError, match="Not a canonical path"):
        open_exact(path, os.O_RDONLY)


def test_errors_name_the_whole_path(tmp_path: Path, base: str) -> None:
    (tmp_path / "file").write_text("x")
    for path, error in (
        (f"{base}/no/such/file", FileNotFoundError),
        (f"{base}/file/x", NotADirectoryError),
        (f"{base}/file/x/y", NotADirectoryError),
    ):
        with pytest.raises(error) as caught:
            open_exact(path, os.O_RDONLY)
        assert caught.value.filename == path


def test_missing_folders_are_made_on_the_way_and_never_through_a_link(tmp_path: Path, base: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    before = os.umask(0o027)
    try:
        with exact_folder(f"{base}/new/deep/f", make=True) as (folder, name):
            assert name == "f"
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    finally:
        os.umask(before)
    assert (tmp_path / "new/deep/f").exists()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o750
    with pytest.raises(OSError, match="changed"), exact_folder(f"{base}/link/new/f", make=True):
        pass
    assert not os.listdir(tmp_path / "elsewhere")


def test_a_folder_once_opened_stays_the_same_whatever_its_name_leads_to(tmp_path: Path, base: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with exact_folder(f"{base}/d/f") as (folder, name):
        (tmp_path / "d").rename(tmp_path / "away")
        (tmp_path / "d").symlink_to("elsewhere")
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    assert (tmp_path / "away/f").exists()
    assert not os.listdir(tmp_path / "elsewhere")


def test_no_descriptor_is_left_open(tmp_path: Path, base: str) -> None:
    before = len(os.listdir("/dev/fd"))
    for path in (f"{base}/no/f", f"{base}/f", "/", base):
        for _ in range(3):
            try:
                os.close(open_exact(path, os.O_RDONLY))
            except FileNotFoundError:
                continue
    assert len(os.listdir("/dev/fd")) == before
