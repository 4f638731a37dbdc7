"""What a person's word for more than once covers: one program and subcommand, never more of the line."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from safety.commands.judgement import Judgement
from safety.commands.reach import Reach
from safety.commands.reader import read
from safety.commands.shell_line import NotUnderstood, Word
from safety.commands.words import word_list

MOST_WORDS = 100
"""Of a command that a person can look over."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*\Z")
_LASTING = frozenset(
    f"{program} {subcommand}"
    for program, subcommands in {
        "git": "add commit stash switch branch tag mv status diff log show blame fetch",
        "cargo": "add fmt build check test clippy doc", "go": "fmt mod build test vet", "npm": "test",
        "ruff": "check format", "dotnet": "build test format", "make": "test check lint build format",
    }.items()
    for subcommand in subcommands.split()
)  # fmt: skip
"""What, beside the commands of the tables, may be allowed for good."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`name` is program and subcommand. `options` are those covered; None: all that the tables allow."""

    name: str
    options: frozenset[str] | None = None
    lasting: bool = False

    def __str__(self) -> str:
        if self.options is None:
            return f"{self.name} …, with harmless options"
        listed = " ".join(sorted(self.options))
        return f"{self.name} … with {listed}" if listed else f"{self.name} … without options"

    def covers(self, other: Grant) -> bool:
        if self.name != other.name:
            return False
        if self.options is None or other.options is None:
            return self.options is None and other.options is None
        return other.options <= self.options


def grant_for(command: str, cwd: str, reach: Reach, judged: Judgement) -> Grant | None:
    """What "for this session" would cover for `command`; None where a person looks at each."""
    found = read(command, {"HOME": reach.home, "PWD": "."})
    if isinstance(found, NotUnderstood) or len(found) != 1 or found[0].redirects or judged.private:
        return None
    words = found[0].words
    if len(words) > MOST_WORDS or any(word.pattern or word.variable for word in words):
        return None
    if judged.standing in ("project", "writes") and judged.understood:
        return Grant(judged.rule, None, True)
    program = words[0].text
    if not _NAME.match(program) or program in word_list("never"):
        return None
    length = 2 if program in word_list("with_subcommands") else 1
    if len(words) < length or not all(_NAME.match(word.text) and word.plain for word in words[:length]):
        return None
    name = " ".join(word.text for word in words[:length])
    if length == 2 and words[1].text in word_list("never_subcommands"):
        return None
    if program in word_list("goals") and any(not word.text.startswith("-") for word in words[length:]):
        return None
    options = frozenset(word.text.partition("=")[0] for word in words[length:] if word.text.startswith("-"))
    if any(option.startswith(tuple(word_list("never_options"))) for option in options) or not all(
        _stays(word, cwd, reach) for word in words[length:]
    ):
        return None
    return Grant(name, options, name in _LASTING)


def _stays(word: Word, cwd: str, reach: Reach) -> bool:
    """Whether a word, if it names a place, names one in the working folder that is nobody's secret."""
    for text in (word.text, word.text.partition("=")[2]):
        if "://" in text:
            return False
        path = reach.resolve(os.path.join(cwd, text), "/")
        if not reach.inside(path) or reach.guarded(path) or reach.secret(path):
            return False
    return True
