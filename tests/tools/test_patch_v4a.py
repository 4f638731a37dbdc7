"""patch, mode patch: V4A over many files, all or nothing."""

from __future__ import annotations

import asyncio
import random
import stat
from pathlib import Path

import pytest

from tests.tools.workshop import Called, Workshop
from tools.files.text_lines import apply_edits
from tools.files.v4a_patch import PatchError, hunk_edits, parse_patch


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def apply(shop: Workshop, text: str) -> Called:
    return shop.call("patch", mode="patch", patch=text)


def tree(shop: Workshop) -> dict[str, bytes]:
    return {str(p.relative_to(shop.root)): p.read_bytes() for p in shop.root.rglob("*") if p.is_file()}


def test_one_patch_updates_adds_deletes_and_moves(shop: Workshop) -> None:
    shop.put("a.py", "def f():\n    return 1\n\ndef g():\n    return 1\n")
    shop.put("old.txt", "bye\n")
    shop.put("here.txt", "one\ntwo\n").chmod(0o640)
    shop.put("plain.txt", "same\n")
    called = apply(
        shop,
        """*** Begin Patch
*** Update File: a.py
@@ def g():
-    return 1
+    return 2
*** Add File: new/deep/b.txt
+hello
+
+world
*** Delete File: old.txt
*** Update File: here.txt
*** Move to: there/there.txt
@@
 one
-two
+three
*** Move File: plain.txt -> moved.txt
*** End Patch
""",
    )
    assert called.status == "ok"
    assert tree(shop) == {
        "a.py": b"def f():\n    return 1\n\ndef g():\n    return 2\n",
        "new/deep/b.txt": b"hello\n\nworld\n",
        "there/there.txt": b"one\nthree\n",
        "moved.txt": b"same\n",
    }
    assert stat.S_IMODE((shop.root / "there/there.txt").stat().st_mode) == 0o640
    actions = [(row["path"], row["action"], row["added"], row["removed"]) for row in called.data["files"]]
    assert actions == [
        ("a.py", "updated", 1, 1), ("new/deep/b.txt", "created", 3, 0), ("old.txt", "deleted", 0, 1),
        ("here.txt", "moved", 1, 1), ("plain.txt", "moved", 0, 0),
    ]  # fmt: skip
    assert called.display is not None
    assert "+    return 2" in called.display.text


def test_begin_and_end_may_be_missing(shop: Workshop) -> None:
    path = shop.put("a.txt", "one\n")
    assert apply(shop, "*** Update File: a.txt\n-one\n+two").status == "ok"
    assert path.read_text() == "two\n"


@pytest.mark.parametrize(
    ("second", "word"),
    [
        ("*** Update File: b.txt\n-nowhere\n+x", "not found"),
        ("*** Update File: missing.txt\n-a\n+b", "does not exist"),
        ("*** Delete File: missing.txt", "does not exist"),
        ("*** Add File: b.txt\n+x", "exists already"),
        ("*** Move File: b.txt -> a.txt", "exists already"),
        ("*** Update File: b.txt\n-same\n+other", "lines 1, 2"),
        ("*** Update File: c.bin\n-a\n+b", "binary"),
        ("*** Add File: b.txt/child\n+x", ""),
        ("*** Update File: d\n-a\n+b", "folder"),
    ],
)
def test_one_impossible_change_leaves_every_file_as_it_was(shop: Workshop, second: str, word: str) -> None:
    shop.put("a.txt", "one\n")
    shop.put("b.txt", "same\nsame\n")
    shop.put("c.bin", b"a\0b")
    shop.put("d/e.txt", "x")
    before = tree(shop)
    called = apply(shop, f"*** Update File: a.txt\n-one\n+two\n{second}\n")
    assert called.status == "error"
    assert word in called.error
    assert tree(shop) == before


def test_a_failure_while_writing_takes_back_what_was_written(shop: Workshop) -> None:
    shop.put("a.txt", "one\n").chmod(0o711)
    shop.put("gone.txt", "x\n")
    shop.put("wall", "not a folder")
    before = tree(shop)
    called = apply(
        shop,
        "*** Update File: a.txt\n-one\n+two\n*** Add File: fresh.txt\n+f\n*** Add File: wall/in.txt\n+x\n"
        "*** Delete File: gone.txt\n",
    )
    assert called.status == "error"
    assert tree(shop) == before
    assert stat.S_IMODE((shop.root / "a.txt").stat().st_mode) == 0o711


def test_one_file_under_two_names_is_one_file(shop: Workshop) -> None:
    path = shop.put("real.txt", "one\ntwo\n")
    (shop.root / "link.txt").symlink_to("real.txt")
    called = apply(shop, "*** Update File: real.txt\n-one\n+1\n*** Update File: link.txt\n-two\n+2\n")
    assert called.status == "ok"
    assert path.read_text() == "1\n2\n"
    assert (shop.root / "link.txt").is_symlink()


def test_links_are_not_deleted_as_if_they_were_files(shop: Workshop) -> None:
    path = shop.put("real.txt", "one\n")
    (shop.root / "link.txt").symlink_to("real.txt")
    assert "link" in apply(shop, "*** Delete File: link.txt").error
    assert path.exists()


def test_the_same_file_may_be_changed_twice(shop: Workshop) -> None:
    path = shop.put("a.txt", "one\ntwo\n")
    apply(shop, "*** Update File: a.txt\n-one\n+1\n*** Update File: a.txt\n-two\n+2\n")
    assert path.read_text() == "1\n2\n"


