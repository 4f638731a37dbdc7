"""The settings and programs that docs/extending.md and docs/hooks.md show are right as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from agent.assembly import personality_text
from batches.distributions import find_distribution
from settings import Settings, load_settings
from toolsets import resolve_toolset, select_tools

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def loaded(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    environ = {"HERMES_HOME": str(tmp_path)}
    return load_settings(cwd=tmp_path, project_trusted=False, environ=environ).settings


@pytest.mark.parametrize("block", [*blocks("extending.md", "yaml"), *blocks("hooks.md", "yaml")])
def test_settings_shown_can_be_loaded(block: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, block) != Settings()


def test_the_toolsets_shown_have_the_tools_they_speak_of(tmp_path: Path) -> None:
    (block,) = [each for each in blocks("extending.md", "yaml") if "custom:" in each]
    tools = loaded(tmp_path, block).tools
    assert resolve_toolset("looking", tools.custom) == ["read_file", "search_files"]
    assert select_tools(tools.enabled, (), tools.custom) == [
        "read_file",
        "search_files",
        "terminal",
        "process",
    ]


def test_the_personality_and_the_distribution_shown_can_be_chosen(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "".join(blocks("extending.md", "yaml")[-2:]))
    assert "worst fault first" in personality_text(settings, settings.agent.personality)
    assert find_distribution("careful", settings.distributions).toolsets == {
        "file": 100.0, "terminal": 60.0, "todo": 25.0,
    }  # fmt: skip


def test_the_tool_shown_is_that_of_the_example() -> None:
    example = ROOT / "examples" / "hermes-tools-example"
    (code,) = blocks("extending.md", "python")
    assert code in (example / "hermes_tools_example.py").read_text(encoding="utf-8")
    (project,) = blocks("extending.md", "toml")
    assert project in (example / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ({"command": "git push origin main"}, 2, ""),
        ({"path": "/srv/deploy/app.yaml"}, 0, "ask"),
        ({"command": "git status"}, 0, ""),
    ],
)
def test_the_guard_shown_does_what_its_first_line_says(
    tmp_path: Path, arguments: dict[str, str], code: int, word: str
) -> None:
    (script,) = [each for each in blocks("hooks.md", "sh") if "guard.sh" in each]
    guard = tmp_path / "guard.sh"
    guard.write_text(script)
    page = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    told = re.search(r"`(chmod \S+) ~/\.hermes/hooks/guard\.sh`", page)
    assert told is not None  # a file that was just written cannot be run
    subprocess.run([*told[1].split(), str(guard)], check=True)
    given = json.dumps({"event": "before_tool", "tool": "terminal", "arguments": arguments})
    done = subprocess.run([str(guard)], input=given, capture_output=True, text=True)
    assert done.returncode == code
    assert (json.loads(done.stdout)["decision"] if done.stdout else "") == word
    assert bool(done.stderr) == (code == 2)
