"""The catalogue: built-in tools, tools of installed packages, and broken ones that harm nobody."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from model_tools import ahandle_function_call
from tools.catalog import (
    TOOL_MODULES,
    BrokenToolError,
    UnknownToolError,
    available_tools,
    load_tool,
    third_party_tools,
)
from tools.surroundings import Surroundings

GOOD = """
from tools.tool import ok_reply, tool

@tool(effects=("read",))
async def {name}(runtime, text: str):
    '''Say it back.'''
    return ok_reply(text=text)
"""
FILE_TOOLS = ["read_file", "write_file", "patch", "search_files", "todo", "clarify"]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path in which packages can be installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(folder: Path, package: str, tool: str, source: str, target: str = "") -> None:
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hermes.tools]\n{tool} = {target or f'{module}:{tool}'}\n")


@pytest.mark.parametrize("name", TOOL_MODULES)
def test_every_built_in_tool_loads_with_a_schema_of_its_name(name: str) -> None:
    schema = load_tool(name).schema()
    assert schema["function"]["name"] == name
    assert schema["function"]["description"]


def test_the_file_todo_and_clarify_tools_cost_at_most_a_thousand_tokens() -> None:
    schemas = [load_tool(name).schema() for name in FILE_TOOLS]
    size = sum(
        len(json.dumps(schema, separators=(",", ":"), ensure_ascii=False).encode()) for schema in schemas
    )
    assert size / 4 <= 1000


def test_loading_one_tool_imports_its_module_alone() -> None:
    code = (
        "import sys; from tools.catalog import load_tool; load_tool('todo');"
        "print(sorted(m for m in sys.modules if m.startswith('tools.')), 'importlib.metadata' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert (
        output
        == "['tools.catalog', 'tools.runtime', 'tools.surroundings', 'tools.todo_tool', 'tools.tool'] False\n"
    )


def test_the_default_tools_are_selected_without_anything_heavy() -> None:
    code = (
        "import sys; from model_tools import select_tools; select_tools(['default']);"
        "heavy = 'openai httpx httpx2 rich bs4 lxml markdownify pypdf ddgs firecrawl mcp sqlite3 PIL "
        "importlib.metadata tools.browser.session tools.network.guard'.split();"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_package_adds_a_tool(packages: Path) -> None:
    install(packages, "hermes-echo", "echo_text", GOOD.format(name="echo_text"))
    assert load_tool("echo_text").name == "echo_text"
    assert ("echo_text", "package hermes-echo") in third_party_tools()


def test_a_tool_whose_name_no_request_can_carry_is_refused(packages: Path) -> None:
    install(packages, "dotted", "files.read", GOOD.format(name="read"), "dotted:read")
    with pytest.raises(BrokenToolError, match="no name for a tool"):
        load_tool("files.read")
    assert "no name for a tool" in asyncio.run(ahandle_function_call("files.read", {}))


def test_a_package_cannot_replace_a_built_in_tool(packages: Path) -> None:
    install(packages, "sly", "terminal", GOOD.format(name="terminal"))
    assert load_tool("terminal").handler.__module__ == "tools.terminal_tool"
    assert ("terminal", "package sly") in third_party_tools()


@pytest.mark.parametrize(
    ("source", "target", "word"),
    [
        ("raise RuntimeError('no licence')", "", "no licence"),
        ("import module_that_is_missing", "", "module_that_is_missing"),
        ("x = (", "", "SyntaxError"),
        ("bad_tool = 42", "", "is a int, not a tool"),
        ("", "", "bad_tool"),
        (GOOD.format(name="other_name"), "bad_package:other_name", "calls itself 'other_name'"),
        ("import sys; sys.exit(3)", "", "SystemExit"),
        (
            GOOD.format(name="bad_tool").replace("text: str", "text: bytes"),
            "",
            "no model can be told the parameters",
        ),
    ],
)
def test_a_broken_package_is_named_with_its_reason_and_takes_nothing_down(
    packages: Path, source: str, target: str, word: str
) -> None:
    install(packages, "bad-package", "bad_tool", source, target)
    sys.modules.pop("bad_package", None)
    usable, unavailable = available_tools(["todo", "bad_tool", "clarify"], Surroundings())
    assert [tool.name for tool in usable] == ["todo", "clarify"]
    assert [each.name for each in unavailable] == ["bad_tool"]
    assert "package bad-package" in unavailable[0].reason
    assert word in unavailable[0].reason
    sys.modules.pop("bad_package", None)


def test_two_packages_with_one_name_are_both_named(packages: Path) -> None:
    install(packages, "first-one", "twin", GOOD.format(name="twin"))
    install(packages, "second-one", "twin", GOOD.format(name="twin"))
    with pytest.raises(BrokenToolError, match=r"first-one.*second-one|second-one.*first-one"):
        load_tool("twin")


def test_a_requirement_that_is_not_met_is_the_reason(packages: Path) -> None:
    source = GOOD.replace('("read",)', '("read",), requires=lambda around: "needs a key: set X_KEY"')
    install(packages, "needy", "needy_tool", source.format(name="needy_tool"))
    assert available_tools(["needy_tool"], Surroundings())[1][0].reason == "needs a key: set X_KEY"


def test_what_several_tools_require_is_looked_for_once(packages: Path) -> None:
    (packages / "looks.py").write_text(
        "seen = []\ndef check(around):\n    seen.append(around)\n    return 'needs a key'\n"
    )
    source = "from looks import check\n" + GOOD.replace('("read",)', '("read",), requires=check')
    for name in ("one", "two"):
        install(packages, f"pack-{name}", name, source.format(name=name))
    _, unavailable = available_tools(["one", "two"], Surroundings())
    assert [each.reason for each in unavailable] == ["needs a key"] * 2
    assert len(sys.modules.pop("looks").seen) == 1


def test_a_check_that_fails_itself_is_reported(packages: Path) -> None:
    source = GOOD.replace('("read",)', '("read",), requires=lambda around: 1 / 0')
    install(packages, "shaky", "shaky_tool", source.format(name="shaky_tool"))
    assert "ZeroDivisionError" in available_tools(["shaky_tool"], Surroundings())[1][0].reason


def test_an_unknown_tool_brings_up_the_nearest() -> None:
    with pytest.raises(UnknownToolError, match="did you mean read_file"):
        load_tool("readfile")
