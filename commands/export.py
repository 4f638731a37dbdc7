"""`hermes export`: sessions as training data, in the form that each trainer and reader wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import click

from commands.export_output import Export, is_output, write_export
from commands.session_problems import TOLD, SessionFailure, counted, tell_problems
from commands.session_sources import is_source, sessions_named
from configuration.home import SettingsError, logs_dir, read_secrets
from corpus.progress import reading_bar
from corpus.reading import stored_size
from corpus.row_filter import FilterError, RowFilter, parse_filter
from corpus.writing import OutputError
from safety.redact import Redactor
from safety.terminal_text import neutralize
from trajectories.columns import MissingLibrary
from trajectories.formats.llamafactory import SideFileError
from trajectories.formats.registry import FORMATS, Format
from trajectories.openai_messages import openai_row
from trajectories.preparing import prepare
from trajectories.session_list import session_files
from trajectories.session_load import Session, SessionError, load_session
from trajectories.sharegpt import sharegpt_row
from trajectories.targets import TARGETS, Target, UnknownTarget, find_target

MANY = 100
"""From so many sessions on a bar shows how far it is."""

_FORMATS = "\b\nFormats:\n" + "\n".join(f"  {each.name:14}{each.description}" for each in FORMATS.values())
_FAMILIES = "Families: " + ", ".join(each.name for each in TARGETS) + "."


@click.command(epilog=f"{_FORMATS}\n\n{_FAMILIES}")
@click.argument("names", nargs=-1, metavar="[SESSION]... [FILE]")
@click.option("--output", "-o", metavar="OUT", help="Write to this file or folder.")
@click.option("--all", "everything", is_flag=True, help="Every session, oldest first.")
@click.option("--filter", "filters", multiple=True, metavar="EXPR", help="Only sessions that it holds for.")
@click.option(
    "--format",
    "-f",
    "format_name",
    type=click.Choice(list(FORMATS)),
    default="both",
    show_default=True,
    help="What to write; see below.",
)
@click.option("--target", metavar="FAMILY", help="Shape the rows for the chat template of this family.")
@click.option("--split-parallel", is_flag=True, help="One call an answer: several become successive answers.")
@click.option("--no-redact", is_flag=True, help="Leave secrets in.")
# harnesses name a session, and where it came from (ours all come from one place), like this
@click.option("--session-id", hidden=True)
@click.option("--source", hidden=True, expose_value=False)
def export(
    names: tuple[str, ...],
    output: str | None,
    everything: bool,
    filters: tuple[str, ...],
    format_name: str,
    target: str | None,
    split_parallel: bool,
    no_redact: bool,
    session_id: str | None,
) -> None:
    """Write sessions as training data.

    SESSION is an id, the beginning of one, a title, `latest`, a session file, or the folder of a run. Without
    one the session used last is written; with --filter, every one that it holds for. The last argument is the
    FILE if it looks like one and is no session; without a FILE the rows go to standard output. A name that
    ends in .parquet is written as Parquet.
    """
    wanted = list(names)
    if output is None and wanted and is_output(wanted[-1]) and not is_source(wanted[-1]):
        output = wanted.pop()
    wanted += [session_id] if session_id else []
    if everything and wanted:
        raise click.UsageError("--all and sessions by name do not go together")
    exporter = _Exporter(
        FORMATS[format_name],
        [_filter(text) for text in filters],
        _target(target) if target else None,
        split_parallel,
        None if no_redact else _redactor(),
    )
    paths = _paths(wanted, everything=everything or (bool(filters) and not wanted))
    try:
        with _bar(paths, output) as advance:
            exports = exporter.exports(paths, advance)
            written = write_export(exports, exporter.format, output or "-", target or "")
    except (OutputError, MissingLibrary, SideFileError) as error:
        raise SessionFailure(error) from None
    exporter.tell()
    if output not in (None, "-"):
        beside = "".join(f", with {side.name} beside it" for side in written.side_files)
        click.echo(f"{counted(written.sessions)} written to {output}{beside}", err=True)


def _bar(paths: list[_Named], output: str | None) -> AbstractContextManager[Callable[[int], None]]:
    """A bar where somebody would have to wait, and does not see the rows pass."""
    if output in (None, "-") or len(paths) < MANY:
        return nullcontext(lambda _: None)
    return reading_bar("exporting", [each.path for each in paths])


class _Named(NamedTuple):
    """A session file. `strict`: the person named this one, so it has to be readable."""

    path: Path
    strict: bool


class _Exporter:
    """Makes of session files what is written, one after the other."""

    def __init__(
        self,
        kind: Format,
        filters: list[RowFilter],
        target: Target | None,
        split: bool,
        redactor: Redactor | None,
    ) -> None:
        self.format = kind
        self._filters = filters
        self._target = target
        self._split = split
        self._redactor = redactor
        self._seen = self._kept = self._without = 0

    def exports(self, paths: Iterable[_Named], advance: Callable[[int], None]) -> Iterator[Export]:
        """`advance` is told the bytes that were read."""
        for path, strict in paths:
            session = self._load(path, strict)
            advance(stored_size(path) or 0)
            if session is None or not self._wanted(session):
                continue
            tell_problems(session)
            try:
                rows = self._rows(session)
            except RecursionError:
                click.echo(f"left out: {path.stem} holds something that is nested too deeply", err=True)
                continue
            if rows:
                yield Export(path.stem, rows)
            else:
                self._left_out(path.stem)

    def tell(self) -> None:
        """What is to be said at the end."""
        if self._without > TOLD:
            click.echo(f"and {self._without - TOLD} more have none", err=True)
        if self._filters:
            click.echo(f"--filter kept {self._kept:,} of {counted(self._seen)}", err=True)
        for each in self._filters:
            for key, count in each.unknown.items():
                if count == self._seen:
                    click.echo(f"no session has a field {key!r}, which --filter asks for", err=True)

    def _load(self, path: Path, strict: bool) -> Session | None:
        try:
            return load_session(path)
        except SessionError as error:
            if strict:
                raise SessionFailure(error) from None
            click.echo(f"left out: {neutralize(str(error))}", err=True)
            return None

    def _rows(self, session: Session) -> list[dict[str, Any]]:
        prepared = prepare(session, redactor=self._redactor, target=self._target, split=self._split)
        return self.format.rows(prepared)

    def _wanted(self, session: Session) -> bool:
        self._seen += 1
        if not self._filters:
            return True
        row = sharegpt_row(session) or openai_row(session)
        kept = all(each.accepts(row) for each in self._filters)
        self._kept += kept
        return kept

    def _left_out(self, name: str) -> None:
        self._without += 1
        if self._without <= TOLD:
            click.echo(f"{name} has no answer of a model, and so no {self.format.name} row", err=True)


def _paths(wanted: list[str], *, everything: bool) -> list[_Named]:
    folder = logs_dir() / "sessions"
    try:
        if wanted:
            named = [(sessions_named(folder, name), name) for name in wanted]
            found = [_Named(path, not Path(name).is_dir()) for paths, name in named for path in paths]
        else:
            files = session_files(folder)
            found = [_Named(path, not everything) for path in (sorted(files) if everything else files[:1])]
    except SessionError as error:
        raise SessionFailure(error) from None
    if not found:
        raise click.ClickException(f"no sessions in {folder}")
    return list(dict.fromkeys(found))


def _filter(text: str) -> RowFilter:
    try:
        return parse_filter(text)
    except FilterError as error:
        raise click.UsageError(f"--filter: {neutralize(str(error))}") from None


def _target(name: str) -> Target:
    try:
        return find_target(name)
    except UnknownTarget as error:
        raise click.UsageError(f"--target: {neutralize(str(error))}") from None


def _redactor() -> Redactor:
    """It knows the person's own secrets too: no key of theirs is to be trained on."""
    from commands.crash_report import own_redactor

    try:
        read_secrets()
    except SettingsError as error:  # without them not all could be taken out
        raise click.ClickException(neutralize(str(error))) from None
    return own_redactor()
