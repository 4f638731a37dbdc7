"""Writing a session file: one write a record, one writer at a time; a full disk ends no conversation."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from configuration.home import make_private_folder
from conversation.message import Usage
from trajectories.session_id import new_session_id
from trajectories.session_load import Session, SessionError, load_session
from trajectories.session_record import (
    AssistantRecord,
    CompactionRecord,
    Header,
    Message,
    Parent,
    Record,
    RollbackRecord,
    TitleRecord,
    TurnRecord,
    UserRecord,
    as_record,
    encode_line,
    utc_now,
    utc_text,
)

if TYPE_CHECKING:
    from safety.redact import Redactor
    from trajectories.redacted_record import RecordCleaner

Line = TypeVar("Line", bound=Header | Record)


class SessionBusy(SessionError):
    """Another process (`pid`, None if unknown) has the session open for writing."""

    def __init__(self, path: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"session {path.stem} is open in {who}; two cannot write one session")
        self.path = path
        self.pid = pid


class SessionWriter:
    """Appends to one session file and holds its lease.

    A record that cannot be written stays in memory and is tried again, in order, with the next one;
    meanwhile `problem` says in one line what is wrong ("" while all is saved).

    `redactor`, where one is set, is called for the first record: what it finds reaches no file.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.header = header
        self.problem = ""
        self.title = ""
        self.turns = 0
        self.redactor: Callable[[], Redactor] | None = None
        self._cleaner: RecordCleaner | None = None
        self._folder = folder
        self._fd = -1
        self._syncs = True
        self._closed = False
        self._exists = False
        self._wanted = False
        self._pending: list[bytes] = []
        self._headed = False
        self._between_lines = True
        self._numbers: list[int] = []
        self._damaged = False
        self._last_micros = 0

    @classmethod
    def create(cls, folder: Path, header: Header, *, sync: bool = True) -> SessionWriter:
        """A writer for a new session in `folder`. The file comes into being with the first message.

        An empty `header.id` is given a new id, an empty `header.started` the present time. Without `sync`
        the end of a turn does not wait for the disk: for files that are moved elsewhere when they are done.
        """
        filled = msgspec.structs.replace(
            header, id=header.id or new_session_id(), started=header.started or utc_now()
        )
        writer = cls(folder, filled)
        writer._syncs = sync
        return writer

    @classmethod
    def open(cls, path: Path, *, send_reasoning: bool = True) -> tuple[SessionWriter, Session]:
        """Continue the session at `path`. Where it may only be read, `problem` says so from the start.

        Raises:
            SessionBusy: another writer has it open.
            SessionError: it cannot be read.
        """
        writer = cls(path.parent, Header(id=path.stem))
        writer._exists = writer._headed = True
        try:
            writer._open_file()
        except OSError as error:
            writer.problem = writer._unsaved(error.strerror or str(error))
        try:
            session = load_session(path, send_reasoning=send_reasoning)
        except BaseException:
            writer.close()
            raise
        writer.header = msgspec.structs.replace(session.header, id=path.stem)
        writer._numbers = list(session.numbers)
        writer._damaged = bool(session.problems)
        writer._last_micros = _micros(session.ended)
        writer.title, writer.turns = session.title, len(session.turns)
        return writer, session

    @property
    def path(self) -> Path:
        return self._folder / f"{self.header.id}.jsonl"

    def append(self, item: Message | Record) -> str:
        """Record `item`. Returns `problem` if saving has just begun to fail, else "".

        Raises:
            ValueError: the writer is closed. A file that cannot be written raises nothing.
        """
        self._last_micros = max(self._last_micros + 1, time.time_ns() // 1000)
        if self._closed:
            raise ValueError(f"session {self.header.id} is closed")
        if not self._headed:
            self._headed = True
            self._pending.append(encode_line(self._clean(self.header)))
        record = self._clean(self._numbered(as_record(item, utc_text(self._last_micros))))
        if isinstance(record, TitleRecord):
            self.title = record.title
        self._wanted = self._wanted or isinstance(record, UserRecord | AssistantRecord)
        self._pending.append(encode_line(record))
        return self._attempt(self._write_pending)

    def end_turn(
        self,
        outcome: str,
        *,
        reason: str = "",
        usage: Usage | None = None,
        requests: int = 0,
        seconds: float = 0.0,
    ) -> str:
        """Record the end of a turn and bring the file to the disk. Returns like `append`."""
        self.turns += 1
        told = self.append(
            TurnRecord(
                outcome=outcome,
                reason=reason,
                usage=usage,
                requests=requests,
                seconds=round(seconds, 3),
                number=self.turns,
                title=self.title,
            )
        )
        return told or ("" if self.problem else self._attempt(self._sync))

    def close(self) -> str:
        """Try once more what is unsaved and give the lease back. Returns like `append`."""
        told = self._attempt(self._write_pending) if self.problem and self._pending else ""
        self._closed = True
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        return told

    def rescue(self, folder: Path) -> Path | None:
        """Write what the file has and what it lacks to a new private file in `folder`.

        Returns its path, None if nothing is unsaved. Raises OSError.
        """
        if not self._pending or not (self._exists or self._wanted):
            return None
        saved = self.path.read_bytes() if self._exists else b""
        target = folder / f"hermes-{self.header.id}.jsonl"
        with open(target, "xb", opener=_private) as file:
            file.write(saved + (b"\n" if saved and not saved.endswith(b"\n") else b""))
            file.writelines(self._pending)
        return target

    def _numbered(self, record: Record) -> Record:
        """Put numbers of the file where the caller speaks of entries of its history.

        The two differ only in a session that lost lines.
        """
        numbers = self._numbers
        following = numbers[-1] + 1 if numbers else 0
        match record:
            case UserRecord() | AssistantRecord():
                numbers.append(following)
                return msgspec.structs.replace(record, entry=following)
            case RollbackRecord(keep=keep) if keep < len(numbers):
                keep = numbers[max(keep, 0)]
                numbers[:] = [number for number in numbers if number < keep]
                return msgspec.structs.replace(record, keep=keep)
            case RollbackRecord():
                return msgspec.structs.replace(record, keep=following)
            case CompactionRecord(start=start, end=end) if 0 <= start < end <= len(numbers):
                return msgspec.structs.replace(record, start=numbers[start], end=numbers[end - 1] + 1)
        return record

    def _clean(self, line: Line) -> Line:
        if self.redactor is None:
            return line
        if self._cleaner is None:
            from trajectories.redacted_record import RecordCleaner

            self._cleaner = RecordCleaner(self.redactor())
        return self._cleaner.clean(line)

    def _attempt(self, action: Callable[[], None]) -> str:
        before = self.problem
        try:
            action()
        except OSError as error:
            self.problem = self._unsaved(error.strerror or str(error))
        except SessionBusy as error:
            self.problem = self._unsaved(str(error))
        else:
            self.problem = ""
        return self.problem if self.problem != before else ""

    def _unsaved(self, reason: str) -> str:
        return f"this conversation is not being saved: {reason} ({self.path})"

    def _sync(self) -> None:
        if self._fd >= 0 and self._syncs:
            os.fsync(self._fd)

    def _write_pending(self) -> None:
        if not self._exists and not self._wanted:
            return
        if self._fd < 0:
            self._open_file()
        if self._damaged:
            self._keep_copy()
        while self._pending:
            self._write_line(self._pending[0])
            del self._pending[0]

    def _write_line(self, line: bytes) -> None:
        """One write. Where only a part went in, the rest follows or the next try starts a line of its own."""
        data = memoryview(line if self._between_lines else b"\n" + line)
        while data:
            written = os.write(self._fd, data)
            self._between_lines = False
            data = data[written:]
        self._between_lines = True

    def _open_file(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        if not self._exists:
            make_private_folder(self._folder)
            flags |= os.O_CREAT | os.O_EXCL
        try:
            fd = os.open(self.path, flags, 0o600)
        except FileExistsError:
            self.header = msgspec.structs.replace(self.header, id=new_session_id())
            self._pending[0] = encode_line(self._clean(self.header))
            fd = os.open(self.path, flags, 0o600)
        try:
            _take_lease(fd, self.path)
            self._between_lines = _ends_line(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._exists = True

    def _keep_copy(self) -> None:
        """Keep a damaged file as it was found, once, before anything is added to it."""
        import shutil

        copy = self.path.with_suffix(".damaged")
        try:
            with self.path.open("rb") as source, open(copy, "xb", opener=_private) as target:
                shutil.copyfileobj(source, target)
        except FileExistsError:
            pass  # an earlier copy is nearer to the damage
        self._damaged = False


def fork(path: Path) -> Path:
    """Copy the conversation at `path`, as far as it is readable, into a new session beside it.

    Returns the new file's path. Its header names the parent. Works while another process has the
    original open.

    Raises:
        SessionError: the session cannot be read, or the new one not written.
    """
    session = load_session(path)
    parent = Parent(path.stem, len(session.records))
    header = msgspec.structs.replace(
        session.header, id=new_session_id(), started=utc_now(), parent=parent, spawned_by=None
    )
    copy = path.parent / f"{header.id}.jsonl"
    try:
        with open(copy, "xb", opener=_private) as file:
            file.writelines([encode_line(header), *map(encode_line, session.records)])
    except OSError as error:
        if not isinstance(error, FileExistsError):
            copy.unlink(missing_ok=True)
        raise SessionError(f"cannot write the fork {copy}: {error.strerror}") from None
    return copy


def delete_session(path: Path) -> None:
    """Remove a session file and the copy kept of a damaged one.

    Raises:
        SessionBusy: it is open for writing.
        SessionError: it cannot be removed.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _take_lease(fd, path)
            path.unlink()
            path.with_suffix(".damaged").unlink(missing_ok=True)
        finally:
            os.close(fd)
    except OSError as error:
        raise SessionError(f"cannot delete {path}: {error.strerror}") from None


def lease_holder(fd: int) -> int | None:
    """The process that holds the flock on the file open as `fd`, where the system tells (Linux, proc(5))."""
    status = os.fstat(fd)
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        rows = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for row in rows:
        fields = row.split()
        if "FLOCK" in fields and "->" not in fields and wanted in fields:
            pid = int(fields[fields.index(wanted) - 1])
            return pid if pid > 0 else None
    return None


def _take_lease(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise SessionBusy(path, lease_holder(fd)) from None
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise  # those three: a file system without locks, where only the person can keep two apart


def _ends_line(fd: int) -> bool:
    size = os.fstat(fd).st_size
    return size == 0 or os.pread(fd, 1, size - 1) == b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _micros(text: str) -> int:
    """Microseconds since the epoch of an ISO 8601 text; 0 where it is none."""
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000_000) + 1
    except ValueError:
        return 0
