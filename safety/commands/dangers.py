"""What a program does that is not known to be harmless, in words for the person who is asked."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

LONGEST_NAME = 3
"""Words: `uv pip install`."""

SYSTEM_FOLDERS = ("/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")
"""A file elsewhere may be called `rm` and do anything."""


@dataclass(frozen=True, slots=True)
class Danger:
    """`does` is a short phrase: `it deletes files`. `net`: it reaches other machines."""

    does: str
    net: bool = False


def danger(words: list[str], *, fed: bool) -> Danger | None:
    """Of the program and its words; None for a program that nothing is told of.

    Args:
        fed: it stands behind a pipe.
    """
    table = _table()
    folder, slash, program = words[0].rpartition("/")
    if slash and folder not in SYSTEM_FOLDERS:
        return None
    options = [word for word in words[1:] if word.startswith("-")]
    if fed and len(options) == len(words) - 1 and (found := table.get(f"| {program}")) is not None:
        return found
    for wanted, found in _with_options().get(program, ()):
        if any(option.startswith(wanted) for option in options):
            return found
    for length in range(min(len(words), LONGEST_NAME), 0, -1):
        if (found := table.get(" ".join([program, *words[1:length]]))) is not None:
            return found
    return None


@functools.cache
def _table() -> dict[str, Danger]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    told = yaml.load((Path(__file__).parent / "dangers.yaml").read_bytes(), loader)
    return {
        name.strip(): Danger(does, bool(data.get("net", False)))
        for does, data in told.items()
        for name in data["of"].split(",")
    }


@functools.cache
def _with_options() -> dict[str, list[tuple[str, Danger]]]:
    """By program, the options that tell what it does."""
    found: dict[str, list[tuple[str, Danger]]] = {}
    for name, each in _table().items():
        program, _, option = name.partition(" ")
        if option.startswith("-"):
            found.setdefault(program, []).append((option, each))
    return found
