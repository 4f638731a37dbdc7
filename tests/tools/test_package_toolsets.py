"""The toolsets that installed packages bring: there when they are named, and free as long as they are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model_tools import added_toolsets, get_tool_definitions, select_tools
from settings import Settings, ToolsetSettings, ToolsSettings
from tools.surroundings import Surroundings
from toolsets import ToolsetError

SOURCE = """
from tools.tool import ok_reply, tool

@tool(effects=("read",))
async def {name}(runtime, text: str):
    '''Say it back.'''
    return ok_reply(text=text)
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a package of two tools, and one that is named like a toolset."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "hermes-echo", "echo_low", "echo_high")
    install(tmp_path, "terminal", "echo_terminal")
    return tmp_path


def install(folder: Path, package: str, *tools: str) -> None:
    module = f"module_of_{package.replace('-', '_')}"
    (folder / f"{module}.py").write_text("".join(SOURCE.format(name=name) for name in tools))
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{tool} = {module}:{tool}" for tool in tools]
    (info / "entry_points.txt").write_text("\n".join(["[hermes.tools]", *lines, ""]))


def around(**custom: ToolsetSettings) -> Surroundings:
    return Surroundings(Settings(tools=ToolsSettings(custom=custom)))


def test_all_tools_of_a_package_are_a_toolset_with_its_name(packages: Path) -> None:
    usable, _ = select_tools(["hermes-echo"], around=around())
    assert [tool.name for tool in usable] == ["echo_high", "echo_low"]
    usable, _ = select_tools(["todo", "hermes-echo"], ["hermes-echo"], around())
    assert [tool.name for tool in usable] == ["todo"]


def test_a_package_is_in_no_conversation_unless_it_is_named(packages: Path, home: Path) -> None:
    names = {each["function"]["name"] for each in get_tool_definitions()}
    assert not names & {"echo_low", "echo_high", "echo_terminal"}
    assert "echo_low" in {each["function"]["name"] for each in get_tool_definitions(["hermes-echo"])}


def test_the_persons_own_toolset_can_include_it_or_take_its_name(packages: Path) -> None:
    mine = ToolsetSettings(tools=["todo"], includes=["hermes-echo"])
    usable, _ = select_tools(["mine"], around=around(mine=mine))
    assert [tool.name for tool in usable] == ["todo", "echo_high", "echo_low"]
    own = around(**{"hermes-echo": ToolsetSettings(tools=["echo_low"])})
    assert [tool.name for tool in select_tools(["hermes-echo"], around=own)[0]] == ["echo_low"]


def test_a_package_does_not_take_the_name_of_a_built_in_toolset(packages: Path) -> None:
    assert "terminal" not in added_toolsets(around())
    usable, _ = select_tools(["terminal"], around=around())
    assert [tool.name for tool in usable] == ["terminal", "process"]


def test_an_unknown_name_is_still_unknown(packages: Path) -> None:
    with pytest.raises(ToolsetError, match="did you mean 'hermes-echo'"):
        select_tools(["hermes-eco"], around=around())


def test_packages_are_not_looked_for_where_all_names_are_known() -> None:
    code = (
        "import sys; from model_tools import select_tools; from tools.surroundings import Surroundings; "
        "select_tools(['default'], ['todo'], Surroundings()); print('importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
