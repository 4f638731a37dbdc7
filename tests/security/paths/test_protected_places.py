"""What runs or gives rights unasked is not written by a tool without a person, however it is named."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from safety.gate import EffectRequest, Gate, PermissionAnswer
from tests.security.paths.places import SECRET, Neighbours


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Neighbours]:
    """Here the protected folder is the agent's own, below the working folder, and not there yet."""
    shop = Neighbours(tmp_path)
    shop.runtime.gate = Gate(
        "auto-edit", workspace=str(shop.root), protected=(str(shop.root / "own"),), explicit=True
    )
    yield shop
    asyncio.run(shop.sandbox.close())


PLACES = [
    ".git/hooks/pre-commit", ".git/config", ".git/info/attributes", ".git", "sub/.git/config",
    ".hermes/config.yaml", "own/config.yaml", "own/hooks/start.sh", "own/logs/sessions/1.jsonl",
    "own", "own/personalities.yaml", ".bashrc", ".profile", ".zshenv", ".config/fish/config.fish",
    ".envrc", ".vscode/tasks.json", ".husky/pre-commit", ".ssh/authorized_keys",
    ".config/systemd/user/a.service", ".npmrc", ".netrc", ".pypirc", ".config/autostart/a.desktop",
    ".pre-commit-config.yaml",
]  # fmt: skip


def spellings(place: str) -> list[str]:
    first = place.partition("/")[0]
    return [
        place, f"./{place}", f"none/../{place}", f"{place}/", f".//{place}", place.replace("/", "//"),
        place.replace(first, first.upper(), 1), f"../proj/{place}", f"here/{place}", f"to-it/{place}",
    ]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_spelling_of_a_place_that_is_not_there_yet_makes_it(shop: Neighbours, place: str) -> None:
    (shop.root / "here").symlink_to(".")
    (shop.root / "to-it").symlink_to(shop.root)
    before = sorted(os.listdir(shop.root))
    for path in spellings(place):
        for name, arguments in calls_that_make(path):
            called = shop.call(name, **arguments)
            assert called.status == "denied", (name, path, called.data)
    assert sorted(os.listdir(shop.root)) == before


def calls_that_make(path: str) -> list[tuple[str, dict[str, object]]]:
    return [
        ("write_file", {"path": path, "content": "x"}),
        ("patch", {"mode": "patch", "patch": f"*** Add File: {path}\n+x"}),
        ("write_file", {"path": path + "/below", "content": "x"}),
    ]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_there_is_not_changed_moved_or_replaced_and_not_by_a_link_to_it(
    shop: Neighbours, place: str
) -> None:
    target = shop.put(place, "old\n")
    shop.put("source.txt", "new\n")
    (shop.root / "link").symlink_to(place)
    (shop.root / "folder").symlink_to(target.parent)
    for path in ("link", f"folder/{target.name}", place):
        for name, arguments in (
            ("write_file", {"path": path, "content": "x"}),
            ("patch", {"path": path, "old_string": "old", "new_string": "new"}),
            ("patch", {"mode": "patch", "patch": f"*** Update File: {path}\n-old\n+new"}),
            ("patch", {"mode": "patch", "patch": f"*** Move File: {path} -> taken.txt"}),
            ("patch", {"mode": "patch", "patch": f"*** Delete File: {path}"}),
            ("patch", {"mode": "patch", "patch": f"*** Move File: source.txt -> {path}"}),
        ):
            status = shop.call(name, **arguments).status
            assert status in ("denied", "error"), (name, path)
            assert target.read_text() == "old\n"
    assert (shop.root / "link").is_symlink() and (shop.root / "source.txt").exists()


def test_no_grant_for_the_session_covers_them_and_the_person_sees_where_it_goes(shop: Neighbours) -> None:
    asked: list[EffectRequest] = []

    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        asked.append(request)
        return "session"

    shop.runtime.gate = Gate("ask", workspace=str(shop.root), ask=person)
    (shop.root / "hooks").symlink_to(shop.put(".git/hooks/a", "").parent)
    for path in ("notes.txt", "more.txt", "hooks/pre-commit", "hooks/pre-push"):
        assert shop.call("write_file", path=path, content="x").status == "ok"
    assert [request.grant for request in asked] == ["file edits in the working folder", "", ""]
    assert f"write {shop.root}/.git/hooks/pre-commit" in asked[1].summary


