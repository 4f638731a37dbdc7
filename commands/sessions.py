"""`hermes sessions`: list, search, read, name, delete and export saved conversations."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

from commands.crash_report import own_redactor
from commands.session_problems import SessionFailure, counted, tell_problems
from commands.session_transcript import transcript
from configuration.home import logs_dir
from safety.terminal_text import escape_json, neutralize
from trajectories.openai_messages import openai_row
from trajectories.session_file import SessionBusy, SessionWriter, delete_session
from trajectories.session_index import SessionIndexError, forget_deleted
from trajectories.session_list import SessionInfo, find_session, list_sessions, session_files
from trajectories.session_load import Session, SessionError, load_session
from trajectories.session_record import TitleRecord


class _Sessions(click.Group):
    """`export` and `search` have modules of their own, which are imported when they are called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "export", "search"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "export":
            from commands.export import export

            return export
        if cmd_name == "search":
            from commands.sessions_search import search

            return search
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Sessions)
def sessions() -> None:
    """List, search, read, name, delete and export saved conversations.

    A session is named by its id, the beginning of its id, its title, or `latest`.
    """


@sessions.command("list")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--here", is_flag=True, help="Only those started in this folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_command(limit: int, everything: bool, here: bool, as_json: bool) -> None:
    """List conversations, the one used last first."""
    folder = _folder()
    shown = unread = 0
    try:
        for info in list_sessions(folder, cwd=os.getcwd() if here else None):
            if shown == limit and not everything:
                click.echo(f"(the last {limit}; --all shows the rest)", err=True)
                break
            if as_json:
                click.echo(escape_json(msgspec.json.encode(info).decode()))
            else:
                click.echo(_row(info))
            shown += 1
        else:
            unread = 0 if here else len(session_files(folder)) - shown
    except SessionError as error:
        raise SessionFailure(error) from None
    if unread > 0:
        click.echo(f"({unread} more in {folder} cannot be read)", err=True)
    elif not shown:
        click.echo(f"No sessions in {folder}", err=True)


@sessions.command()
@click.argument("session")
@click.option("--json", "as_json", is_flag=True, help="The conversation as one JSON object.")
def show(session: str, as_json: bool) -> None:
    """Print the conversation of SESSION."""
    loaded = _load(session)
    if as_json:
        row = {**openai_row(loaded), "problems": loaded.problems}
        click.echo(escape_json(msgspec.json.encode(row).decode()))
        return
    color = False if os.environ.get("NO_COLOR") else None
    for line in transcript(loaded):
        click.echo(line, color=color)
    tell_problems(loaded)


@sessions.command()
@click.argument("session")
@click.argument("title")
def rename(session: str, title: str) -> None:
    """Give SESSION a TITLE."""
    title = " ".join(title.split())
    if not title:
        raise click.UsageError("the title is empty")
    path = _find(session)
    try:
        used = path.stat().st_mtime_ns
        writer, _ = SessionWriter.open(path)
        writer.redactor = own_redactor
        told = writer.append(TitleRecord(title=title)) or writer.problem
        writer.close()
    except (SessionError, OSError) as error:
        raise SessionFailure(error) from None
    if told:
        raise click.ClickException(neutralize(told))
    os.utime(path, ns=(used, used))  # a new name is no use of the session: --continue goes by this time
    click.echo(f"{path.stem} is now called: {neutralize(title)}")


@sessions.command()
@click.argument("session", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(session: tuple[str, ...], yes: bool) -> None:
    """Delete each SESSION for good."""
    paths = list(dict.fromkeys(_find(name) for name in session))
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise click.UsageError("nobody is here to confirm it; add --yes")
        for path in paths:
            click.echo(path.stem)
        click.confirm(f"Delete {counted(len(paths))} for good?", abort=True)
    for path in paths:
        try:
            delete_session(path)
        except SessionBusy as error:
            raise click.ClickException(f"{error}; it was not deleted") from None
        except SessionError as error:
            raise SessionFailure(error) from None
        click.echo(f"deleted {path.stem}")
    try:
        forget_deleted(logs_dir())
    except SessionIndexError as error:
        raise SessionFailure(error) from None


def _folder() -> Path:
    return logs_dir() / "sessions"


def _find(name: str) -> Path:
    try:
        return find_session(_folder(), name)
    except SessionError as error:
        raise SessionFailure(error) from None


def _load(name: str) -> Session:
    try:
        return load_session(_find(name))
    except SessionError as error:
        raise SessionFailure(error) from None


def _row(info: SessionInfo) -> str:
    started = info.started[:16].replace("T", " ")
    facts = f"{info.turns} turn{'' if info.turns == 1 else 's'}, {info.outcome}"
    helper = f"(helper of {info.spawned_by}) " if info.spawned_by else ""
    row = f"{info.id}  {started:16}  {facts:20}  {info.model}  {helper}{info.title}"
    return neutralize(f"  {row}" if helper else row)
