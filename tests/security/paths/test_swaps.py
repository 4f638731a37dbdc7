"""Somebody swaps a folder or a file for a link while the tools work: nothing lands or is read outside."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.security.paths.places import SECRET, Neighbours
from tools.catalog import load_tool
from tools.runtime import ToolReply

SWAPPER = Path(__file__).with_name("swapper.py")
ROUNDS = [400, pytest.param(2000, marks=pytest.mark.thorough)]


@contextmanager
def swapping(name: Path, other: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, str(SWAPPER), str(name), str(other)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"begun\n"
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Neighbours]:
    shop = Neighbours(tmp_path)
    yield shop
    asyncio.run(shop.sandbox.close())


CALLS: dict[str, list[tuple[str, dict[str, object]]]] = {
    "write": [("write_file", {"path": "d/f.txt", "content": "written\n"})],
    "write below": [("write_file", {"path": "d/new/deep/f.txt", "content": "written\n"})],
    "replace": [("patch", {"path": "d/f.txt", "old_string": "a", "new_string": "b", "replace_all": True})],
    "read": [("read_file", {"path": "d/f.txt"}), ("read_file", {"path": "d"})],
    "search": [("search_files", {"pattern": "the-content", "path": "d"})],
    "move in": [
        ("write_file", {"path": "m.txt", "content": "written\n"}),
        ("patch", {"mode": "patch", "patch": "*** Move File: m.txt -> d/m.txt"}),
        ("patch", {"mode": "patch", "patch": "*** Delete File: d/m.txt"}),
    ],
    "add and delete": [
        ("patch", {"mode": "patch", "patch": "*** Add File: d/g.txt\n+written"}),
        ("patch", {"mode": "patch", "patch": "*** Delete File: d/g.txt"}),
        ("patch", {"mode": "patch", "patch": "*** Delete File: d/f.txt"}),
        ("write_file", {"path": "d/f.txt", "content": "a\n"}),
    ],
}


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("what", CALLS)
def test_a_folder_swapped_for_a_link_leads_nobody_outside(shop: Neighbours, what: str, rounds: int) -> None:
    shop.put("d/f.txt", "a\n" * 20)
    (shop.root / "link").symlink_to(shop.outside)
    before = shop.state_outside()
    with swapping(shop.root / "d", shop.root / "link"):
        ends = rounds_of(shop, what, rounds)
    assert shop.state_outside() == before
    assert ends["ok"] and sum(ends.values()) > ends["ok"], ends  # it was swapped, and not always


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("what", ["write", "replace", "read"])
def test_a_file_swapped_for_a_link_leads_nobody_outside(shop: Neighbours, what: str, rounds: int) -> None:
    shop.put("d/f.txt", "a\n" * 20)
    (shop.root / "d/link").symlink_to(shop.outside / "f.txt")
    before = shop.state_outside()
    with swapping(shop.root / "d/f.txt", shop.root / "d/link"):
        ends = rounds_of(shop, what, rounds)
    assert shop.state_outside() == before
    assert sum(ends.values()) > ends["ok"], ends


def rounds_of(shop: Neighbours, what: str, rounds: int) -> Counter[str]:
    ends: Counter[str] = Counter()
    for _ in range(rounds // (10 if what == "search" else 1)):  # that one starts a process
        for called in shop.call_all(CALLS[what]):
            assert SECRET not in json.dumps(called.data)
            assert called.display is None or SECRET not in called.display.text
            assert "internal error" not in called.error, called.error
            ends[called.status] += 1
    return ends


def test_a_swap_between_the_decision_and_the_use_is_told(shop: Neighbours) -> None:
    shop.put("d/f.txt", "a\n")
    canonical = shop.sandbox.canonical("d/f.txt")
    (shop.root / "d").rename(shop.root / "away")
    (shop.root / "d").symlink_to(shop.outside)
    for name, arguments in (
        ("write_file", {"content": "x"}),
        ("read_file", {}),
        ("patch", {"old_string": "a", "new_string": "b"}),
    ):
        error = called_on(shop, name, canonical, arguments)
        assert "d is a link now: changed since it was checked" in error
    assert shop.state_outside() == {"f.txt": SECRET + "\n"}


async def _wait(reply: Awaitable[ToolReply]) -> ToolReply:
    return await reply


def called_on(shop: Neighbours, name: str, path: str, arguments: dict[str, str]) -> str:
    """What the handler says when it is given a path that was decided on earlier."""
    with pytest.raises(OSError) as caught:
        asyncio.run(_wait(load_tool(name).handler(shop.runtime, path=path, **arguments)))
    return str(caught.value.strerror)