def test_a_bare_repository_cannot_be_put_together_piece_by_piece(shop: Neighbours) -> None:
    pieces = ("config", "objects/info/x", "refs/heads/x", "HEAD", "hooks/post-checkout", "commondir")
    for order in (pieces, pieces[::-1]):
        folder = f"in{order[0]}"
        for piece in order:
            shop.call("write_file", path=f"{folder}/{piece}", content="x")
        there = {path.name for path in (shop.root / folder).iterdir()}
        assert not ("HEAD" in there and there & {"objects", "commondir"}), there


@pytest.mark.parametrize(
    "path",
    [
        "../proj-evil/f.txt", "a/../../proj-evil/f.txt", "../PROJ/x", "~/x.txt", "~root/x.txt",
        "/tmp/x-hermes", "link/f.txt", "link/../x.txt", "deep/link/../../x", "out.txt", "..", "../proj",
        "dir/../../proj-evil/new",
    ],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_folder_is_outside(shop: Neighbours, path: str) -> None:
    (shop.root / "deep").mkdir()
    (shop.root / "link").symlink_to(shop.outside)
    (shop.root / "deep/link").symlink_to(shop.outside.parent)
    (shop.root / "out.txt").symlink_to(shop.outside / "f.txt")
    around = sorted(os.listdir(shop.root.parent))
    for name, arguments in (
        ("write_file", {"path": path, "content": "x"}),
        ("patch", {"mode": "patch", "patch": f"*** Add File: {path}\n+x"}),
        ("patch", {"path": path, "old_string": SECRET, "new_string": "x"}),
    ):
        assert shop.call(name, **arguments).status == ("denied" if path != "../proj" else "error")
    assert shop.state_outside() == {"f.txt": SECRET + "\n"}
    assert sorted(os.listdir(shop.root.parent)) == around


def test_a_link_inside_the_folder_works_and_its_target_is_what_is_named(shop: Neighbours) -> None:
    shop.put("real/a.txt", "one\n")
    (shop.root / "link").symlink_to("real")
    called = shop.call("write_file", path="link/a.txt", content="two\n")
    assert called.data["path"] == "real/a.txt"
    assert shop.call("patch", path="link/a.txt", old_string="two", new_string="3").status == "ok"
    assert (shop.root / "real/a.txt").read_text() == "3\n"
    assert (shop.root / "link").is_symlink()
    rows = shop.call("search_files", pattern="3", path="link", target="content").data["matches"]
    assert [row["path"] for row in rows] == ["real/a.txt"]


def test_a_link_to_nowhere_is_not_written_through_even_inside(shop: Neighbours) -> None:
    (shop.root / "lost").symlink_to("later.txt")
    (shop.root / "out").symlink_to(shop.outside / "later.txt")
    assert "leads nowhere" in shop.call("write_file", path="lost", content="x").error
    assert shop.call("write_file", path="out", content="x").status == "denied"
    assert "lost" in shop.call("patch", mode="patch", patch="*** Add File: lost\n+x").error
    assert not (shop.root / "later.txt").exists()
    assert shop.state_outside() == {"f.txt": SECRET + "\n"}


def test_another_name_of_the_same_file_keeps_its_content(shop: Neighbours) -> None:
    os.link(shop.outside / "f.txt", shop.root / "hard.txt")
    assert shop.call("write_file", path="hard.txt", content="mine\n").status == "ok"
    assert shop.state_outside() == {"f.txt": SECRET + "\n"}
    os.link(shop.outside / "f.txt", shop.root / "second.txt")
    called = shop.call("patch", path="second.txt", old_string=SECRET, new_string="mine")
    assert called.status == "ok"
    assert shop.state_outside() == {"f.txt": SECRET + "\n"}
    assert (shop.root / "second.txt").read_text() == "mine\n"
