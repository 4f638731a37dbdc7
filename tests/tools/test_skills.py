"""Skills: found where a person put them, read as they are meant, and never a way to other files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from conversation.blocking import run_blocking
from model_tools import call_tool
from safety.confinement import Confinement, ConfinementKind
from safety.gate import Gate
from sandboxes.local import LocalSandbox
from settings import Settings
from tools.catalog import load_tool
from tools.runtime import ToolRuntime
from tools.skills.library import load_library
from tools.skills.skill import MOST_BYTES, advice, read_skill
from tools.skills_tools import check_skills_requirements, skills_lines
from tools.surroundings import Surroundings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "skills" / "release-notes"
Put = Callable[..., Path]


@pytest.fixture
def own(home: Path) -> Path:
    """The person's folder of skills."""
    return home / ".hermes" / "skills"


@pytest.fixture
def put(own: Path) -> Put:
    """Writes a skill and returns its folder."""

    def write(
        name: str, description: str = "Does it.", body: str = "# How\n", *, under: Path = own, at: str = ""
    ) -> Path:
        folder = under / (at or name)
        folder.mkdir(parents=True)
        text = f"---\nname: {json.dumps(name)}\ndescription: {json.dumps(description)}\n---\n{body}"
        (folder / "SKILL.md").write_text(text)
        return folder

    return write


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def runtime(home: Path, project: Path) -> Iterator[ToolRuntime]:
    gate = Gate("ask", workspace=str(project), protected=(str(home / ".hermes"),))
    around = Surroundings(cwd=str(project))
    runtime = ToolRuntime(
        "task", LocalSandbox("task", str(project)), gate, settings=around.settings, around=around
    )
    yield runtime
    run_blocking(runtime.aclose())


def call(runtime: ToolRuntime, tool_name: str, /, **arguments: Any) -> dict[str, Any]:
    reply = run_blocking(call_tool(load_tool(tool_name), arguments, runtime))
    read: dict[str, Any] = json.loads(reply.content)
    return read


def names(around: Surroundings) -> list[str]:
    return [skill.name for skill in load_library(around).skills.values()]


def test_the_model_finds_and_reads_a_skill_and_what_lies_beside_it(runtime: ToolRuntime, put: Put) -> None:
    folder = put("deploy", "How to deploy.", "# Deploy\nSee references/hosts.md\n", at="ops/deploy")
    for path in ("references/hosts.md", "scripts/go.sh", "scripts/lib/x.sh", "LICENSE", ".git/config"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"text of {path}")
    assert call(runtime, "skills_list") == {"skills": {"ops": {"deploy": "How to deploy."}}}
    assert call(runtime, "skill_view", name="deploy") == {
        "name": "deploy",
        "description": "How to deploy.",
        "folder": str(folder),
        "files": {
            "": ["LICENSE"],
            "references": ["references/hosts.md"],
            "scripts": ["scripts/go.sh", "scripts/lib/x.sh"],
        },
        "content": "# Deploy\nSee references/hosts.md",
    }
    assert call(runtime, "skill_view", name="ops/Deploy", path="scripts/lib/x.sh") == {
        "name": "deploy", "content": "text of scripts/lib/x.sh",
    }  # fmt: skip
    assert runtime.gate.exposure.untrusted == ""


def test_without_a_skill_the_tools_are_absent_and_say_where_to_put_one(own: Path, put: Put) -> None:
    around = Surroundings()
    assert str(own) in check_skills_requirements(around)
    assert skills_lines(around) == ""
    (own / "empty").mkdir(parents=True)
    (own / "broken").mkdir()
    (own / "broken" / "SKILL.md").write_text("no header")
    assert check_skills_requirements(around)
    put("deploy")
    assert check_skills_requirements(around) == ""


