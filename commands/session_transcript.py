"""A saved conversation as text for a person."""

from __future__ import annotations

from collections.abc import Iterator

import click

from conversation.message import UserMessage
from conversation.round import Round
from safety.terminal_text import neutralize
from trajectories.session_load import Session

RESULT_LINES = 12
"""Lines of a result that are shown; the whole stands in the session file."""


def transcript(session: Session) -> Iterator[str]:
    """Lines of the transcript, styled; nothing in them can steer a terminal."""
    header = session.header
    yield click.style(f"session {session.path.stem}", bold=True)
    for name, value in (
        ("title", session.title),
        ("started", header.started),
        ("model", session.model),
        ("folder", header.cwd),
        ("forked from", header.parent.id if header.parent else ""),
    ):
        if value:
            yield f"{name}: {neutralize(value)}"
    for entry, ts in zip(session.history.entries, session.times, strict=True):
        yield ""
        if isinstance(entry, UserMessage):
            who = "you" if entry.origin == "person" else entry.origin
            yield _heading(who, ts, "green")
            yield neutralize(entry.shown)
        else:
            yield from _round(entry, ts)
    yield ""
    turns = len(session.turns) + session.in_turn
    yield click.style(f"{turns} turn{'' if turns == 1 else 's'}, {session.outcome}", dim=True)


def _round(round_: Round, ts: str) -> Iterator[str]:
    answer = round_.assistant
    note = "interrupted" if answer.interrupted else f"unusable: {answer.flawed}" if answer.flawed else ""
    yield _heading("hermes", ts, "cyan", neutralize(note))
    if answer.reasoning:
        yield click.style(neutralize(answer.reasoning.strip()), dim=True)
    if answer.content:
        yield neutralize(answer.content)
    for call, result in zip(answer.tool_calls, round_.results, strict=True):
        yield click.style(f"· {neutralize(call.name)} {neutralize(call.arguments)}", fg="yellow")
        lines = neutralize(result.content).splitlines() or [""]
        for line in lines[:RESULT_LINES]:
            yield f"    {line}"
        if len(lines) > RESULT_LINES:
            yield f"    … {len(lines) - RESULT_LINES} more lines"
        if result.status != "ok":
            yield f"    ({result.status})"


def _heading(who: str, ts: str, color: str, note: str = "") -> str:
    when = ts[:19].replace("T", " ")
    return click.style(who, fg=color, bold=True) + f"  {when}" + (f"  ({note})" if note else "")