def test_an_ambiguous_hunk_is_decided_by_its_hint(shop: Workshop) -> None:
    path = shop.put("a.py", "class A:\n    def f():\n        pass\nclass B:\n    def f():\n        pass\n")
    plain = apply(shop, "*** Update File: a.py\n-        pass\n+        return\n")
    assert "lines 3, 6" in plain.error
    hinted = "*** Update File: a.py\n@@ class B:\n@@     def f():\n-        pass\n+        return\n"
    assert apply(shop, hinted).status == "ok"
    assert (
        path.read_text() == "class A:\n    def f():\n        pass\nclass B:\n    def f():\n        return\n"
    )


def test_a_hunk_can_be_tied_to_the_end(shop: Workshop) -> None:
    path = shop.put("a.txt", "x\ny\nx\n")
    apply(shop, "*** Update File: a.txt\n-x\n+z\n*** End of File\n")
    assert path.read_text() == "x\ny\nz\n"


def test_a_hunk_of_added_lines_goes_after_its_hint_or_to_the_end(shop: Workshop) -> None:
    path = shop.put("a.txt", "x\ny")
    apply(shop, "*** Update File: a.txt\n@@ x\n+after x\n@@\n+at the end\n")
    assert path.read_bytes() == b"x\nafter x\ny\nat the end"


def test_other_indentation_matches_and_says_so(shop: Workshop) -> None:
    path = shop.put("a.txt", "\tone\ntwo  \nthree\n")
    called = apply(shop, "*** Update File: a.txt\n one\n-two\n+2\n")
    assert path.read_bytes() == b"\tone\n2\nthree\n"
    assert "indentation" in called.note


def test_unified_headers_are_understood(shop: Workshop) -> None:
    path = shop.put("a.txt", "one\ntwo\n")
    apply(shop, "*** Update File: a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n")
    assert path.read_text() == "one\n2\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("*** Begin Patch\n*** End Patch", "empty"),
        ("hello", "line 1"),
        ("*** Update File: a.txt\nxyz", "line 2"),
        ("*** Update File: a.txt", "no changes"),
        ("*** Update File: a.txt\n one\n", "changes nothing"),
        ("*** Update File: a.txt\n-one\n+one\n", "changes nothing"),
        ("*** Add File: b.txt\nx", "'+'"),
        ("*** Delete File: b.txt\n-x", "nothing may follow"),
        ("*** Move File: b.txt", "OLD -> NEW"),
        ("*** Move File: b.txt -> b.txt", "itself"),
    ],
)
def test_text_that_is_no_patch_is_refused_with_its_line(shop: Workshop, text: str, word: str) -> None:
    with pytest.raises(PatchError, match="(?s).*" + word.replace("+", r"\+")):
        parse_patch(text)
    assert apply(shop, text).status == "error"


@pytest.mark.parametrize("seed", range(200))
def test_random_hunks_change_their_lines_and_no_other_byte(seed: int) -> None:
    dice = random.Random(seed)
    count = dice.randint(1, 60)
    lines = [f"{n}{dice.choice(['', ' x', chr(9), ' é', chr(0x2028)])}" for n in range(count)]
    endings = [dice.choice(["\n", "\r\n"]) for _ in lines]
    endings[-1] = dice.choice(["", "\n", "\r\n"])
    text = "".join(line + end for line, end in zip(lines, endings, strict=True))
    patch = ["*** Update File: f"]
    expected: list[tuple[str, str | None]] = []
    position = 0
    while position < count:
        start = dice.randint(position, count - 1)
        end = min(count, start + dice.randint(1, 6))
        expected += [(lines[n], endings[n]) for n in range(position, start)]
        position = end
        patch.append("@@")
        changed = dice.randrange(start, end)
        for n in range(start, end):
            what = dice.choice(["keep", "keep", "cut", "change", "add"]) if n != changed else "change"
            if what == "keep" or what == "add":
                patch.append(" " + lines[n])
                expected.append((lines[n], endings[n]))
            else:
                patch.append("-" + lines[n])
            if what in ("change", "add"):
                patch.append(f"+new {n}")
                expected.append((f"new {n}", None))
    edits, notes = hunk_edits(text, parse_patch("\n".join(patch))[0].hunks)
    result = apply_edits(text, edits)
    assert not notes
    pieces = result.split("\n")
    got = [(p.removesuffix("\r"), "\r\n" if p.endswith("\r") else "\n") for p in pieces[:-1]]
    got += [(pieces[-1], "")] if pieces[-1] else []
    assert [line for line, _ in got] == [line for line, _ in expected]
    for index, ((_, actual), (line, wanted)) in enumerate(zip(got, expected, strict=True)):
        if wanted == "" and index < len(got) - 1:
            assert actual in ("\n", "\r\n"), line
        elif wanted is not None:
            assert actual == wanted, line
    if expected and endings[-1]:
        assert got[-1][1] != ""


def test_a_patch_that_is_interrupted_while_writing_is_taken_back(shop: Workshop) -> None:
    big = b"one\n" + b"x" * 20_000_000 + b"\n"
    for name in ("a.txt", "b.txt"):
        shop.put(name, big)
    before = (shop.root / "a.txt").stat().st_ino
    patch = "*** Update File: a.txt\n-one\n+two\n*** Update File: b.txt\n-one\n+two\n"

    async def interrupt() -> None:
        working = asyncio.create_task(shop.acall("patch", mode="patch", patch=patch))
        while (shop.root / "a.txt").stat().st_ino == before:
            await asyncio.sleep(0.001)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(interrupt())
    assert (shop.root / "a.txt").read_bytes() == (shop.root / "b.txt").read_bytes() == big
    assert sorted(path.name for path in shop.root.iterdir()) == ["a.txt", "b.txt"]
