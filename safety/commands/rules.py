"""The tables of what may run unasked: programs, their subcommands, options and operands.

A rule is written in YAML (reading.yaml, git.yaml, project.yaml, …) under the name of its program, with its
subcommand where it has one; several names share a rule with `,` between. Its keys:

- `also`: more names, for lists that are long.
- `options`: what is allowed, blank-separated; all else is not. `-abc` are three flags, `--long` one;
  `-n=TYPE` and `--lines=TYPE` take a value (`--color=?` only a glued one, or none); `-#` is a number
  (`head -5`); one that ends in `!` counts only in a trusted folder. With `single: true` an option is one word
  behind one hyphen (`find -name`).
- `operands`: types in order; the last may end in `*` (any number), any in `?`. Without it there are none.
- `after`: options and words allowed after `--`, as regular expressions.
- `operands_with`: operands only together with one of these options; `need`: one of these must be there.
- `pattern_in`: with one of these options the first operand falls away (`grep -e`).
- `recursive`: options with which reading goes into folders; `always` for programs that always do.
- `project`: it runs what the project says, so it is for trusted folders or confined commands only.
- `wary`: so it is where one of these files lies in the folder or above.
- `effects`: `read` if not given.
- `verbatim`: every word is an operand (`echo -n`). `version`: options of which one must be there.
- `no_dashes`: `--` is not known to end the options.
- `leading`: options stand before operands; behind one they would mean something else (`command rm -v`).
- `git`: the settings of the repository must be harmless, too.
- `literal`: operands that mean something to the program (`find … ! -name`).

A type is one of values.py, or choices: `a|b|c`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSIONS = "versions.yaml"
TABLES = (VERSIONS, "reading.yaml", "git.yaml", "system.yaml", "project.yaml", "writing.yaml")

LONGEST_NAME = 5
"""Words: `poetry run python manage.py test`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """See the module's text. `flags` and `values` are options without and with a value."""

    name: str
    flags: frozenset[str]
    values: Mapping[str, str]
    trusted: frozenset[str]
    operands: tuple[str, ...]
    after: tuple[str, ...]
    operands_with: frozenset[str]
    need: frozenset[str]
    pattern_in: frozenset[str]
    recursive: frozenset[str]
    literal: frozenset[str]
    wary: tuple[str, ...]
    effects: tuple[str, ...]
    single: bool
    project: bool
    verbatim: bool
    leading: bool
    no_dashes: bool
    git: bool


def find_rule(words: list[str]) -> tuple[Rule, int] | None:
    """The rule for a command, and how many of its words name it: as many as there is a rule for."""
    if len(words) == 2 and (place := _names(VERSIONS).get(words[0])) is not None:
        asked = _rule(*place)
        if words[1] in asked.need:
            return asked, 1
    table = _table()
    for length in range(min(len(words), LONGEST_NAME), 0, -1):
        if (found := table.get(" ".join(words[:length]))) is not None:
            return _rule(*found), length
    return None


@functools.lru_cache(maxsize=1)
def _table() -> dict[str, tuple[str, str]]:
    """Each name with the table and the key under which its rule stands; a later table wins."""
    return {name: place for file in TABLES for name, place in _names(file).items()}


@functools.cache
def _names(file: str) -> dict[str, tuple[str, str]]:
    return {
        name.strip(): (file, key)
        for key, data in _load(file).items()
        for name in f"{key},{(data or {}).get('also', '')}".split(",")
        if name.strip()
    }


@functools.cache
def _load(file: str) -> dict[str, dict[str, Any]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, dict[str, Any]] = yaml.load((Path(__file__).parent / file).read_bytes(), loader)
    return found


@functools.cache
def _rule(file: str, key: str) -> Rule:
    data = dict(_load(file)[key] or {})
    data.pop("also", None)
    single = bool(data.pop("single", False))
    version = str(data.pop("version", ""))
    flags, values, trusted = _options(f"{data.pop('options', '')} {version}", single)
    rule = Rule(
        name=key,
        flags=flags,
        values=values,
        trusted=trusted,
        operands=tuple(str(data.pop("operands", "")).split()),
        after=tuple(str(data.pop("after", "")).split()),
        operands_with=_set(data.pop("operands_with", "")),
        need=_set(data.pop("need", "")) | _set(version),
        pattern_in=_set(data.pop("pattern_in", "")),
        recursive=_set(data.pop("recursive", "")),
        literal=_set(data.pop("literal", "")),
        wary=tuple(str(data.pop("wary", "")).split()),
        effects=tuple(str(data.pop("effects", "read")).split()),
        single=single,
        project=bool(data.pop("project", False)),
        verbatim=bool(data.pop("verbatim", False)),
        leading=bool(data.pop("leading", False)),
        no_dashes=bool(data.pop("no_dashes", False)),
        git=bool(data.pop("git", False)),
    )
    if data:
        raise ValueError(f"{file}: {key}: unknown keys {', '.join(data)}")
    return rule


def _options(text: str, single: bool) -> tuple[frozenset[str], dict[str, str], frozenset[str]]:
    flags: set[str] = set()
    values: dict[str, str] = {}
    trusted: set[str] = set()
    for token in text.split():
        option, equals, kind = token.removesuffix("!").partition("=")
        long = option.startswith("--") or single or option == "-#"
        names = [option] if long or equals else [f"-{letter}" for letter in option[1:]]
        if token.endswith("!"):
            trusted.update(names)
        if equals:
            values[option] = kind or "text"
        else:
            flags.update(names)
    return frozenset(flags), values, frozenset(trusted)


def _set(text: object) -> frozenset[str]:
    return frozenset(str(text).split())
