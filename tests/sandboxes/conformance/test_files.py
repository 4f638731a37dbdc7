"""Files are read and written as they are: any size, any bytes, any name."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.sandboxes.conformance.conftest import Bench

NAMES = ["plain", "with space", "ümläut", "quote'\"$x`", "-dash", "new\nline", "*", ".hidden"]


def test_any_bytes_survive(bench: Bench) -> None:
    data = os.urandom(100_000) + b"\0\r\n\xff\xfe"
    bench.write("bytes.bin", data)
    assert bench.read("bytes.bin") == data
    assert bench.text("wc -c < bytes.bin") == f"{len(data)}\n"


def test_a_large_file_goes_there_and_back(bench: Bench) -> None:
    data = os.urandom(1_000_003) * 12
    bench.write("large.bin", data)
    assert bench.text("sha256sum < large.bin").split()[0] == hashlib.sha256(data).hexdigest()
    assert bench.read("large.bin") == data


def test_a_part_of_a_file_is_read(bench: Bench) -> None:
    bench.write("digits", b"0123456789" * 50_000)
    assert bench.read("digits", offset=123_456, size=5) == b"67890"
    assert bench.read("digits", offset=499_998) == b"89"
    assert bench.read("digits", offset=600_000, size=5) == b""


def test_an_empty_file_is_a_file(bench: Bench) -> None:
    bench.write("empty", b"")
    assert bench.read("empty") == b""
    assert bench.wait(bench.sandbox.stat("empty")).size == 0


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_name(bench: Bench, name: str) -> None:
    path = f"{bench.place.folder}/{name}"
    bench.write(path, name.encode())
    assert bench.read(path) == name.encode()
    assert [entry for entry, _ in bench.wait(bench.sandbox.list_dir(bench.place.folder))] == [name]
    bench.wait(bench.sandbox.remove_file(path))
    assert bench.wait(bench.sandbox.list_dir(bench.place.folder)) == []


def test_missing_folders_are_made(bench: Bench) -> None:
    bench.write("a/b c/d.txt", b"deep")
    assert bench.text("cat 'a/b c/d.txt'") == "deep"


def test_paths_are_relative_to_the_folder_of_the_session(bench: Bench) -> None:
    bench.run("mkdir sub; cd sub")
    bench.write("here.txt", b"1")
    assert bench.text(f"cat {bench.place.folder!r}/sub/here.txt") == "1"
    assert bench.read("../sub/here.txt") == b"1"


def test_a_file_that_is_replaced_keeps_its_mode(bench: Bench) -> None:
    bench.run("echo old > script; chmod 750 script")
    bench.write("script", b"new")
    assert bench.wait(bench.sandbox.stat("script")).mode == 0o750
    bench.write("script", b"newer", mode=0o640)
    assert bench.text("stat -c %a script; cat script") == "640\nnewer"


def test_replacing_leaves_nothing_beside_the_file(bench: Bench) -> None:
    for number in range(3):
        bench.write("one", str(number).encode())
    assert bench.text("ls -A") == "one\n"


def test_facts_tell_files_folders_and_links_apart(bench: Bench) -> None:
    bench.run("mkdir folder; echo 12345 > file; ln -s file link; ln -s nowhere dangling")
    facts = dict(bench.wait(bench.sandbox.list_dir(".")))
    assert {name: (fact.is_dir, fact.is_file, fact.is_symlink) for name, fact in facts.items()} == {
        "folder": (True, False, False),
        "file": (False, True, False),
        "link": (False, True, True),
        "dangling": (False, False, True),
    }
    assert facts["file"].size == facts["link"].size == 6
    assert bench.wait(bench.sandbox.stat("link")).is_symlink


@pytest.mark.parametrize(
    ("operation", "path", "error"),
    [
        ("read_file", "missing", FileNotFoundError),
        ("stat", "missing", FileNotFoundError),
        ("list_dir", "missing", FileNotFoundError),
        ("remove_file", "missing", FileNotFoundError),
        ("read_file", "folder", IsADirectoryError),
        ("list_dir", "file", NotADirectoryError),
        ("read_file", "file/below", NotADirectoryError),
        ("stat", "x" * 300, OSError),
    ],
)
def test_what_cannot_be_done_is_the_error_that_open_would_raise(
    bench: Bench, operation: str, path: str, error: type[OSError]
) -> None:
    bench.run("mkdir folder; echo > file")
    with pytest.raises(error) as raised:
        bench.wait(getattr(bench.sandbox, operation)(path))
    assert raised.value.errno


def test_writing_to_a_folder_or_below_a_file_is_an_error(bench: Bench) -> None:
    bench.run("mkdir folder; echo kept > file")
    with pytest.raises(IsADirectoryError):
        bench.write("folder", b"x")
    with pytest.raises(OSError, match=r"."):
        bench.write("file/below", b"x")
    assert bench.text("cat file") == "kept\n"


def test_a_name_with_a_nul_is_an_error(bench: Bench) -> None:
    with pytest.raises(OSError, match="NUL"):
        bench.read("a\0b")


def test_the_home_is_the_one_inside(bench: Bench) -> None:
    home = bench.text("cd ~ 2> /dev/null && pwd").strip()
    assert bench.sandbox.resolve("~/x") in (f"{home}/x", os.path.normpath(f"{home}/x"))
