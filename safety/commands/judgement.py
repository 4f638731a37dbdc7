"""What is found out about a command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Standing: TypeAlias = Literal["reads", "project", "writes", "unknown"]
"""It only reads; it runs the project's own code; it writes files in the working folder; nobody can say."""


@dataclass(slots=True)
class Judgement:
    """What a command does, as far as its text tells.

    Args:
        standing: of the command's parts, the one that tells the most.
        effects: what it has at most, in the order of `safety.gate.Effect`.
        part: the part of the command that decided.
        rule: the entry of the tables that decided, or why there is none: `unknown program`, …
        reason: the same for a person.
        reads, writes: canonical paths.
        private: what private is read, "" if nothing.
        understood: its text was read to the end.
        does: what the part is known to do, `it deletes files`; "" where the reason says it all.
    """

    standing: Standing = "reads"
    effects: tuple[str, ...] = ()
    part: str = ""
    rule: str = ""
    reason: str = ""
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    private: str = ""
    understood: bool = True
    does: str = ""
