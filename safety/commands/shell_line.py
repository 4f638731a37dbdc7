"""A shell command as far as it is understood: simple commands, joined by `|`, `&&`, `||`, `;`, newlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Joint: TypeAlias = Literal["", "|", "&&", "||", ";"]
"""What stands before a command: "" for the first."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as bash would hand it to a program, but for file names that its `pattern` stands for.

    Args:
        text: what it says, quotes taken off.
        plain: it was written without quotes, backslashes and expansions.
        pattern: the glob, literal characters escaped as `[x]`; "" where it is none.
        variable: a variable stands in it whose value is not known here (only what `echo` may print).
    """

    text: str
    plain: bool = True
    pattern: str = ""
    variable: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """`operator` is `<`, `>` or `>>`; joining descriptors (`2>&1`) and closing to /dev/null are left out."""

    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    """One program with its words. `source` is how it was written."""

    joint: Joint
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]
    source: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """`part` is the text that was not understood, `reason` says what it is."""

    part: str
    reason: str
