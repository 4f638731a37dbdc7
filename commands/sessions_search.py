"""`hermes sessions search`: which conversations speak of something."""

from __future__ import annotations

import os

import click
import msgspec

from commands.session_problems import SessionFailure, counted
from configuration.home import logs_dir
from safety.terminal_text import escape_json, neutralize
from trajectories.session_index import SessionIndexError
from trajectories.session_search import Found, FoundSession, Passage, search_sessions
from trajectories.session_text import HIT, HIT_END

_PATIENCE = 2.0
"""Seconds after which it is said that the index takes time."""


@click.command()
@click.argument("words", nargs=-1)
@click.option("--limit", "-n", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def search(words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find conversations by WORDS or "phrases in quotes" said in them; those with all of them come first."""
    question = " ".join(f'"{each}"' if " " in each else each for each in words)
    found = _search(question, limit)
    color = False if os.environ.get("NO_COLOR") else None
    for session in found.sessions:
        if as_json:
            click.echo(escape_json(msgspec.json.encode(_facts(session)).decode()))
            continue
        click.echo(_heading(session), color=color)
        for passage in session.passages:
            click.echo(f"    {passage.speaker}: {_styled(passage)}", color=color)
    if not found.sessions:
        click.echo(f"No session speaks of that; looked in {logs_dir() / 'sessions'}", err=True)
    if found.behind:
        why = found.problem or "another process is reading them"
        click.echo(f"({counted(found.behind)} not searched: {why})", err=True)


def _search(question: str, limit: int) -> Found:
    try:
        found = search_sessions(logs_dir(), question, limit, seconds=_PATIENCE)
        if found.behind and not found.problem:
            click.echo(f"(reading {counted(found.behind)} into the index …)", err=True)
            found = search_sessions(logs_dir(), question, limit)
    except SessionIndexError as error:
        raise SessionFailure(error) from None
    return found


def _facts(session: FoundSession) -> dict[str, object]:
    passages = [{"speaker": each.speaker, "text": each.plain} for each in session.passages]
    return {**session._asdict(), "passages": passages}


def _heading(session: FoundSession) -> str:
    started = session.started[:16].replace("T", " ")
    return click.style(session.id, bold=True) + neutralize(f"  {started:16}  {session.title}")


def _styled(passage: Passage) -> str:
    """What was found is bold; nothing in the text can steer a terminal."""
    shown = []
    for part in passage.text.split(HIT):
        hit, end, rest = part.partition(HIT_END)
        shown += [click.style(neutralize(hit), bold=True), neutralize(rest)] if end else [neutralize(hit)]
    return "".join(shown)
