"""The rows a page shows: those of a file of rows, or a session with all that happened in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from corpus.reading import Problem, Row, is_session_file, read_rows
from trajectories.openai_messages import openai_row
from trajectories.session_load import Session, SessionError, load_session
from trajectories.session_record import AssistantRecord, CompactionRecord, RollbackRecord, ToolRecord
from trajectories.sharegpt import sharegpt_row


class ShownRow(Struct, frozen=True):
    """`value` is what the facts come from, `raw` the JSON line that the page shows."""

    line: int
    value: dict[str, Any]
    raw: bytes


def shown_rows(
    path: str | Path, *, session: bool = False, advance: Callable[[int], None] | None = None
) -> Iterator[ShownRow | Problem]:
    """The rows and problems of the file at `path`; blank lines are neither. `session`: it is known to be one.

    A session is one row, `{"session": header, "records": […], "facts": …}`: with what a training row leaves
    out.

    Raises:
        OSError: the file cannot be read.
    """
    if path != "-" and (session or is_session_file(path)):
        yield from _session(Path(path))
        return
    for item in read_rows(path, advance=advance):
        if isinstance(item, Row):
            yield ShownRow(item.number, item.value, item.raw)
        elif item.kind != "blank":
            yield item


def _session(path: Path) -> Iterator[ShownRow | Problem]:
    try:
        session = load_session(path)
    except SessionError as error:
        yield Problem(0, 0, "session", str(error))
        return
    for problem in session.problems:
        yield Problem(0, 0, "session", problem)
    value = sharegpt_row(session) or openai_row(session)
    value["flags"] = [{"turn": -1, "flag": flag} for flag in sorted(_flags(session, value.get("flags", [])))]
    facts = {key: each for key, each in value.items() if key not in ("conversations", "messages", "tools")}
    shown = {"session": session.header, "records": session.records, "facts": facts}
    yield ShownRow(1, value, msgspec.json.encode(shown))


def _flags(session: Session, row_flags: list[dict[str, Any]]) -> set[str]:
    """Those of its row, and what only the records tell."""
    flags = {str(flag["flag"]) for flag in row_flags}
    for record in session.records:
        match record:
            case RollbackRecord():
                flags.add("rolled back")
            case CompactionRecord():
                flags.add("compacted")
            case ToolRecord(approval=str(approval)) if approval:
                flags.add("asked a person")
            case AssistantRecord(flawed=str(flawed)) if flawed:
                flags.add("flawed")
    return flags
