"""Skills, as the model finds and reads them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from safety.paths import is_within
from tools.runtime import ToolReply, ToolRuntime
from tools.skills.library import Library, has_skills, load_library
from tools.skills.skill import Skill, SkillError
from tools.surroundings import Surroundings, surroundings_here
from tools.tool import error_reply, ok_reply, tool

_MOST_SHOWN = 40_000
"""Characters of one file that the model reads."""
_MOST_LISTED = 8_000
_MOST_LINES = 1_500
_DESCRIPTIONS = (200, 100, 60, 30, 0)
"""Characters of a description, the longest first, that are tried where all must fit in a room."""


def check_skills_requirements(around: Surroundings | None = None) -> str:
    around = around or surroundings_here()
    if has_skills(around):
        return ""
    return f"there are no skills; put a folder with a SKILL.md into {around.home / 'skills'}"


def skills_lines(around: Surroundings) -> str:
    """For the system text: each skill on a line, "" where there are none; at most 1,500 characters."""
    skills = list(load_library(around).skills.values())
    if not skills:
        return ""
    head = "Skills: instructions for kinds of work. Before work that one fits, read it with skill_view."
    for longest in _DESCRIPTIONS:
        text = "\n".join([head, *(_line(skill, longest) for skill in skills)])
        if len(text) <= _MOST_LINES:
            return text
    lines, room = [head], _MOST_LINES - len(head) - 60
    for skill in skills:
        line = _line(skill, 0)
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return "\n".join([*lines, f"and {len(skills) - len(lines) + 1} more, which skills_list names"])


@tool(effects=("read",), requires=check_skills_requirements)
async def skills_list(runtime: ToolRuntime, category: str = "") -> ToolReply:
    """List skills by category."""
    library = await asyncio.to_thread(load_library, runtime.around)
    skills = list(library.skills.values())
    if category:
        wanted = category.strip("/")
        skills = [
            each for each in skills if each.category == wanted or each.category.startswith(f"{wanted}/")
        ]
        if not skills:
            known = sorted({each.category for each in library.skills.values()} - {""})
            return error_reply(f"there is no category {category[:80]!r}", categories=known)
    for longest in _DESCRIPTIONS:
        found: dict[str, dict[str, str]] = {}
        for skill in skills:
            found.setdefault(skill.category, {})[skill.name] = _shortened(skill.description, longest)
        if len(json.dumps(found, ensure_ascii=False)) <= _MOST_LISTED:
            break
    else:
        counts = {name: len(each) for name, each in found.items()}
        return ok_reply(categories=counts, note="too many for one list; give a category")
    return ok_reply(skills=found)


@tool(effects=("read",), requires=check_skills_requirements)
async def skill_view(runtime: ToolRuntime, name: str, path: str = "") -> ToolReply:
    """Read a skill's instructions, or a file of it by its path."""
    try:
        skill, text, files = await asyncio.to_thread(_look, runtime.around, name, path)
    except SkillError as error:
        return error_reply(str(error))
    reply: dict[str, Any] = {"name": skill.name}
    if not path:
        reply |= {"description": skill.description, **_where(skill, runtime), "files": files}
    if len(text) > _MOST_SHOWN:
        reply["note"] = f"the first {_MOST_SHOWN} of {len(text)} characters"
    return ok_reply(**reply, content=text[:_MOST_SHOWN])


def _look(around: Surroundings, name: str, path: str) -> tuple[Skill, str, dict[str, list[str]]]:
    library: Library = load_library(around)
    skill = library.find(name)
    return (skill, skill.file(path), {}) if path else (skill, skill.text(), skill.files())


def _where(skill: Skill, runtime: ToolRuntime) -> dict[str, str]:
    """The folder, where commands can reach it. Confinement hides what is hermes's own."""
    confinement = runtime.sandbox.confinement
    own = any(is_within(skill.folder, place) for place in runtime.gate.protected)
    if confinement.here and (confinement.keys or not own):
        return {"folder": skill.folder}
    return {
        "scripts": "commands cannot reach the skill's folder; write what you want to run into yours first"
    }


def _line(skill: Skill, longest: int) -> str:
    text = _shortened(skill.description, longest)
    return f"- {skill.name}: {text}" if text else f"- {skill.name}"


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…" if longest else ""
