"""A name or text that looks like a flag is none, and what changed since it was read is not written over."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandboxes.local import LocalSandbox
from tests.faults.hermes_process import Hermes, some
from tests.security.paths.places import Neighbours
from tests.server.scripted_server import Step, scripted_server

FLAGS = ["-rf", "--pre=sh", "--", "-", "--help", "-e.*", "--files", "@x", "-C x", "--config=x"]
QUESTIONS = ["--yolo", "--version", "-h", "--debug", "--", "-c", "--resume=x"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Neighbours]:
    shop = Neighbours(tmp_path)
    yield shop
    asyncio.run(shop.sandbox.close())


@pytest.mark.parametrize("name", FLAGS)
def test_a_file_named_like_a_flag_is_a_file(shop: Neighbours, name: str) -> None:
    assert shop.call("write_file", path=name, content="one\n").status == "ok"
    assert shop.call("patch", path=name, old_string="one", new_string="two").status == "ok"
    assert (shop.root / name).read_text() == "two\n"
    assert "two" in shop.call("read_file", path=name).data["content"]
    found = shop.call("search_files", pattern="two", path=name).data["matches"]
    assert [row["path"] for row in found] == [name]
    assert shop.call("search_files", pattern=name, target="files").data["total_count"] == 1
    assert shop.call("patch", mode="patch", patch=f"*** Delete File: {name}").status == "ok"
    assert not os.listdir(shop.root)


@pytest.mark.parametrize(
    "pattern", ["--pre=touch canary", "-f/etc/passwd", "--hostname-bin=x", "-e", "--", "-"]
)
@pytest.mark.parametrize("target", ["content", "files"])
def test_a_pattern_or_glob_like_a_flag_is_looked_for(shop: Neighbours, pattern: str, target: str) -> None:
    if shutil.which("rg") is None:
        pytest.skip("ripgrep is not installed")
    shop.put("a.txt", f"before {pattern} after\n")
    found = shop.call("search_files", pattern=pattern, target="content").data
    assert [row["path"] for row in found["matches"]] == ["a.txt"]
    shop.call("search_files", pattern="before", file_glob=pattern, target=target)
    assert os.listdir(shop.root) == ["a.txt"]


@pytest.mark.parametrize("question", some(QUESTIONS, ["--yolo", "--"]))
def test_a_question_that_looks_like_a_flag_is_asked(home: Path, tmp_path: Path, question: str) -> None:
    with scripted_server(Step(text="Answer.")) as server:
        hermes = Hermes(home, tmp_path, server.url)
        done = hermes.run("-q", question)
        assert (done.code, done.text) == (0, "Answer.\n"), done.told
        assert server.last["messages"][-1]["content"] == question
        assert hermes.run("-q", "-", stdin=question.encode()).text == "Answer.\n"
        assert server.last["messages"][-1]["content"] == question


def test_a_prompt_of_a_batch_that_looks_like_a_flag_is_a_prompt(home: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "--prompts.jsonl"
    prompts.write_text('{"prompt": "--yolo"}\n{"prompt": "-h"}\n')
    with scripted_server(Step(text="Answer.")) as server:
        done = Hermes(home, tmp_path, server.url).run("batch", "--run", "r", "--", prompts.name)
        assert done.code == 0, done.told
        asked = {request.body["messages"][-1]["content"] for request in server.requests}
    assert asked == {"--yolo", "-h"}


class Meddler(LocalSandbox):
    """Somebody saves the file right after it was read the first time."""

    async def read_file(self, path: str, *, offset: int = 0, size: int | None = None) -> bytes:
        data = await super().read_file(path, offset=offset, size=size)
        if self.saves:
            Path(path).write_bytes(self.saves.pop())
        return data

    saves: list[bytes]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("write_file", {"path": "a.txt", "content": "mine\n"}),
        ("patch", {"path": "a.txt", "old_string": "one", "new_string": "mine"}),
        ("patch", {"mode": "patch", "patch": "*** Update File: a.txt\n-one\n+mine"}),
        ("patch", {"mode": "patch", "patch": "*** Delete File: a.txt"}),
        ("patch", {"mode": "patch", "patch": "*** Move File: a.txt -> b.txt"}),
    ],
)
@pytest.mark.parametrize("saved", [b"two\n", b"one\nand more\n", b""])
def test_what_was_saved_since_it_was_read_is_not_lost(
    shop: Neighbours, name: str, arguments: dict[str, str], saved: bytes
) -> None:
    target = shop.put("a.txt", "one\n")
    meddler = Meddler("test", str(shop.root))
    meddler.saves = [saved]
    shop.runtime.sandbox = meddler
    called = shop.call(name, **arguments)
    assert "a.txt was changed in the meantime; read it again" in called.error
    assert target.read_bytes() == saved
    assert os.listdir(shop.root) == ["a.txt"]
    assert json.dumps(called.data)
