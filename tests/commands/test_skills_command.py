"""`hermes skills`, through its real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.skills import skills
from configuration.home import trust

GOOD = "---\nname: {name}\ndescription: {text}\n---\n# How\n"


@pytest.fixture
def own(home: Path) -> Path:
    return home / ".hermes" / "skills"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder: Path, name: str, text: str = "Does it.") -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "SKILL.md").write_text(GOOD.format(name=name, text=text))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(skills, list(arguments))


def test_the_list_says_what_is_on_hidden_and_broken(own: Path, project: Path) -> None:
    put(own / "ops", "deploy", "Mine.")
    put(project / ".hermes" / "skills", "deploy", "Of the project.")
    (own / "bad").mkdir()
    (own / "bad" / "SKILL.md").write_text("no header")
    trust(project)
    rows = {row["state"]: row for row in json.loads(run("list", "--json").stdout)["skills"]}
    assert rows["on"]["text"] == "Of the project."
    assert rows["hidden"]["folder"] == str(own / "ops" / "deploy")
    assert "comes first" in rows["hidden"]["text"]
    assert "header" in rows["broken"]["text"]
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["SKILL", "CATEGORY", "STATE"]
    assert lines[1].split()[:3] == ["deploy", "-", "on"]


def test_skills_of_a_folder_that_is_not_trusted_are_told_of(own: Path, project: Path) -> None:
    put(project / ".claude" / "skills", "deploy")
    result = run("list")
    assert result.stdout == ""
    assert str(own) in result.stderr
    assert ".claude/skills is not used: this folder is not trusted" in result.stderr
    trust(project)
    assert "deploy" in run("list").stdout


def test_show_prints_a_skill_or_a_file_of_it_and_nothing_else(own: Path, project: Path) -> None:
    put(own, "deploy")
    (own / "deploy" / "notes.md").write_text("a \x1b[2J note")
    assert run("show", "deploy").stdout.startswith("---\nname: deploy\n")
    assert run("show", "deploy", "notes.md").stdout.startswith("a ")
    assert "\x1b" not in run("show", "deploy", "notes.md").stdout
    refused = run("show", "deploy", "../../config.yaml")
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_check_fails_where_one_is_broken_and_gives_advice(own: Path, project: Path) -> None:
    put(own, "deploy")
    assert run("check").stdout == "1 checked, 0 broken\n"
    put(project, "Odd Name")
    (project / "bad").mkdir()
    (project / "bad" / "SKILL.md").write_text("---\nname: x\n")
    result = run("check", "Odd Name", "bad")
    assert result.exit_code == 1
    assert "small letters, digits and hyphens" in result.stdout
    assert "broken: its SKILL.md has a header without an end" in result.stdout
    assert result.stdout.endswith("2 checked, 1 broken\n")


def test_path_lists_the_places_in_their_order(own: Path, project: Path) -> None:
    trust(project)
    put(own, "deploy")
    assert run("path").stdout.splitlines() == [
        f"{project / '.hermes' / 'skills'}  (is not there)",
        f"{project / '.claude' / 'skills'}  (is not there)",
        str(own),
    ]
