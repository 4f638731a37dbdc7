"""`hermes memory`: the notes the model keeps, for the person whose they are."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from configuration.home import make_private_folder
from safety.terminal_text import neutralize
from settings import hermes_home
from tools.memory_notes import MOST_CHARACTERS, MemoryNotes, Note, NoteError, check_note


@click.group()
def memory() -> None:
    """List, read, change and delete the notes that conversations leave to later ones."""


@memory.command("list")
def list_command() -> None:
    """List the notes."""
    try:
        notes = _notes().notes()
    except NoteError as error:
        raise _failure(error) from None
    for note in notes:
        changed = time.strftime("%Y-%m-%d", time.localtime(note.changed))
        told = f"  ({note.source})" if note.source else ""
        click.echo(neutralize(f"{note.name}  {changed}  {len(note.text)} characters{told}"))
    if not notes:
        click.echo(f"No notes in {_notes().folder}", err=True)


@memory.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the note NAME."""
    note = _read(name)
    if note.source:
        click.echo(f"({neutralize(note.source)})", err=True)
    click.echo(neutralize(note.text))


@memory.command()
@click.argument("name")
def edit(name: str) -> None:
    """Open the note NAME, or a new one, in $VISUAL or $EDITOR."""
    from commands.editor import open_in_editor

    try:
        check_note(name)
        path = Path(_notes().path(name))
        if name not in _notes().names():
            make_private_folder(path.parent)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        open_in_editor(path)
        note = _notes().read(name)
        if not note.text.strip():
            _notes().delete(name)
            click.echo(f"the note {name} is empty and was taken away", err=True)
    except NoteError as error:
        raise _failure(error) from None
    if note.cut:
        click.echo(f"the model reads the first {MOST_CHARACTERS} characters of it", err=True)


@memory.command()
@click.argument("name", nargs=-1, required=True)
def delete(name: tuple[str, ...]) -> None:
    """Delete each note NAME."""
    for each in name:
        try:
            _notes().delete(each)
        except NoteError as error:
            raise _failure(error) from None
        click.echo(f"deleted {each}")


def _notes() -> MemoryNotes:
    return MemoryNotes(hermes_home() / "memory")


def _read(name: str) -> Note:
    try:
        return _notes().read(name)
    except NoteError as error:
        raise _failure(error) from None


def _failure(error: NoteError) -> click.ClickException:
    return click.ClickException(neutralize(str(error)))
