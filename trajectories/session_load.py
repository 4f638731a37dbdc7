"""Reading a session file: every good record counts, and what was skipped is said."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from conversation.history import History, Summary
from conversation.message import ToolCall, ToolResult, Usage
from conversation.round import Round, UnpairedRoundError
from trajectories.session_record import (
    SCHEMA,
    AssistantRecord,
    ChangeRecord,
    CompactionRecord,
    GitRecord,
    Header,
    Record,
    RollbackRecord,
    TitleRecord,
    ToolRecord,
    TurnRecord,
    UserRecord,
    decode_line,
)

UNKNOWN_RESULT = json.dumps(
    {
        "error": "The process ended before the result of this call was recorded. It is not known whether "
        "the call took effect: check before doing it again."
    }
)
"""What the model reads in place of a result that a crash swallowed. The call is never run again."""


class SessionError(Exception):
    """A session cannot be used; the text says why in one line."""


@dataclass(slots=True)
class Session:
    """A loaded session.

    `numbers`, `times` and `redactions` run parallel to `history.entries`: the number each entry has in the
    file, when it was recorded, and what was taken out of it then, by kind. `problems` name
    what was skipped or mended, by line. `tools` holds every tool the
    model ever had, `model` and `toolsets` are the last ones. `usage` sums up all requests, also of turns
    that never ended.
    """

    path: Path
    header: Header
    history: History
    records: list[Record] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    redactions: list[dict[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    turns: list[TurnRecord] = field(default_factory=list)
    title: str = ""
    model: str = ""
    toolsets: list[str] = field(default_factory=list)
    personality: str = ""
    tools: list[dict[str, Any]] = field(default_factory=list)
    git: GitRecord | None = None
    ended: str = ""
    in_turn: bool = False

    @property
    def outcome(self) -> str:
        """How the last turn ended; `unfinished` while it runs or where the process died in it."""
        return "unfinished" if self.in_turn or not self.turns else self.turns[-1].outcome

    @property
    def usage(self) -> Usage:
        total = Usage()
        unfinished = Usage()
        for record in self.records:
            if isinstance(record, AssistantRecord) and record.usage is not None:
                unfinished += record.usage
            elif isinstance(record, TurnRecord):
                total += unfinished if record.usage is None else record.usage
                unfinished = Usage()
        return total + unfinished


def load_session(path: Path, *, send_reasoning: bool = True) -> Session:
    """Everything that can be read from the file at `path`, also while another process writes it.

    Raises:
        SessionError: the file cannot be opened, or holds no readable record at all.
    """
    replay = _Replay(path, send_reasoning)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                replay.feed(number, line)
    except OSError as error:
        raise SessionError(f"cannot read the session {path}: {error.strerror}") from None
    return replay.finish()


def read_line(line: bytes) -> tuple[Header | Record | None, str]:
    """The record in one line of a session file, and what was wrong with the line ("" if nothing)."""
    text = line.removeprefix(b"\xef\xbb\xbf").strip()
    bare = text.strip(b"\0").strip()
    if not bare:
        return None, "NUL bytes" if text else ""
    note = "NUL bytes around the record" if bare != text else ""
    try:
        return decode_line(bare), note
    except UnicodeDecodeError:
        fixed = bare.decode("utf-8", "replace").encode()
        return read_line(fixed)[0], "bytes that are not UTF-8"
    except (ValueError, RecursionError) as error:
        return None, _why_bad(bare, line.endswith(b"\n"), error)


def _why_bad(line: bytes, whole: bool, error: Exception) -> str:
    try:
        value = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return "not JSON" if whole else "a last line that was not written to its end"
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return "not a session record"
    if str(error).endswith("`$.type`"):
        return f"a record of the unknown type {value['type'][:40]!r} (from a newer hermes?)"
    return f"a damaged {value['type']} record ({error})"


class _Replay:
    """Does to a fresh History what the recorded conversation did to its own."""

    def __init__(self, path: Path, send_reasoning: bool) -> None:
        self.session = Session(path, Header(id=path.stem), History(send_reasoning=send_reasoning))
        from hashlib import blake2b

        self._digest = blake2b
        self._headed = False
        self._seen: set[bytes] = set()
        self._open: AssistantRecord | None = None
        self._results: dict[str, ToolResult] = {}
        self._redacted: Counter[str] = Counter()

    def feed(self, number: int, line: bytes) -> None:
        record, problem = read_line(line)
        if problem:
            verb = "mended" if record is not None else "skipped"
            self._note(number, f"{verb}: {problem}")
        if record is None:
            return
        if isinstance(record, Header):
            self._header(number, record)
            return
        digest = self._digest(line.strip()).digest()
        if digest in self._seen:
            self._note(number, "skipped: the same record stands further up")
            return
        self._seen.add(digest)
        self._apply(number, record)
        self.session.records.append(record)
        self.session.ended = record.ts or self.session.ended

    def finish(self) -> Session:
        session = self.session
        self._close_round(0)
        if not self._headed:
            if not session.records:
                raise SessionError(f"{session.path} holds no session: no readable record in it")
            session.problems.insert(
                0, "line 1: the header is missing; model, tools and system text are unknown"
            )
        session.in_turn = _in_turn(session.records)
        session.ended = session.ended or session.header.started
        return session

    def _note(self, number: int, text: str) -> None:
        self.session.problems.append(f"line {number}: {text}")

    def _header(self, number: int, header: Header) -> None:
        if self._headed:
            self._note(number, "skipped: a second header")
            return
        self._headed = True
        session = self.session
        session.header = header
        session.model = header.model
        session.toolsets = list(header.toolsets)
        session.history.system = header.system
        self._add_tools(header.tools)
        if header.schema > SCHEMA:
            self._note(number, f"written by a newer hermes (layout {header.schema}, this one reads {SCHEMA})")

    def _apply(self, number: int, record: Record) -> None:
        session = self.session
        match record:
            case UserRecord():
                self._begin_entry(number, record.entry)
                self._redacted.update(record.redacted)
                session.history.add(record.message())
                self._number_entry(record.entry, record.ts)
            case AssistantRecord():
                self._begin_entry(number, record.entry)
                self._open, self._results = record, {}
                self._redacted.update(record.redacted)
                if not record.tool_calls:
                    self._close_round(number)
            case ToolRecord():
                self._result(number, record)
            case RollbackRecord():
                self._roll_back(record.keep, number)
            case CompactionRecord():
                self._compact(number, record)
            case ChangeRecord():
                self._change(record)
            case TitleRecord():
                session.title = record.title
            case GitRecord():
                session.git = record
            case TurnRecord():
                self._close_round(number)
                session.turns.append(record)
                session.title = record.title or session.title

    def _begin_entry(self, number: int, entry: int) -> None:
        self._close_round(number)
        if entry >= 0 and self.session.numbers and entry <= self.session.numbers[-1]:
            self._note(number, f"a roll-back to entry {entry} is missing before this line; done now")
            self._roll_back(entry, number)

    def _number_entry(self, entry: int, ts: str) -> None:
        numbers = self.session.numbers
        numbers.append(entry if entry >= 0 else (numbers[-1] + 1 if numbers else 0))
        self.session.times.append(ts)
        self.session.redactions.append(dict(self._redacted))
        self._redacted.clear()

    def _result(self, number: int, record: ToolRecord) -> None:
        calls = {call.id for call in self._open.tool_calls} if self._open else set()
        if record.call_id not in calls or record.call_id in self._results:
            self._note(number, f"skipped: a result without its call ({record.name})")
            return
        self._results[record.call_id] = record.result()
        self._redacted.update(record.redacted)
        if len(self._results) == len(calls):
            self._close_round(number)

    def _close_round(self, number: int) -> None:
        """Add the open answer with its results; one that was never recorded says so."""
        record, self._open = self._open, None
        if record is None:
            return
        answer = record.message()
        results = tuple(self._results.get(call.id) or unknown_result(call) for call in answer.tool_calls)
        try:
            self.session.history.add(Round(answer, results))
        except UnpairedRoundError as error:
            self._note(number, f"the answer before this line was skipped: {error}")
            self._redacted.clear()
            return
        self._number_entry(record.entry, record.ts)

    def _roll_back(self, keep: int, number: int) -> None:
        self._close_round(number)
        session = self.session
        count = sum(1 for entry in session.numbers if entry < keep)
        session.history.roll_back(count)
        del session.numbers[count:], session.times[count:], session.redactions[count:]

    def _compact(self, number: int, record: CompactionRecord) -> None:
        self._close_round(number)
        numbers = self.session.numbers
        start = sum(1 for entry in numbers if entry < record.start)
        end = sum(1 for entry in numbers if entry < record.end)
        if record.start >= 0 and start < end:
            self.session.history.compact(Summary(start, end, record.text))
        else:
            self._note(number, "skipped: a compaction of entries that are not there")

    def _change(self, record: ChangeRecord) -> None:
        session = self.session
        if record.what == "model":
            session.model = str(record.value)
        elif record.what == "personality":
            session.personality = str(record.value)
        elif record.what == "toolsets" and isinstance(record.value, list):
            session.toolsets = [str(each) for each in record.value]
        if record.system is not None:
            session.history.system = record.system
        if record.tools is not None:
            self._add_tools(record.tools)

    def _add_tools(self, tools: list[dict[str, Any]]) -> None:
        known = {_tool_name(tool): tool for tool in [*self.session.tools, *tools]}
        self.session.tools = list(known.values())


def unknown_result(call: ToolCall) -> ToolResult:
    """Stands where a call's result would, if the process died before it was recorded."""
    return ToolResult(call.id, call.name, UNKNOWN_RESULT, "unknown")


def _tool_name(tool: dict[str, Any]) -> str:
    function = tool.get("function")
    return str(function.get("name")) if isinstance(function, dict) else json.dumps(tool)


def _in_turn(records: list[Record]) -> bool:
    """True if something was said after the last turn's end."""
    for record in reversed(records):
        if isinstance(record, TurnRecord):
            return False
        if isinstance(record, UserRecord | AssistantRecord | ToolRecord):
            return True
    return False