BROKEN = {
    "no header": ("# Just text\n", "does not begin with a header"),
    "no end": ("---\nname: x\ndescription: y\n", "a header without an end"),
    "no name": ("---\ndescription: y\n---\n", "no name"),
    "empty description": ("---\nname: x\ndescription: ' '\n---\n", "no description"),
    "list": ("---\n- name\n---\n", "not a list of names"),
    "number": ("---\nname: 7\ndescription: y\n---\n", "no name"),
    "long name": (f"---\nname: {'x' * 65}\ndescription: y\n---\n", "65 characters, more than 64"),
    "long description": (f"---\nname: x\ndescription: {'y' * 1025}\n---\n", "1025 characters"),
    "slash": ("---\nname: a/b\ndescription: y\n---\n", "cannot have"),
    "escape": ('---\nname: "a\\e[2J"\ndescription: y\n---\n', "cannot have"),
    "colon": ("---\nname: x\ndescription: Use it: when\n---\n", "line 3); put text with a colon in quotes"),
    "tab": ("---\nname:\tx\n\t- y\n---\n", "not YAML"),
    "bad date": ("---\nname: x\ndescription: y\nwhen: 2026-13-45\n---\n", "not YAML"),
    "python tag": ("---\nname: !!python/object/apply:os.system [id]\n---\n", "not YAML"),
    "deep": (f"---\nname: {'[' * 15_000}\n---\n", "lists in lists"),
    "deep list": (f"---\n{'- ' * 7_000}x\n---\n", "lists in lists"),
    "deep map": ("---\n" + "".join(f"{' ' * n}a:\n" for n in range(100)) + "---\n", "lists in lists"),
    "endless": ("---\n" + "x: y\n" * 10_000 + "---\n", "without an end"),
    "binary": ("---\nname: x\0\n---\n", "is no text"),
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_header_is_told_to_people_and_the_skill_left_out_for_the_model(
    text: str, own: Path, put: Put, runtime: ToolRuntime
) -> None:
    content, reason = BROKEN[text]
    put("good")
    (own / "bad").mkdir()
    (own / "bad" / "SKILL.md").write_text(content)
    library = load_library(runtime.around)
    assert [skill.name for skill in library.broken] == ["bad"]
    assert reason in library.broken[0].problem
    assert "\n" not in library.broken[0].problem
    assert call(runtime, "skills_list")["skills"] == {"": {"good": "Does it."}}
    assert "the skill bad is broken" in call(runtime, "skill_view", name="bad")["error"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.binary(max_size=300) | some.text(max_size=200).map(lambda text: f"---\n{text}\n---\nbody".encode())
)
def test_no_file_can_break_the_listing(own: Path, content: bytes) -> None:
    folder = own / "bad"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_bytes(content)
    library = load_library(Surroundings())
    assert len(library.skills) + len(library.broken) == 1


def test_aliases_that_unfold_to_gigabytes_are_not_unfolded(own: Path, runtime: ToolRuntime) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (own / "bomb").mkdir(parents=True)
    (own / "bomb" / "SKILL.md").write_text(
        "---\nname: bomb\ndescription: boom\n" + "\n".join(lines) + "\n---\nBody\n"
    )
    assert "an alias" in call(runtime, "skill_view", name="bomb")["error"]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt", "references/../../secret.txt", "/etc/passwd", "..", "link.txt", "linked/secret.txt",
        "references", "missing.md", "pipe", "picture.png", "big.txt", "a\0b", "../../../.hermes/.env",
        "./../secret.txt",
    ],
)  # fmt: skip
def test_a_path_reaches_nothing_but_texts_of_the_skill(
    path: str, put: Put, own: Path, runtime: ToolRuntime, tmp_path: Path
) -> None:
    folder = put("deploy")
    (own / "secret.txt").write_text("canary")
    (tmp_path / "secret.txt").write_text("canary")
    (own.parent / ".env").write_text("X_KEY=canary")
    (folder / "references").mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\0\0canary")
    with (folder / "big.txt").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    os.mkfifo(folder / "pipe")
    reply = call(runtime, "skill_view", name="deploy", path=path)
    assert set(reply) == {"error"}
    assert "canary" not in json.dumps(reply)


def test_a_link_inside_the_skill_is_followed(put: Put, runtime: ToolRuntime) -> None:
    folder = put("deploy")
    (folder / "real.md").write_text("text")
    (folder / "link.md").symlink_to("real.md")
    assert call(runtime, "skill_view", name="deploy", path="link.md")["content"] == "text"


