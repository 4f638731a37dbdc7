"""A session as one export shows it, with what was done to it; `trajectories.preparing` is what does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trajectories.session_load import Session

if TYPE_CHECKING:
    from trajectories.targets import Target  # what closes a session should not wait for the table of families


@dataclass(slots=True)
class Prepared:
    """`marks` run parallel to the session's entries: `redacted`, `split`, `escaped`.

    `redactions` counts by kind what was taken out. `target` is the family it was shaped for, if any.
    """

    session: Session
    marks: list[set[str]] = field(default_factory=list)
    redactions: dict[str, int] = field(default_factory=dict)
    target: Target | None = None

    def __post_init__(self) -> None:
        self.marks = self.marks or [set() for _ in self.session.history.entries]

    @classmethod
    def of(cls, source: Session | Prepared) -> Prepared:
        return source if isinstance(source, Prepared) else cls(source)
