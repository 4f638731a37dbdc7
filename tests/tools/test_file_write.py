"""write_file, and what the gate is told of every change."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from safety.gate import EffectRequest, Gate
from tests.tools.workshop import Workshop
from tools.catalog import load_tool


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "no newline", "one\n", "a\r\nb", "\n\n", "é😀\u2028\x00\x1b[31m", "x" * 300_000]
)
def test_the_bytes_are_exactly_the_text(shop: Workshop, content: str) -> None:
    called = shop.call("write_file", path="deep/down/a.txt", content=content)
    assert called.data == {
        "path": "deep/down/a.txt", "action": "created", "bytes_written": len(content.encode()),
    }  # fmt: skip
    assert (shop.root / "deep/down/a.txt").read_bytes() == content.encode()
    assert called.display is not None
    assert called.display.kind == "diff"


def test_a_replaced_file_keeps_its_mode_and_shows_what_changed(shop: Workshop) -> None:
    path = shop.put("run.sh", "echo one\necho two\n")
    path.chmod(0o755)
    called = shop.call("write_file", path="run.sh", content="echo one\necho 2\n")
    assert called.data["action"] == "replaced"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert called.display is not None
    assert called.display.text.splitlines() == [
        "--- run.sh", "+++ run.sh", "@@ -1,2 +1,2 @@", " echo one", "-echo two", "+echo 2",
    ]  # fmt: skip


def test_writing_what_is_there_touches_nothing(shop: Workshop) -> None:
    path = shop.put("a.txt", "same\n")
    os.utime(path, (1000, 1000))
    assert shop.call("write_file", path="a.txt", content="same\n").data["action"] == "unchanged"
    assert path.stat().st_mtime == 1000


@pytest.mark.parametrize(
    ("before", "content", "after", "word"),
    [
        (b"a\r\nb\r\n", "c\nd\n", b"c\r\nd\r\n", "CRLF"),
        (b"a\r\nb\n", "c\nd\n", b"c\nd\n", ""),
        (b"a\r\nb\r\n", "c\r\nd\n", b"c\r\nd\n", ""),
        (b"\xef\xbb\xbfa\n", "c\n", b"\xef\xbb\xbfc\n", "BOM"),
        (b"\xef\xbb\xbfa\n", "\ufeffc\n", b"\xef\xbb\xbfc\n", "BOM"),
        ("ä\r\n".encode("utf-16"), "ö\n", b"\xff\xfe" + "ö\r\n".encode("utf-16-le"), "UTF-16"),
        ("ä\n".encode("latin-1"), "ö\n", b"\xf6\n", "Latin-1"),
        ("ä\n".encode("latin-1"), "→\n", "→\n".encode(), "UTF-8 now"),
        (b"\0\1", "text\n", b"text\n", "binary"),
    ],
)
def test_encoding_bom_and_uniform_crlf_stay_and_it_says_so(
    shop: Workshop, before: bytes, content: str, after: bytes, word: str
) -> None:
    path = shop.put("a.txt", before)
    called = shop.call("write_file", path="a.txt", content=content)
    assert path.read_bytes() == after
    assert called.data["bytes_written"] == len(after)
    assert word in called.note
    assert bool(word) == bool(called.note)


def test_folders_and_devices_are_not_written_over(shop: Workshop) -> None:
    shop.put("d/a.txt", "x")
    os.mkfifo(shop.root / "pipe")
    assert "folder" in shop.call("write_file", path="d", content="x").error
    assert "not a regular file" in shop.call("write_file", path="pipe", content="x").error
    assert shop.call("write_file", path="d/a.txt/b", content="x").status == "error"
    assert (shop.root / "d/a.txt").read_text() == "x"


def test_half_a_character_writes_nothing(shop: Workshop) -> None:
    assert "surrogate" in shop.call("write_file", path="a.txt", content="\udc80").error
    assert not (shop.root / "a.txt").exists()


def test_a_link_is_written_through(shop: Workshop) -> None:
    path = shop.put("real.txt", "one")
    (shop.root / "link").symlink_to(path)
    shop.call("write_file", path="link", content="two")
    assert path.read_text() == "two"
    assert (shop.root / "link").is_symlink()


def request(shop: Workshop, name: str, **arguments: object) -> EffectRequest:
    tool = load_tool(name)
    return tool.effect_request(shop.runtime, tool.bind(arguments))


def test_the_gate_is_told_the_absolute_path_and_the_whole_change(shop: Workshop) -> None:
    root = str(shop.root)
    asked = request(shop, "write_file", path="a/../b.txt", content="full text")
    assert (asked.effects, asked.paths, asked.grant) == (
        ("read", "write"),
        (f"{root}/b.txt",),
        "file edits in the working folder",
    )
    assert "full text" in asked.summary
    asked = request(shop, "patch", path="~/x", old_string="old\nline", new_string="new", replace_all=True)
    assert asked.paths == (f"{os.environ['HOME']}/x",)
    assert "-old\n-line\n+new" in asked.summary
    assert "everywhere" in asked.summary
    assert request(shop, "read_file", path="b").effects == ("read",)
    assert request(shop, "search_files", pattern="x").paths == (root,)


def test_a_grant_covers_edits_in_the_working_folder_or_right_beside_the_file(shop: Workshop) -> None:
    text = "*** Add File: /a/x\n+x\n*** Add File: "
    assert request(shop, "write_file", path="a/b", content="").grant == "file edits in the working folder"
    assert request(shop, "write_file", path="/a/b/c", content="").grant == "file edits right in /a/b"
    assert request(shop, "patch", mode="patch", patch=text + "/a/y\n+y").grant == "file edits right in /a"
    assert request(shop, "patch", mode="patch", patch=text + "y\n+y").grant == ""


def test_the_gate_is_told_every_file_of_a_patch(shop: Workshop) -> None:
    text = (
        "*** Update File: a\n*** Move to: b\n-x\n+y\n*** Add File: c\n+z\n*** Delete File: d\n"
        "*** Move File: e -> ../f\n"
    )
    asked = request(shop, "patch", mode="patch", patch=text)
    root = str(shop.root)
    assert asked.paths == (*(f"{root}/{n}" for n in "abcde"), f"{shop.root.parent}/f")
    assert "write" in asked.effects
    assert text in asked.summary


def test_a_call_that_can_only_fail_asks_nobody(shop: Workshop) -> None:
    assert request(shop, "patch", mode="patch", patch="nonsense").effects == ("read",)
    assert request(shop, "patch", old_string="a", new_string="b").effects == ("read",)


def test_denied_changes_are_not_made(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, mode="deny")
    shop.put("a.txt", "one\n")
    assert shop.call("write_file", path="b.txt", content="x").status == "denied"
    assert shop.call("patch", path="a.txt", old_string="one", new_string="two").status == "denied"
    assert shop.call("patch", mode="patch", patch="*** Delete File: a.txt").status == "denied"
    assert shop.call("read_file", path="a.txt").status == "ok"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt"]


def test_auto_edit_allows_a_patch_inside_the_folder_and_not_one_that_leaves_it(tmp_path: Path) -> None:
    inside = tmp_path / "work"
    inside.mkdir()
    shop = Workshop(inside)
    shop.runtime.gate = Gate("auto-edit", workspace=str(inside), explicit=True)
    assert shop.call("patch", mode="patch", patch="*** Add File: a.txt\n+x").status == "ok"
    assert shop.call("patch", mode="patch", patch="*** Move File: a.txt -> ../a.txt").status == "denied"
    assert (inside / "a.txt").exists()
