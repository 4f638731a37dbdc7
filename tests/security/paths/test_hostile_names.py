"""Files whose names, rules or kinds are made to hold hermes up, or to make it read what it must not."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.prompt import INSTRUCTIONS_LIMIT, read_instructions
from repl.file_names import file_names
from safety.gate import Gate
from tests.security.paths.places import SECRET, Neighbours
from tools.files.glob_match import glob_regex

LONG = "a" * 250


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Neighbours]:
    shop = Neighbours(tmp_path)
    yield shop
    asyncio.run(shop.sandbox.close())


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a" * 40 + "b", LONG), ("**/a/" * 30 + "b", "a/" * 300 + "c"),
        ("**/*a/" * 20 + "b", "aaa/" * 300 + "c"),
        ("[ab]*" * 40 + "c", LONG), ("?*" * 40 + "b/", LONG), ("*" * 200 + "b", LONG),
    ],
)  # fmt: skip
def test_no_rule_takes_longer_than_its_length_allows(glob: str, path: str) -> None:
    regex = re.compile(glob_regex(glob, braces=False), re.DOTALL)
    began = time.monotonic()
    assert regex.fullmatch(path) is None
    assert time.monotonic() - began < 0.5


def test_rules_made_to_take_for_ever_hold_nobody_up(shop: Neighbours) -> None:
    shop.put(".gitignore", "\n".join("*a" * n + "b" for n in range(20, 60)))
    shop.put(LONG, "hit\n")
    began = time.monotonic()
    assert LONG in file_names(str(shop.root))
    assert shop.call("search_files", pattern="hit(?=)").data["total_count"] == 1
    assert shop.call("search_files", pattern="*", target="files").data["total_count"] == 2
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder", "outside"])
def test_a_gitignore_that_is_no_file_keeps_nobody_waiting(shop: Neighbours, kind: str) -> None:
    make_odd(shop.root / ".gitignore", kind, shop.outside)
    shop.put("f.txt", "hit\n")
    began = time.monotonic()
    assert "f.txt" in file_names(str(shop.root))
    assert shop.call("search_files", pattern="hit(?=)").data["total_count"] == 1
    assert time.monotonic() - began < 5


@pytest.mark.long
def test_a_search_with_ripgrep_ends_where_a_gitignore_does_not(shop: Neighbours) -> None:
    make_odd(shop.root / ".gitignore", "endless", shop.outside)
    shop.put("f.txt", "hit\n")
    assert shop.call("search_files", pattern="hit").data["total_count"] == 1


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder", "outside", "nowhere"])
def test_instructions_that_are_no_file_of_the_folder_are_none(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "f.txt").write_text(SECRET)
    make_odd(folder / "AGENTS.md", kind, tmp_path)
    assert read_instructions(str(folder), "AGENTS.md") == ""
    assert read_instructions(str(folder), "../f.txt") == ""
    assert read_instructions(str(folder), "") == ""


def test_instructions_may_be_a_link_inside_the_folder_and_are_cut_when_long(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("Be kind.")
    (tmp_path / "AGENTS.md").symlink_to("CLAUDE.md")
    assert read_instructions(str(tmp_path), "AGENTS.md") == "Be kind."
    with (tmp_path / "CLAUDE.md").open("w") as file:
        file.write("é" * INSTRUCTIONS_LIMIT)
        file.truncate(10 << 30)  # as large as it says, and nothing on the disk
    text = read_instructions(str(tmp_path), "AGENTS.md")
    assert text.startswith("é" * INSTRUCTIONS_LIMIT) and "there is more in AGENTS.md" in text
    assert len(text) < INSTRUCTIONS_LIMIT + 100


def make_odd(path: Path, kind: str, outside: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"endless": "/dev/zero", "nowhere": "none"}.get(kind, str(outside / "f.txt")))


def test_a_search_from_above_passes_private_places_by(shop: Neighbours, home: Path) -> None:
    for name in (".ssh/id", ".aws/credentials", ".netrc", "notes/a.txt"):
        target = home / name
        target.parent.mkdir(exist_ok=True)
        target.write_text("hit\n")
    shop.runtime.gate = Gate("ask", workspace=str(shop.root))
    for pattern in ("hit", "hit(?=)"):  # with ripgrep, and without
        rows = shop.call("search_files", pattern=pattern, path="~").data["matches"]
        assert [row["path"] for row in rows] == [f"{home}/notes/a.txt"]
    names = shop.call("search_files", pattern="*", target="files", path="~").data["files"]
    assert [row["path"] for row in names] == [f"{home}/notes/a.txt"]
    assert shop.call("search_files", pattern="hit", path="~/.ssh").status == "denied"
    assert shop.call("read_file", path="~/.ssh/id").status == "denied"


def test_what_a_process_was_given_is_not_read_from_proc(shop: Neighbours) -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("there is no /proc")
    shop.runtime.gate = Gate("ask", workspace=str(shop.root))
    for path in (f"/proc/{os.getpid()}/environ", "/proc/self/environ", "/proc/self/task/../environ"):
        assert shop.call("read_file", path=path).status == "denied"
    found = shop.call("search_files", pattern="PATH=", path=f"/proc/{os.getpid()}", file_glob="environ").data
    assert found.get("total_count", 0) == 0
