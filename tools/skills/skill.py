"""A skill as it lies on the disk, in the layout that agents share (https://agentskills.io/specification):

NAME/SKILL.md       a YAML header (name, description, …) between two lines `---`, then Markdown
NAME/references/    what SKILL.md points to; likewise templates/, scripts/, assets/
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from safety.paths import canonical, is_within, open_exact

SKILL_FILE = "SKILL.md"
MOST_BYTES = 1_000_000
"""Of one file; a larger one is refused."""
_HEADER_BYTES = 16_000
_DEEPEST = 20
_MOST_FILES = 200
_NAME_LENGTH = 64
_DESCRIPTION_LENGTH = 1_024
_MOST_LINES = 500
_PLAIN_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LINK = re.compile(r"\]\(((?:references|templates|scripts|assets)/[^)\s#]+)")
_HEADER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


class SkillError(ValueError):
    """A skill or a file of it cannot be used; the text says why."""


class Skill(Struct, frozen=True):
    """`folder` is canonical. `category` is the folders between the place searched and the skill's own.

    `problem` is "" for one that can be used; `name` is then from its header, else that of its folder.
    """

    name: str
    description: str
    category: str
    folder: str
    problem: str = ""

    @property
    def key(self) -> str:
        """Two skills with one key are the same to the model."""
        return self.name.casefold()

    def text(self) -> str:
        """The instructions: SKILL.md without its header. Raises SkillError."""
        whole = self.file(SKILL_FILE)
        header = _HEADER.match(whole)
        return whole[header.end() :].strip() if header else whole

    def file(self, path: str) -> str:
        """The text of a file by its path in the folder.

        Raises:
            SkillError: it is not there, is no text, is too large, or lies elsewhere.
        """
        if not path or "\0" in path or os.path.isabs(path) or ".." in path.split("/"):
            raise SkillError(f"{path[:200]!r} is no path in the skill's folder")
        real = canonical(os.path.join(self.folder, path))
        if not is_within(real, self.folder):
            raise SkillError(f"{path} leads out of the skill's folder")
        return _read(real, path)

    def files(self) -> dict[str, list[str]]:
        """The files beside SKILL.md, by folder ("" for those of none), as paths in the skill's folder."""
        found: dict[str, list[str]] = {}
        for count, path in enumerate(_paths_below(self.folder)):
            if count >= _MOST_FILES:
                found.setdefault("", []).append("…")
                break
            top, slash, _ = path.partition("/")
            found.setdefault(top if slash else "", []).append(path)
        return dict(sorted(found.items()))


def read_skill(folder: str, category: str) -> Skill:
    """The skill in canonical `folder`; what is wrong with it is its `problem`."""
    own = os.path.basename(folder)
    try:
        name, description = _name_and_description(folder)
    except SkillError as error:
        return Skill(own, "", category, folder, str(error))
    return Skill(name, description, category, folder)


def advice(skill: Skill) -> Iterator[str]:
    """What the layout asks for and a skill can be used without."""
    if skill.problem:
        return
    if not _PLAIN_NAME.fullmatch(skill.name):
        yield "the name should have small letters, digits and hyphens only"
    if skill.name != os.path.basename(skill.folder):
        yield f"the folder should be called as the skill: {skill.name}"
    try:
        text = skill.text()
    except SkillError as error:
        yield str(error)
        return
    if len(text.splitlines()) > _MOST_LINES:
        yield f"{SKILL_FILE} should have at most {_MOST_LINES} lines; move details to files beside it"
    for missing in _missing(skill, text):
        yield f"{SKILL_FILE} points to {missing}, which is not there"


def _missing(skill: Skill, text: str) -> Iterator[str]:
    for link in dict.fromkeys(_LINK.findall(text)):
        if not os.path.exists(os.path.join(skill.folder, link)):
            yield link


def _name_and_description(folder: str) -> tuple[str, str]:
    path = canonical(os.path.join(folder, SKILL_FILE))
    if not is_within(path, folder):
        raise SkillError(f"its {SKILL_FILE} is a link that leads out of the folder")
    header = _header(_read(path, SKILL_FILE, _HEADER_BYTES))
    name, description = header.get("name"), header.get("description")
    for field, value, most in (
        ("name", name, _NAME_LENGTH),
        ("description", description, _DESCRIPTION_LENGTH),
    ):
        if not isinstance(value, str) or not value.strip():
            raise SkillError(f"its header has no {field}")
        if len(value.strip()) > most:
            raise SkillError(
                f"the {field} in its header has {len(value.strip())} characters, more than {most}"
            )
    name, description = str(name).strip(), " ".join(str(description).split())
    if "/" in name or not name.isprintable():
        raise SkillError("the name in its header holds a character that a name cannot have")
    return name, description


def _header(text: str) -> dict[str, Any]:
    import yaml

    found = _HEADER.match(text)
    if found is None:
        start = (
            "does not begin with a header" if not text.startswith("---") else "has a header without an end"
        )
        raise SkillError(f"its {SKILL_FILE} {start}: name and description between two lines ---")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_growth(yaml.parse(found[1], Loader=loader))
        header = yaml.load(found[1], Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 2}" if error.problem_mark else ""
        hint = "; put text with a colon in quotes" if "mapping values" in str(error.problem) else ""
        raise SkillError(f"its header is not YAML ({error.problem}{line}){hint}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SkillError(f"its header is not YAML ({str(error).splitlines()[0][:100]})") from None
    if not isinstance(header, dict):
        raise SkillError("its header is not a list of names and values")
    return header


def _refuse_growth(events: Iterable[object]) -> None:
    """To build what is nested thousands of times takes the interpreter's stack; with aliases a few lines are
    millions."""
    depth = 0
    for event in events:
        kind = type(event).__name__
        if kind == "AliasEvent":
            raise SkillError("its header has an alias (*name), which no header needs")
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if depth > _DEEPEST:
            raise SkillError("its header has lists in lists in lists, too many to be one")


def _read(path: str, told: str, most: int = 0) -> str:
    """The text at canonical `path`; `most` bytes of it, or all."""
    try:
        with open(open_exact(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise SkillError(f"{told} is no file")
            if facts.st_size > MOST_BYTES and not most:
                raise SkillError(f"{told} has {facts.st_size} bytes, more than {MOST_BYTES}")
            data = file.read(most or MOST_BYTES)
    except OSError as error:
        raise SkillError(f"{told} cannot be read: {error.strerror or error}") from None
    if b"\0" in data:
        raise SkillError(f"{told} is no text; use it from the terminal")
    return data.decode("utf-8-sig", "replace").replace("\r\n", "\n")


def _paths_below(folder: str) -> Iterator[str]:
    """Files below `folder`, not through links to folders; hidden ones and SKILL.md left out."""
    for above, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if each[0] != "." and each != "__pycache__")
        inside = os.path.relpath(above, folder)
        for name in sorted(files):
            path = name if inside == "." else f"{inside}/{name}"
            if name[0] != "." and path != SKILL_FILE:
                yield path
