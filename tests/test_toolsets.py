"""toolsets.py: what belongs together, and every way to get it wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from settings import ToolsetSettings
from tools.catalog import TOOL_MODULES
from toolsets import TOOLSETS, ToolsetError, resolve_toolset, select_tools, validate_toolset

Custom = dict[str, ToolsetSettings]


def own(**sets: tuple[list[str], list[str]]) -> Custom:
    return {name: ToolsetSettings(tools=tools, includes=includes) for name, (tools, includes) in sets.items()}


def test_every_built_in_toolset_resolves_to_tools_that_exist() -> None:
    for name in TOOLSETS:
        tools = resolve_toolset(name)
        assert tools
        assert len(set(tools)) == len(tools)
        assert set(tools) <= set(TOOL_MODULES)
    assert set(resolve_toolset("all")) == set(TOOL_MODULES)


def test_the_safe_toolset_can_only_read_and_look_at_the_web() -> None:
    from tools.catalog import load_tool

    effects = {name: set(load_tool(name).effects) for name in resolve_toolset("safe")}
    assert all(each in ({"read"}, {"read", "net"}) for each in effects.values())


def test_the_order_is_own_tools_first_then_those_included_and_stable() -> None:
    custom = own(top=(["z", "a"], ["one", "two"]), one=(["m", "z"], []), two=(["b", "m"], []))
    assert resolve_toolset("top", custom) == ["z", "a", "m", "b"]
    assert [resolve_toolset("default") for _ in range(5)] == [resolve_toolset("default")] * 5


def test_a_diamond_is_no_circle_and_repeats_count_once() -> None:
    custom = own(
        top=([], ["left", "right"]), left=(["l"], ["base"]), right=(["r"], ["base"]), base=(["b"], [])
    )
    assert resolve_toolset("top", custom) == ["l", "b", "r"]


@pytest.mark.parametrize(
    ("custom", "start", "path"),
    [
        (own(a=([], ["a"])), "a", "a -> a"),
        (own(a=([], ["b"]), b=([], ["a"])), "a", "a -> b -> a"),
        (own(start=([], ["a"]), a=([], ["b"]), b=([], ["c"]), c=([], ["a"])), "start", "a -> b -> c -> a"),
    ],
)
def test_a_circle_is_named_by_its_path(custom: Custom, start: str, path: str) -> None:
    with pytest.raises(ToolsetError) as caught:
        resolve_toolset(start, custom)
    assert str(caught.value).endswith(f": {path}")
    assert not validate_toolset(start, custom)


def test_an_unknown_name_brings_up_the_nearest_and_who_wanted_it() -> None:
    with pytest.raises(ToolsetError, match="unknown toolset 'termnal'; did you mean 'terminal'"):
        resolve_toolset("termnal")
    with pytest.raises(ToolsetError, match="included by 'mine'"):
        resolve_toolset("mine", own(mine=([], ["fiel"])))
    with pytest.raises(ToolsetError, match="there are: terminal, file"):
        resolve_toolset("qqq")
    assert not validate_toolset("qqq")
    assert validate_toolset("file")


def test_a_toolset_of_ones_own_may_not_take_a_built_in_name() -> None:
    with pytest.raises(ToolsetError, match=r"tools\.custom\.file"):
        resolve_toolset("todo", own(file=(["x"], [])))


def test_disabled_wins_over_enabled_in_any_order() -> None:
    left = select_tools(["default"], ["terminal", "clarify"])
    assert left[:5] == ["read_file", "write_file", "patch", "search_files", "web_search"]
    assert not {"terminal", "process", "clarify"} & set(left)
    assert select_tools(["safe", "file"], ["file", "web"]) == ["todo", "clarify"]
    assert select_tools([], []) == []
    assert select_tools(["todo", "todo"]) == ["todo"]


def test_toolsets_of_ones_own_can_be_enabled_and_disabled() -> None:
    custom = own(mine=(["other"], ["todo"]))
    assert select_tools(["mine"], [], custom) == ["other", "todo"]
    left = select_tools(["default", "mine"], ["mine"], custom)
    assert "clarify" in left
    assert not {"other", "todo"} & set(left)


def test_an_unknown_disabled_toolset_is_an_error_and_not_passed_over() -> None:
    with pytest.raises(ToolsetError, match="terminall"):
        select_tools(["default"], ["terminall"])


def test_resolving_imports_no_tool() -> None:
    code = (
        "import sys, toolsets; toolsets.select_tools(['all']);"
        "print([name for name in sys.modules if name.startswith('tools.')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