def test_a_skill_file_that_is_a_link_to_elsewhere_is_broken(own: Path, tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("---\nname: x\ndescription: y\n---\n")
    (own / "bad").mkdir(parents=True)
    (own / "bad" / "SKILL.md").symlink_to(tmp_path / "other.md")
    assert "link that leads out" in load_library(Surroundings()).broken[0].problem


def test_a_project_brings_its_skills_only_when_its_folder_is_trusted(project: Path, put: Put) -> None:
    put("mine")
    put("theirs", under=project / ".hermes" / "skills")
    put("shared", under=project / ".claude" / "skills")
    assert names(Surroundings(cwd=str(project))) == ["mine"]
    assert names(Surroundings(cwd=str(project), trusted=True)) == ["theirs", "shared", "mine"]


def test_of_two_skills_of_one_name_that_of_the_project_counts(project: Path, put: Put) -> None:
    mine = put("Deploy", "Mine.", at="deploy")
    put("deploy", "Of the project.", under=project / ".hermes" / "skills")
    library = load_library(Surroundings(cwd=str(project), trusted=True))
    assert [skill.description for skill in library.skills.values()] == ["Of the project."]
    assert [skill.folder for skill in library.hidden] == [str(mine)]


def test_links_lead_out_of_a_person_s_folder_and_not_out_of_a_project(
    project: Path, put: Put, own: Path, tmp_path: Path
) -> None:
    elsewhere = put("far", under=tmp_path / "elsewhere")
    own.mkdir(parents=True)
    (own / "far").symlink_to(elsewhere)
    (project / ".hermes").mkdir()
    (project / ".hermes" / "skills").symlink_to(tmp_path / "elsewhere")
    around = Surroundings(cwd=str(project), trusted=True)
    assert [skill.folder for skill in load_library(around).skills.values()] == [str(elsewhere)]
    (own / "far").unlink()
    assert names(around) == []


def test_links_in_a_circle_and_deep_folders_end(own: Path, put: Put) -> None:
    put("one", at="a/one")
    (own / "a" / "loop").symlink_to(own)
    put("deepest", at="1/2/3/deepest")
    put("too-deep", at="1/2/3/4/too-deep")
    put("hidden", at=".cache/hidden")
    put("vendored", at="node_modules/vendored")
    put("inner", at="a/one/inner")
    skills = load_library(Surroundings()).skills.values()
    assert {(skill.name, skill.category) for skill in skills} == {("one", "a"), ("deepest", "1/2/3")}


def test_more_folders_can_be_named_in_the_settings(
    project: Path, put: Put, tmp_path: Path, home: Path
) -> None:
    put("absolute", under=tmp_path / "a")
    put("homely", under=home / "b")
    put("relative", under=project / "c")
    folders = [str(tmp_path / "a"), "~/b", "c", "", "/nowhere"]
    base = Settings()
    chosen = msgspec.structs.replace(base, skills=msgspec.structs.replace(base.skills, folders=folders))
    around = Surroundings(settings=chosen, cwd=str(project), trusted=True)
    assert names(around) == ["absolute", "homely", "relative"]


def test_a_category_narrows_the_list(runtime: ToolRuntime, put: Put) -> None:
    put("deploy", at="ops/deploy")
    put("watch", at="ops/cloud/watch")
    put("paint")
    listed = call(runtime, "skills_list", category="ops")["skills"]
    assert listed == {"ops": {"deploy": "Does it."}, "ops/cloud": {"watch": "Does it."}}
    assert call(runtime, "skills_list", category="art") == {
        "error": "there is no category 'art'", "categories": ["ops", "ops/cloud"],
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 8, 40, 300])
def test_what_the_model_is_told_at_the_start_is_bounded(count: int, put: Put, runtime: ToolRuntime) -> None:
    for number in range(count):
        put(
            f"skill-{number}",
            "Describes what it does at length. " * 20,
            at=f"group-{number % 7}/skill-{number}",
        )
    lines = skills_lines(runtime.around)
    assert len(lines) <= 1_500
    assert "skill_view" in lines
    shown = sum(line.startswith("- skill-") for line in lines.splitlines())
    assert shown == count or f"and {count - shown} more" in lines
    reply = run_blocking(call_tool(load_tool("skills_list"), {}, runtime)).content
    assert len(reply) < 9_000
    assert json.loads(reply).keys() <= {"skills", "categories", "note"}


