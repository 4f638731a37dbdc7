"""How the commands tell what is wrong with a session."""

from __future__ import annotations

import click

from safety.terminal_text import neutralize
from trajectories.session_load import Session

TOLD = 5
"""Problems of one kind that are told each; of the rest only the number."""


class SessionFailure(click.ClickException):
    """A command ends because of `error`, in the words of `error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(neutralize(str(error)))


def tell_problems(session: Session) -> None:
    for problem in session.problems[:TOLD]:
        click.echo(f"{session.path.stem}: {neutralize(problem)}", err=True)
    if len(session.problems) > TOLD:
        click.echo(f"{session.path.stem}: and {len(session.problems) - TOLD} more problems", err=True)


def counted(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"
