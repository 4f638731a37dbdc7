"""`hermes data view`: rows and sessions as one page in a browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from commands.data_files import counted
from configuration.home import logs_dir
from corpus.progress import reading_bar
from corpus.view.page import GENERATOR, ShownFile, write_page
from corpus.writing import OutputError
from safety.terminal_text import neutralize
from trajectories.session_list import find_session
from trajectories.session_load import SessionError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--output", "-o", type=click.Path(), help="Write the page here; else beside FILE.")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
def view(files: tuple[str, ...], output: str | None, opened: bool) -> None:
    """Write FILEs of rows, or sessions, as one page to read in a browser.

    A FILE is a file of rows or a session file (- is standard input), or a session by its id, its title or
    `latest`. The page holds all of it and loads nothing from anywhere; it is readable by you alone, as
    conversations are private. Its path is printed.
    """
    shown = [_shown(name) for name in files]
    target = output or _beside(shown[0])
    try:
        with reading_bar("reading", [file.path for file in shown]) as advance:
            result = write_page(shown, target, advance)
    except OutputError as error:
        raise click.ClickException(neutralize(str(error))) from None
    except OSError as error:
        if error.filename is None:  # a full disk, or a reader of the page that left
            raise
        raise click.ClickException(
            f"cannot read {neutralize(str(error.filename))}: {error.strerror}"
        ) from None
    problems = f", {counted(result.problems, 'problem')}" if result.problems else ""
    click.echo(counted(result.rows, "row") + problems, err=True)
    if target != "-":
        click.echo(neutralize(str(target)))
        if opened:
            _open(Path(target))
    if not result.rows:
        raise SystemExit(1)


def _shown(name: str) -> ShownFile:
    """A path where there is one, else a session."""
    if name == "-":
        return ShownFile(name, "standard input")
    if Path(name).is_dir():
        raise click.UsageError(f"{neutralize(name)} is a folder; name the files in it")
    if os.path.exists(name):
        return ShownFile(name, Path(name).name)
    if os.sep in name or name.endswith((".json", ".jsonl", ".gz")):
        raise click.UsageError(f"there is no file {neutralize(name)}")
    try:
        path = find_session(logs_dir() / "sessions", name)
    except SessionError as error:
        told = neutralize(str(error))
        raise click.UsageError(f"there is no file {neutralize(name)!r}, and {told}") from None
    return ShownFile(path, path.stem, session=True)


def _beside(file: ShownFile) -> str:
    """The name of the first file with `.html`; never in place of a page that is not ours."""
    if file.path == "-":
        raise click.UsageError("standard input has no place beside it: say -o PAGE.html")
    path = Path(file.path)
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")
    page = path.with_name(f"{stem}.html")
    if page.exists() and not _is_page(page):
        message = f"{neutralize(str(page))} is there and no page of hermes; say -o OTHER.html"
        raise click.UsageError(message)
    return str(page)


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return GENERATOR in file.read(4096)


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser could be started; open the page yourself", err=True)