def test_a_long_text_is_cut_and_that_is_said(put: Put, runtime: ToolRuntime) -> None:
    put("deploy", body="x" * 50_000)
    reply = call(runtime, "skill_view", name="deploy")
    assert len(reply["content"]) == 40_000
    assert reply["note"] == "the first 40000 of 50000 characters"


def test_an_unknown_name_brings_up_the_nearest(put: Put, runtime: ToolRuntime) -> None:
    put("deploy")
    assert call(runtime, "skill_view", name="depoly")["error"].endswith("there is: deploy")


def test_many_files_are_listed_in_part(put: Put, runtime: ToolRuntime) -> None:
    folder = put("deploy")
    (folder / "assets").mkdir()
    for number in range(300):
        (folder / "assets" / f"{number:03}.txt").touch()
    files = call(runtime, "skill_view", name="deploy")["files"]
    assert len(files["assets"]) == 200
    assert files[""] == ["…"]


def test_advice_names_what_the_layout_asks_for(put: Put) -> None:
    folder = put(
        "My Skill", body="[x](references/gone.md) [y](https://a.b/references/z.md)\n" + "x\n" * 600, at="x"
    )
    told = list(advice(read_skill(str(folder), "")))
    assert [each for each in told if "gone.md" in each]
    assert len(told) == 4


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_example_is_a_good_skill_and_its_script_runs(
    tmp_path: Path, runtime: ToolRuntime, own: Path
) -> None:
    skill = read_skill(str(EXAMPLE), "")
    assert (skill.problem, list(advice(skill))) == ("", [])
    own.mkdir(parents=True)
    (own / "release-notes").symlink_to(EXAMPLE)
    view = call(runtime, "skill_view", name="release-notes")
    script = Path(view["folder"], view["files"]["scripts"][0])

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    for number, tag in ((1, "v1"), (2, "")):
        (tmp_path / f"file{number}").touch()
        git("add", f"file{number}")
        git("commit", "-qm", f"Change {number}")
        if tag:
            git("tag", tag)
    printed = subprocess.run([script], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("since: v1\n")
    assert "Change 2" in printed and "file2" in printed and "Change 1" not in printed


@pytest.mark.parametrize("kind", get_args(ConfinementKind))
@pytest.mark.parametrize("whose", ["own", "project"])
def test_the_folder_is_told_where_commands_can_reach_it(
    kind: ConfinementKind, whose: str, put: Put, runtime: ToolRuntime, project: Path, own: Path
) -> None:
    folder = put("deploy", under=own if whose == "own" else project / ".hermes" / "skills")
    runtime.around = replace(runtime.around, trusted=True)
    runtime.sandbox.confinement = Confinement(kind, keys=kind == "none")
    view = call(runtime, "skill_view", name="deploy")
    reached = kind == "none" or (whose == "project" and kind in ("bubblewrap", "landlock"))
    assert (view.get("folder") == str(folder), "scripts" in view) == (reached, not reached)


def test_a_relative_folder_of_a_place_that_nobody_trusts_does_not_count(project: Path, put: Put) -> None:
    put("theirs", under=project / "skills")
    base = Settings()
    chosen = msgspec.structs.replace(base, skills=msgspec.structs.replace(base.skills, folders=["skills"]))
    assert names(Surroundings(chosen, cwd=str(project))) == []
    assert names(Surroundings(chosen, cwd=str(project), trusted=True)) == ["theirs"]


def test_a_header_of_aliases_is_refused_before_it_grows(put: Put) -> None:
    grown = "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 20))
    folder = put("bomb")
    (folder / "SKILL.md").write_text(f"---\nname: x\ndescription: y\na0: &a0 {{k: v}}\n{grown}\n---\n")
    assert "an alias" in read_skill(str(folder), "").problem
