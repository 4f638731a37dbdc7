"""The lines of a session file, as values. docs/data-formats.md describes them for readers.

Line 1 is a `Header`, each further line one `Record`. Messages are recorded as they are in
`conversation.message`, with the time and, for user and assistant messages, the number of the history
entry they begin; so a file that lost a line still rolls back and compacts the right entries. Where secrets
were taken out of a line, `redacted` in it says how many of which kind (see `trajectories.redacted_record`).
"""

from __future__ import annotations

import time
from typing import Any, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Struct, field

from conversation.message import AssistantMessage, ToolResult, Usage, UserMessage

SCHEMA = 1
"""The version of this layout. It grows when an older reader would misread a newer file."""


class Parent(Struct, frozen=True):
    """Where a fork came from: the session and how many of its records were taken over."""

    id: str
    records: int


class Spawner(Struct, frozen=True):
    """The session whose agent made the one of this session, and the call by which it did."""

    session: str
    call: str


class Header(Struct, frozen=True, tag="session", tag_field="type", kw_only=True):
    """What was fixed when the session began. `started` is UTC, ISO 8601. `tools` are OpenAI definitions.

    `sandbox` says where commands ran: the backend, and its image after a colon where it has one.
    """

    schema: int = SCHEMA
    id: str
    started: str = ""
    model: str = ""
    provider: str = ""
    base_url_host: str = ""
    toolsets: list[str] = []
    tools: list[dict[str, Any]] = []
    system: str = ""
    cwd: str = ""
    hermes_version: str = ""
    sampling: dict[str, Any] = {}
    sandbox: str = ""
    parent: Parent | None = None
    spawned_by: Spawner | None = None
    redacted: dict[str, int] = field(default_factory=dict)


class UserRecord(UserMessage, frozen=True, tag="user", kw_only=True):
    ts: str = ""
    entry: int = -1
    redacted: dict[str, int] = field(default_factory=dict)

    def message(self) -> UserMessage:
        return _as(UserMessage, self)


class AssistantRecord(AssistantMessage, frozen=True, tag="assistant", kw_only=True):
    """An answer, written before any of its calls runs.

    `tokens_withheld`: there were more token ids, which read as a secret.
    """

    ts: str = ""
    entry: int = -1
    redacted: dict[str, int] = field(default_factory=dict)
    tokens_withheld: bool = False

    def message(self) -> AssistantMessage:
        return _as(AssistantMessage, self)


class ToolRecord(ToolResult, frozen=True, tag="tool", kw_only=True):
    """The result of one call, written when that call ends; the calls of an answer end in any order."""

    ts: str = ""
    redacted: dict[str, int] = field(default_factory=dict)

    def result(self) -> ToolResult:
        return _as(ToolResult, self)


class RecordBase(Struct, frozen=True, tag_field="type", kw_only=True, omit_defaults=True):
    ts: str = ""
    redacted: dict[str, int] = field(default_factory=dict)


class SupersededRecord(RecordBase, frozen=True, tag="superseded", kw_only=True):
    """Text that was shown and does not count. Never sent, never exported."""

    text: str
    reasoning: str = ""
    reason: str = ""


class RollbackRecord(RecordBase, frozen=True, tag="rollback", kw_only=True):
    """The history was cut back to its first `keep` entries."""

    keep: int
    reason: str = ""


class CompactionRecord(RecordBase, frozen=True, tag="compaction", kw_only=True):
    """Entries `start` to `end` (exclusive) are sent as `text` from here on. Sizes in tokens."""

    start: int
    end: int
    text: str
    before: int = 0
    after: int = 0


class ChangeRecord(RecordBase, frozen=True, tag="change", kw_only=True):
    """The person changed the `model`, `personality`, `toolsets` or `system`; `value` is the new one.

    `exposure` is none of theirs: the conversation has read something of which the gate has to know when it
    goes on; `value` is the kind ("untrusted", "private") and the source.

    `system` and `tools` are the new system text and tool definitions where they changed with it.
    """

    what: str
    value: Any = None
    system: str | None = None
    tools: list[dict[str, Any]] | None = None


class TitleRecord(RecordBase, frozen=True, tag="title", kw_only=True):
    title: str


class GitRecord(RecordBase, frozen=True, tag="git", kw_only=True):
    """The state of the working folder's git repository when the conversation began."""

    commit: str
    dirty: bool = False


class TurnRecord(RecordBase, frozen=True, tag="turn", kw_only=True):
    """The end of a turn. `number` and `title` are repeated here so that a list needs only a file's tail."""

    outcome: str
    reason: str = ""
    usage: Usage | None = None
    requests: int = 0
    seconds: float = 0.0
    number: int = 0
    title: str = ""


Record: TypeAlias = (
    UserRecord
    | AssistantRecord
    | ToolRecord
    | SupersededRecord
    | RollbackRecord
    | CompactionRecord
    | ChangeRecord
    | TitleRecord
    | GitRecord
    | TurnRecord
)
Message: TypeAlias = UserMessage | AssistantMessage | ToolResult
StructT = TypeVar("StructT", bound=Struct)

_decoder: msgspec.json.Decoder[Header | Record] = msgspec.json.Decoder(Header | Record)
_kinds: dict[type[Struct], type[Struct]] = {
    UserMessage: UserRecord,
    AssistantMessage: AssistantRecord,
    ToolResult: ToolRecord,
}


def as_record(item: Message | Record, ts: str) -> Record:
    """The record of `item`, stamped with the time `ts`."""
    kind = _kinds.get(type(item))
    if kind is None:
        return cast(Record, msgspec.structs.replace(item, ts=ts))
    return cast(Record, kind(**_fields(item), ts=ts))


def encode_line(item: Header | Record) -> bytes:
    """One line of the file, newline included. Lone surrogates, which UTF-8 lacks, become U+FFFD."""
    try:
        return msgspec.json.encode(item) + b"\n"
    except UnicodeEncodeError:
        return msgspec.json.encode(_scrub(msgspec.to_builtins(item))) + b"\n"


def decode_line(line: bytes) -> Header | Record:
    """Raises ValueError (not JSON, unknown type, wrong field) or RecursionError."""
    return _decoder.decode(line)


def utc_text(micros: int) -> str:
    """Microseconds since the epoch as ISO 8601 in UTC, e.g. `2026-11-21T07:18:13.123456Z`."""
    seconds, rest = divmod(micros, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}Z"


def utc_now() -> str:
    return utc_text(time.time_ns() // 1000)


def _fields(item: Struct) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__struct_fields__}


def _as(kind: type[StructT], record: Struct) -> StructT:
    return kind(**{name: getattr(record, name) for name in kind.__struct_fields__})


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_scrub(key): _scrub(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(each) for each in value]
    return value
