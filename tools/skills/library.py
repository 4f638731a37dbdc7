"""Which skills there are: those of the project, if its folder is trusted, then those of the person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from safety.paths import canonical, is_within
from tools.skills.skill import SKILL_FILE, Skill, SkillError, read_skill
from tools.surroundings import Surroundings

PROJECT_FOLDERS = (".hermes/skills", ".claude/skills")
"""Where a project keeps skills. The gate lets nothing be written in either without a person's word."""
_DEEPEST = 4
_MOST_FOLDERS = 2_000
"""How far down skills are looked for in one place, and in how many folders."""
_SKIPPED = frozenset({"node_modules", "__pycache__"})


class Place(Struct, frozen=True):
    """Where skills are looked for. `within`: links must not lead out of this folder, "" if they may."""

    folder: str
    within: str = ""


class Library(Struct):
    """`skills` by key, each the one that counts; `broken` cannot be used; `hidden` by another of its name."""

    skills: dict[str, Skill] = {}
    broken: list[Skill] = []
    hidden: list[Skill] = []

    def find(self, name: str) -> Skill:
        """The skill called `name`, or `CATEGORY/NAME`. Raises SkillError, which names the nearest."""
        category, _, last = name.strip().strip("/").rpartition("/")
        found = self.skills.get(last.casefold())
        if found is not None and category in ("", found.category):
            return found
        for broken in self.broken:
            if broken.key == last.casefold():
                raise SkillError(f"the skill {broken.name} is broken: {broken.problem}")
        import difflib

        names = [skill.name for skill in self.skills.values()]
        near = difflib.get_close_matches(last, names, n=3, cutoff=0.4) or names[:10]
        raise SkillError(f"there is no skill {name[:80]!r}; there is: {', '.join(near) or 'none'}")


def places(around: Surroundings) -> list[Place]:
    """Those that come first win. They may not exist. Of the working folder they count if it is trusted."""
    own = Place(str(around.home / "skills"))
    named = [_named(each, around) for each in around.settings.skills.folders if each]
    if not around.trusted or not around.cwd:
        return [own, *(Place(each) for each in named if os.path.isabs(each))]
    project = canonical(around.cwd)
    of_project = [Place(os.path.join(project, each), project) for each in PROJECT_FOLDERS]
    return [*of_project, own, *(Place(os.path.join(project, each)) for each in named)]


def load_library(around: Surroundings) -> Library:
    library = Library()
    seen: set[str] = set()
    for place in places(around):
        for skill in _skills_in(place):
            if skill.folder in seen:
                continue
            seen.add(skill.folder)
            if skill.problem:
                library.broken.append(skill)
            elif skill.key in library.skills:
                library.hidden.append(skill)
            else:
                library.skills[skill.key] = skill
    return library


def has_skills(around: Surroundings) -> bool:
    """Whether there is one that can be used, without looking at all."""
    return any(not skill.problem for place in places(around) for skill in _skills_in(place))


def _skills_in(place: Place) -> Iterator[Skill]:
    for folder, category in _skill_folders(place):
        yield read_skill(folder, category)


def _skill_folders(place: Place) -> Iterator[tuple[str, str]]:
    """Canonical folders with a SKILL.md, and the category of each; those of one category together."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(place.folder, ())]
    looked_at = 0
    seen: set[str] = set()
    while waiting and looked_at < _MOST_FOLDERS:
        named, above = waiting.pop()
        folder = canonical(named)
        looked_at += 1
        if folder in seen or (place.within and not is_within(folder, place.within)):
            continue
        seen.add(folder)
        if above and os.path.lexists(os.path.join(folder, SKILL_FILE)):
            yield folder, "/".join(above[:-1])
        elif len(above) < _DEEPEST:
            waiting += [(os.path.join(folder, name), (*above, name)) for name in _folders_in(folder)]


def _folders_in(folder: str) -> list[str]:
    """Backwards, as they are taken from the end of a list."""
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.name[0] != "." and each.is_dir()]
    except OSError:
        return []
    return sorted((name for name in names if name not in _SKIPPED), reverse=True)


def _named(folder: str, around: Surroundings) -> str:
    if folder == "~" or folder.startswith("~/"):
        return around.environ.get("HOME", str(Path.home())) + folder[1:]
    return folder
