"""`hermes skills`: what skills there are, what is wrong with some, and where they lie."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from commands.tool_listing import print_table
from safety.paths import canonical
from safety.terminal_text import escape_json, neutralize
from tools.skills.library import PROJECT_FOLDERS, Library, load_library, places
from tools.skills.skill import SKILL_FILE, Skill, SkillError, advice, read_skill
from tools.surroundings import Surroundings, surroundings_here


@click.group()
def skills() -> None:
    """List, read and check skills: folders with a SKILL.md that teach the agent a kind of work."""


@skills.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_command(as_json: bool) -> None:
    """List the skills, and why some are not used."""
    around = surroundings_here()
    library = load_library(around)
    rows = _rows(library)
    if as_json:
        click.echo(escape_json(msgspec.json.encode({"skills": rows}).decode()))
        return
    if rows:
        heads = ("SKILL", "CATEGORY", "STATE", "")
        print_table(heads, [(row["name"], row["category"] or "-", row["state"], row["text"]) for row in rows])
    else:
        click.echo(f"No skills. Put folders with a {SKILL_FILE} into {around.home / 'skills'}", err=True)
    _tell_untrusted(around)


@skills.command()
@click.argument("name")
@click.argument("file", default="")
def show(name: str, file: str) -> None:
    """Print the skill NAME, or a FILE of it."""
    try:
        skill = load_library(surroundings_here()).find(name)
        text = skill.file(file or SKILL_FILE)
    except SkillError as error:
        raise click.ClickException(neutralize(str(error))) from None
    click.echo(neutralize(text))


@skills.command()
@click.argument("folder", nargs=-1, type=click.Path(exists=True, file_okay=False))
def check(folder: tuple[str, ...]) -> None:
    """Check the skill in each FOLDER, or all there are. Fails where one is broken."""
    if folder:
        found = [read_skill(canonical(each), "") for each in folder]
    else:
        library = load_library(surroundings_here())
        found = [*library.skills.values(), *library.hidden, *library.broken]
    for skill in found:
        if skill.problem:
            click.echo(neutralize(f"{skill.folder}: broken: {skill.problem}"))
        for text in advice(skill):
            click.echo(neutralize(f"{skill.folder}: {text}"))
    broken = sum(bool(skill.problem) for skill in found)
    click.echo(f"{len(found)} checked, {broken} broken")
    if broken:
        click.get_current_context().exit(1)


@skills.command()
def path() -> None:
    """Print where skills are looked for. What comes first wins."""
    around = surroundings_here()
    for place in places(around):
        click.echo(f"{place.folder}{'' if os.path.isdir(place.folder) else '  (is not there)'}")
    _tell_untrusted(around)


def _rows(library: Library) -> list[dict[str, str]]:
    rows = [_row(skill, "on", skill.description) for skill in library.skills.values()]
    for skill in library.hidden:
        rows.append(
            _row(skill, "hidden", f"{library.skills[skill.key].folder} has the same name and comes first")
        )
    return rows + [_row(skill, "broken", f"{skill.problem} ({skill.folder})") for skill in library.broken]


def _row(skill: Skill, state: str, text: str) -> dict[str, str]:
    return {
        "name": skill.name, "category": skill.category, "state": state, "text": text, "folder": skill.folder,
    }  # fmt: skip


def _tell_untrusted(around: Surroundings) -> None:
    if around.trusted:
        return
    for name in PROJECT_FOLDERS:
        if Path(around.cwd, name).is_dir():
            click.echo(f"{name} is not used: this folder is not trusted (hermes config trust)", err=True)
