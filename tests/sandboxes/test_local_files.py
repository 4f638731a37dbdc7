"""File operations of the local sandbox."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sandboxes.local import LocalSandbox
from sandboxes.sandbox import ExecResult

Do = Callable[..., ExecResult]


@pytest.fixture
def folder(sandbox: LocalSandbox) -> Path:
    return Path(sandbox.cwd)


def test_paths_follow_the_session(do: Do, sandbox: LocalSandbox, home: Path) -> None:
    do("cd /usr")
    assert sandbox.resolve("lib/../bin") == "/usr/bin"
    assert sandbox.resolve("/etc/x") == "/etc/x"
    assert sandbox.resolve("~/a") == str(home / "a")
    assert sandbox.resolve("~root").startswith("/")


def test_bytes_come_back_as_they_were_written(sandbox: LocalSandbox, folder: Path) -> None:
    data = bytes(range(256)) * 8192  # 2 MiB, so the slow way too
    asyncio.run(sandbox.write_file("new/deeper/file", data))
    assert (folder / "new/deeper/file").read_bytes() == data
    assert asyncio.run(sandbox.read_file("new/deeper/file")) == data
    assert asyncio.run(sandbox.read_file("new/deeper/file", offset=255, size=2)) == b"\xff\x00"


def test_writing_replaces_the_file_and_keeps_its_mode(sandbox: LocalSandbox, folder: Path) -> None:
    script = folder / "run"
    script.write_text("old")
    script.chmod(0o755)
    number = script.stat().st_ino
    with script.open() as reader:
        asyncio.run(sandbox.write_file("run", b"new"))
        assert reader.read() == "old"
    assert (script.read_text(), stat.S_IMODE(script.stat().st_mode)) == ("new", 0o755)
    assert script.stat().st_ino != number
    asyncio.run(sandbox.write_file("run", b"", mode=0o600))
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["run"]


def test_a_new_file_gets_the_mode_the_umask_says(sandbox: LocalSandbox, folder: Path) -> None:
    before = os.umask(0o027)
    try:
        asyncio.run(sandbox.write_file("new", b"x"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o640


def test_only_the_canonical_path_leads_through_a_link(sandbox: LocalSandbox, folder: Path) -> None:
    (folder / "real").write_text("old")
    (folder / "link").symlink_to("real")
    (folder / "dangling").symlink_to("later")
    for path in ("link", sandbox.canonical("dangling")):
        with pytest.raises(OSError, match="changed since it was checked"):
            asyncio.run(sandbox.write_file(path, b"new"))
    with pytest.raises(OSError, match="changed since it was checked"):
        asyncio.run(sandbox.read_file("link"))
    asyncio.run(sandbox.write_file(sandbox.canonical("link"), b"new"))
    assert (folder / "link").is_symlink() and (folder / "real").read_text() == "new"
    assert not (folder / "later").exists()


def test_a_device_is_written_to_and_not_replaced(sandbox: LocalSandbox) -> None:
    asyncio.run(sandbox.write_file("/dev/null", b"x"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_what_has_no_end_is_refused_and_nothing_waits_for_a_pipe(sandbox: LocalSandbox, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for path in ("pipe", "/dev/zero"):
        with pytest.raises(OSError, match="Not a regular file"):
            asyncio.run(sandbox.read_file(path))
    with pytest.raises(OSError, match="No such device"):
        asyncio.run(sandbox.write_file("pipe", b"x"))
    assert asyncio.run(sandbox.read_file("/dev/zero", size=3)) == b"\0\0\0"


def test_facts_on_files(sandbox: LocalSandbox, folder: Path) -> None:
    (folder / "file").write_text("four")
    (folder / "link").symlink_to("file")
    (folder / "broken").symlink_to("nowhere")
    (folder / "sub").mkdir()
    listed = dict(asyncio.run(sandbox.list_dir(".")))
    assert list(listed) == ["broken", "file", "link", "sub"]
    assert (listed["file"].size, listed["file"].is_file, listed["file"].is_symlink) == (4, True, False)
    assert (listed["link"].size, listed["link"].is_file, listed["link"].is_symlink) == (4, True, True)
    assert (listed["broken"].is_file, listed["broken"].is_symlink) == (False, True)
    assert listed["sub"].is_dir
    assert asyncio.run(sandbox.stat("file")) == listed["file"]


def test_errors_are_those_of_open(sandbox: LocalSandbox, folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(sandbox.read_file("none"))
    with pytest.raises(FileNotFoundError):
        asyncio.run(sandbox.stat("none"))
    with pytest.raises(FileNotFoundError):
        asyncio.run(sandbox.remove_file("none"))
    with pytest.raises(IsADirectoryError):
        asyncio.run(sandbox.write_file(".", b""))
    (folder / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        asyncio.run(sandbox.list_dir("file"))
    asyncio.run(sandbox.remove_file("file"))
    assert not list(folder.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_write_protected_file_is_not_replaced(sandbox: LocalSandbox, folder: Path) -> None:
    (folder / "file").write_text("old")
    (folder / "file").chmod(0o444)
    with pytest.raises(PermissionError):
        asyncio.run(sandbox.write_file("file", b"new"))
