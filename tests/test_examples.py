"""The example package, as somebody who writes tools would use it."""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from model_tools import call_tool
from safety.gate import Gate
from sandboxes.local import LocalSandbox
from tests.server.script import Call
from tests.server.scripted_server import Step, scripted_server
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import Tool

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "hermes-tools-example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, installed by pip and without a network."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("pip is not installed")
    site = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "package"
    source.mkdir()
    for name in ("pyproject.toml", "hermes_tools_example.py", "README.md"):
        source.joinpath(name).write_bytes((EXAMPLE / name).read_bytes())
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(site)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *install, str(source)], capture_output=True, text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return site


def hermes(site: Path, folder: Path, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(site), **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_an_installed_package_is_listed_off_and_says_what_turns_it_on(
    installed: Path, tmp_path: Path
) -> None:
    rows = json.loads(hermes(installed, tmp_path, "tools", "--json"))["tools"]
    (row,) = [each for each in rows if each["name"] == "count_words"]
    assert not row["on"]
    assert row["source"] == "package hermes-tools-example"
    assert row["home"] == "hermes-tools-example"
    assert row["why"].startswith("turn it on with --toolsets default,hermes-tools-example, or add")
    assert 0 < row["tokens"] < 100
    told = hermes(installed, tmp_path, "tools", "count_words")
    assert "Count the words of a text file." in told
    assert "path (string, required)" in told


@pytest.mark.long
def test_its_tool_is_called_in_a_conversation(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text("one two two three\n")
    call = Step(tool_calls=[Call("count_words", {"path": "poem.txt"})])
    with scripted_server(call, Step(text="Four words.")) as server:
        answer = hermes(
            installed, tmp_path, "-q", "How many words has poem.txt?", "--toolsets",
            "default,hermes-tools-example", OPENAI_BASE_URL=server.url, OPENAI_API_KEY="sk-test-0123456789",
            HERMES_MODEL="scripted",
        )  # fmt: skip
        names = [each["function"]["name"] for each in server.requests[0].body["tools"]]
        (result,) = [each for each in server.last["messages"] if each["role"] == "tool"]
    assert answer == "Four words.\n"
    assert names[-1] == "count_words" and "read_file" in names
    told = json.loads(result["content"])
    assert (told["words"], told["different"]) == (4, 3)


@pytest.mark.long
def test_the_persons_own_toolset_may_include_a_package(installed: Path, tmp_path: Path, home: Path) -> None:
    (home / ".hermes").mkdir()
    (home / ".hermes" / "config.yaml").write_text(
        "tools:\n  enabled: [writing]\n  custom:\n"
        "    writing: {tools: [read_file], includes: [hermes-tools-example]}\n"
    )
    rows = json.loads(hermes(installed, tmp_path, "tools", "--json"))["tools"]
    assert [each["name"] for each in rows if each["on"]] == ["read_file", "count_words"]


@pytest.fixture
def count_words(monkeypatch: pytest.MonkeyPatch) -> Tool:
    """The tool as its author tests it: with no hermes round it."""
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.delitem(sys.modules, "hermes_tools_example", raising=False)
    found: Tool = importlib.import_module("hermes_tools_example").count_words
    return found


def called(tool: Tool, folder: Path, **arguments: object) -> ToolReply:
    gate = Gate("ask", workspace=str(folder))
    return asyncio.run(call_tool(tool, arguments, ToolRuntime("t", LocalSandbox("t", str(folder)), gate)))


def test_the_example_counts_words_and_says_what_is_no_text(count_words: Tool, tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text("a bb bb ccc")
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00")
    reply = called(count_words, tmp_path, path="poem.txt", longer_than="1")
    assert json.loads(reply.content) == {"path": str(tmp_path / "poem.txt"), "words": 3, "different": 2}
    assert called(count_words, tmp_path, path="noise").status == "error"
    assert called(count_words, tmp_path, path="missing").status == "error"


def test_the_gate_knows_what_the_example_reads(count_words: Tool, tmp_path: Path, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_rsa").write_text("a key")
    assert called(count_words, tmp_path, path=str(home / ".ssh" / "id_rsa")).status == "denied"


def test_the_example_is_small_and_needs_what_it_says(count_words: Tool) -> None:
    source = (EXAMPLE / "hermes_tools_example.py").read_text()
    (handler,) = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.AsyncFunctionDef)]
    assert handler.end_lineno is not None and handler.end_lineno - handler.lineno <= 20
    assert len(source.splitlines()) <= 40
    assert re.search(
        r'^count_words = "hermes_tools_example:count_words"$', (EXAMPLE / "pyproject.toml").read_text(), re.M
    )
