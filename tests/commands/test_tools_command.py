"""`hermes tools` and `hermes toolsets`, as a person or a script sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def configure(home: Path) -> Any:
    def write(text: str) -> None:
        folder = home / ".hermes"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(text)

    return write


def hermes(*arguments: str, code: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *arguments], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def rows(command: str, code: int = 0) -> dict[str, Any]:
    data = json.loads(hermes(command, "--json", code=code)[0])
    return {row["name"]: row for row in data[command]} | {"": data}


def test_by_default_every_built_in_tool_is_on_and_costs_something_or_says_why_not() -> None:
    found = rows("tools")
    tools = [row for name, row in found.items() if name]
    assert {row["name"] for row in tools} >= {"terminal", "process", "read_file", "patch", "todo", "clarify"}
    assert all(row["source"] == "built-in" for row in tools)
    assert all(row["tokens"] > 0 for row in tools)
    assert all(row["on"] or row["why"] for row in tools)
    assert found[""]["tokens"] == sum(row["tokens"] for row in tools if row["on"])
    assert found["read_file"]["toolsets"] == ["file", "default", "safe", "all"]


def test_a_tool_that_is_off_says_what_turns_it_on(configure: Any) -> None:
    configure("tools:\n  enabled: [terminal, todo]\n  disabled: [todo]\n")
    found = rows("tools")
    assert found["terminal"]["on"]
    assert not found["todo"]["on"]
    assert "tools.disabled" in found["todo"]["why"]
    assert found["patch"]["why"] == (
        "turn it on with --toolsets terminal,todo,file, or add file to tools.enabled"
    )
    sets = rows("toolsets")
    assert [sets[name]["state"] for name in ("terminal", "todo", "file", "default")] == [
        "on", "off", "off", "partly",
    ]  # fmt: skip


def test_a_toolset_of_ones_own_is_marked_and_can_hold_unknown_tools(configure: Any) -> None:
    configure("tools:\n  enabled: [mine]\n  custom:\n    mine:\n      tools: [todo, nix]\n")
    mine = rows("toolsets")["mine"]
    assert (mine["custom"], mine["state"], mine["tools"]) == (True, "partly", ["todo", "nix"])
    assert "nix" in mine["why"]
    assert "there is no tool 'nix'" in rows("tools")["nix"]["why"]
    assert "mine (yours)" in hermes("toolsets")[0]


def test_broken_toolsets_are_shown_with_their_error_and_do_not_hide_the_others(configure: Any) -> None:
    configure(
        "tools:\n  enabled: [todo, termnal]\n  custom:\n    a: {includes: [b]}\n    b: {includes: [a]}\n"
        "    file: {tools: [todo]}\n"
    )
    found = rows("toolsets", code=1)
    assert found["a"]["state"] == "broken"
    assert "a -> b -> a" in found["a"]["why"]
    assert found["todo"]["state"] == "on"
    problems = " ".join(found[""]["problems"])
    assert "tools.custom.file" in problems
    assert "did you mean 'terminal'" in problems
    assert "error: tools.enabled" in hermes("tools", code=1)[1]


def test_each_tool_stands_once_below_its_toolset_aligned_and_without_escape_sequences() -> None:
    text, _ = hermes("tools")
    lines = text.splitlines()
    assert lines[0].split() == ["TOOL", "STATE", "TOKENS"]
    column = lines[0].index("STATE")
    named = [line for line in lines[1:-2] if line[:6].strip()]
    assert all(line[column : column + 6].strip() in ("on", "off", "partly") for line in named)
    tools = [line.split()[0] for line in named if line.startswith("  ")]
    assert len(tools) == len(set(tools))
    assert lines.index(next(line for line in lines if line.startswith("file"))) < lines.index(
        next(line for line in lines if line.startswith("  read_file"))
    )
    assert "\x1b" not in text
    assert "tokens in each request" in lines[-1]


def test_one_tool_is_told_as_the_model_reads_it() -> None:
    text, _ = hermes("tools", "read_file")
    assert text.startswith("read_file: on, about ")
    assert "effects: read" in text
    assert "path (string, required)" in text
    told = json.loads(hermes("tools", "read_file", "--json")[0])
    assert told["effects"] == ["read"]
    assert told["home"] == "file"
    assert told["parameters"]["required"] == ["path"]
    assert "did you mean read_file" in hermes("tools", "readfile", code=1)[1]


def test_a_toolset_can_be_asked_for_by_name_and_its_tools_are_shown(configure: Any) -> None:
    configure("tools: {enabled: [terminal]}\n")
    for command in ("tools", "toolsets"):
        lines = hermes(command, "web")[0].splitlines()
        assert lines[0].split() == ["TOOLSET", "STATE", "TOKENS"]
        assert lines[1].split()[:2] == ["web", "off"]
        assert "turn it on with --toolsets terminal,web" in lines[2]
        assert [each.split()[:2] for each in lines[3:]] == [
            [name, "off"] for name in ("web_search", "web_extract", "web_crawl")
        ]
        told = json.loads(hermes(command, "web", "--json")[0])
        assert told["toolset"]["name"] == "web"
        assert [each["name"] for each in told["tools"]] == told["toolset"]["tools"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tools", "wbe"), "there is no tool and no toolset 'wbe'; did you mean web?"),
        (("toolsets", "termnal"), "there is no toolset 'termnal'; did you mean terminal?"),
        (("toolsets", "qqqqqq"), "there is no toolset 'qqqqqq'; hermes toolsets lists them all"),
        (("toolsets", "read_file"), "read_file is a tool, not a toolset; see: hermes tools read_file"),
    ],
)
def test_a_name_that_is_not_known_is_told_with_the_nearest(arguments: tuple[str, ...], told: str) -> None:
    assert told in hermes(*arguments, code=1)[1]


def test_defaults_of_a_tool_are_shown() -> None:
    assert "limit (integer, default 5)" in hermes("tools", "web_search")[0]
    assert "query (string, required)" in hermes("tools", "web_search")[0]
    told = json.loads(hermes("tools", "web_search", "--json")[0])
    assert told["defaults"] == {"limit": 5}


def test_a_description_is_folded_once_whatever_lines_it_was_written_in() -> None:
    command = [str(ROOT / "cli.py"), "tools", "execute_code"]
    child = pexpect.spawn(sys.executable, command, dimensions=(60, 80), encoding="utf-8", timeout=30)
    child.expect(pexpect.EOF)
    child.close()
    text = (child.before or "").replace("\r", "")
    lines = next(each for each in text.split("\n\n") if "hermes_tools" in each).splitlines()
    assert len(lines) > 2
    words = [each.split()[0] for each in lines[1:]]
    assert all(len(line) + 1 + len(word) > 80 for line, word in zip(lines[:-1], words, strict=True)), (
        lines
    )  # no line ends before it must


def test_hostile_text_in_a_description_does_not_reach_the_terminal(configure: Any) -> None:
    configure('tools:\n  custom:\n    mine: {description: "a\\x1b]0;owned\\x07b", tools: [todo]}\n')
    assert "\x1b]" not in hermes("toolsets")[0]


@pytest.mark.parametrize("command", ["tools", "toolsets"])
def test_it_fits_a_terminal_of_80_columns(command: str, configure: Any) -> None:
    configure(
        "tools:\n  custom:\n    mine:\n      tools: [todo, an_unknown_tool]\n"
        "      description: A toolset that is described with more words than a line of 80 columns holds\n"
    )
    child = pexpect.spawn(
        sys.executable, [str(ROOT / "cli.py"), command], dimensions=(60, 80), encoding="utf-8", timeout=30
    )
    child.expect(pexpect.EOF)
    lines = (child.before or "").splitlines()
    child.close()
    assert any("search_files" in line for line in lines)
    assert any("there is no tool" in line or "an_unknown_tool" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert child.exitstatus == 0
