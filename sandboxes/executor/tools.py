"""What a slot can do for a task: bash with a lasting state, reading and writing files."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sandboxes.executor.bubblewrap import INSIDE, WORKSPACE
from sandboxes.executor.output import Capture
from sandboxes.executor.slot import Ended, OutputPipe, Slot, Streams, marked
from sandboxes.process_tree import MARKER
from sandboxes.shell_state import read_cwd, shell_line

OUTPUT_LIMIT = 256 * 1024
"""Bytes of output in an answer, unless fewer are asked for."""
FILE_LIMIT = 8 * 1024 * 1024
"""Bytes of a file in one answer; more are read in parts."""
LONGEST = 24 * 3600.0
TIMED_OUT = 124
ALLOWED = (
    "PATH", "LANG", "LANGUAGE", "LC_*", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "JAVA_HOME",
    "GOPATH", "GOROOT", "CARGO_HOME", "RUSTUP_HOME",
)  # fmt: skip
"""Variables of the image that commands see: where its programs are, and the language."""
_LOCALE = ("LANG", "LC_ALL", "LC_CTYPE")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_SNAPSHOT_LIMIT = 32 * 1024 * 1024


class BadCall(Exception):
    """The caller asked for what there is not; `str` says what."""


@dataclass
class ToolOutcome:
    """What the caller gets, but for the ids."""

    success: bool
    output: str = ""
    error: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


def command_environment(environ: dict[str, str], passed: tuple[str, ...] = ()) -> dict[str, str]:
    """What commands see of the executor's own environment, and their home."""
    seen = {name: value for name, value in environ.items()
            if name in passed or any(fnmatchcase(name, pattern) for pattern in ALLOWED)}  # fmt: skip
    seen.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    seen.setdefault("LANG", "C.UTF-8")
    return {
        **seen,
        "HOME": WORKSPACE,
        "TMPDIR": "/tmp",
        "TERM": "dumb",
        "USER": "sandbox",
        "SHELL": "/bin/bash",
    }


class SlotTools:
    """The tools of one life of a slot, with the state of its shell."""

    def __init__(self, slot: Slot, environment: dict[str, str], bash: str) -> None:
        self.slot = slot
        self.cwd = WORKSPACE
        self._environment = environment
        self._bash = bash
        self._restore = ""
        self._count = 0
        self._shell = asyncio.Lock()

    async def call(self, tool: str, args: dict[str, Any], timeout: float) -> ToolOutcome:
        """Raises BadCall, SlotLost."""
        tools = {"bash": self._run_bash, "read_file": self._read_file, "write_file": self._write_file}
        if tool not in tools:
            raise BadCall(f"there is no tool {tool!r}; there are {', '.join(sorted(tools))}")
        try:
            return await tools[tool](args, timeout)
        except OSError as error:
            return ToolOutcome(False, error=error.strerror or str(error), metadata={"errno": error.errno})

    def marker(self) -> str:
        """What begins as the executor's own is found with it."""
        return f"{os.environ.get(MARKER, '')}{secrets.token_hex(16)}."

    def environment(self, marker: str) -> list[str]:
        return marked(self._environment, marker)

    async def _run_bash(self, args: dict[str, Any], timeout: float) -> ToolOutcome:
        command = wanted(args, "command", str)
        stdin = wanted(args, "stdin", str, "")
        limit = min(wanted(args, "output_limit", int, OUTPUT_LIMIT), OUTPUT_LIMIT)
        if "\0" in command:
            raise BadCall("the command contains a NUL character; write it as \\0 instead")
        async with self._shell:
            capture = Capture(limit)
            ended = await self._shell_command(command, stdin.encode(), timeout, capture.feed)
        code = TIMED_OUT if ended.timed_out else ended.code
        error = f"ended after {timeout:g} s, with all it had started" if ended.timed_out else ""
        return ToolOutcome(
            code == 0, capture.text(), error,
            {"exit_code": code, "timed_out": ended.timed_out, "seconds": ended.seconds, "cwd": self.cwd,
             "total_bytes": capture.total, "truncated": capture.truncated},
        )  # fmt: skip

    async def _shell_command(
        self, command: str, stdin: bytes, timeout: float, feed: Callable[[bytes], None]
    ) -> Ended:
        self._count += 1
        number, marker = self._count, self.marker()
        self._leave_command(f"command-{number}", command.encode("utf-8", "replace"))
        line = shell_line(f"{INSIDE}/shell_state.sh", f"{INSIDE}/state", number, self._restore)
        environment = self._environment
        if self._restore:
            # The snapshot has the rest; what the session unset must not come back.
            environment = {name: environment[name] for name in _LOCALE if name in environment}
        argv = [self._bash, "--noprofile", "--norc", "-c", line, "bash"]
        fields = [str(len(argv)), *argv, *marked({**environment, "PWD": self.cwd}, marker)]
        try:
            return await self.run("run", self.cwd, fields, stdin, timeout, feed, marker)
        finally:
            self._adopt(number)

    async def run(
        self, kind: str, folder: str, fields: list[str], stdin: bytes, timeout: float,
        feed: Callable[[bytes], None], marker: str,
    ) -> Ended:  # fmt: skip
        """Run in the slot with stdout and stderr in one pipe. Raises as `Slot.run`."""
        pipe = OutputPipe(feed)
        try:
            streams = Streams(_input(stdin), pipe.writer, pipe.writer)
            ended = await self.slot.run(kind, folder, fields, streams, timeout, marker)
            if not await pipe.finish():
                self.slot.keep(pipe)
        except BaseException:
            pipe.close()
            raise
        return ended

    def _leave_command(self, name: str, command: bytes) -> None:
        # The folder is the slot's to write: what lies there under that name may be a trap.
        with self._state_folder() as folder:
            try:
                descriptor = os.open(name, _NEW, 0o600, dir_fd=folder)
            except FileExistsError:
                os.unlink(name, dir_fd=folder)
                descriptor = os.open(name, _NEW, 0o600, dir_fd=folder)
            with open(descriptor, "wb") as file:
                file.write(command)

    def _adopt(self, number: int) -> None:
        """Make the snapshot that was just taken the current one, if it is complete."""
        with self._state_folder() as folder:
            with contextlib.suppress(OSError):
                os.unlink(f"command-{number}", dir_fd=folder)
            try:
                descriptor = os.open(
                    f"state-{number}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder
                )
            except OSError:
                return
            with open(descriptor, "rb") as file:
                facts = os.fstat(descriptor)
                if not stat.S_ISREG(facts.st_mode) or facts.st_size > _SNAPSHOT_LIMIT:
                    return
                cwd = read_cwd(file.read())
            if cwd is None:
                return
            self.cwd = cwd
            self._restore = f"{INSIDE}/state/state-{number}"
            with contextlib.suppress(OSError):
                os.unlink(f"state-{number - 2}", dir_fd=folder)

    @contextlib.contextmanager
    def _state_folder(self) -> Any:
        folder = os.open(self.slot.folder / "state", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield folder
        finally:
            os.close(folder)

    async def _read_file(self, args: dict[str, Any], timeout: float) -> ToolOutcome:
        offset, size = wanted(args, "offset", int, 0), wanted(args, "size", int, FILE_LIMIT)
        if offset < 0 or not 0 <= size <= FILE_LIMIT:
            raise BadCall(f"offset is 0 or more and size at most {FILE_LIMIT}")
        path = wanted(args, "path", str)
        data = await self.file(path, "read", [str(offset), str(size + 1)], b"", timeout)
        metadata = {"truncated": len(data) > size, "total_bytes": min(len(data), size)}
        if args.get("encoding") == "base64":
            return ToolOutcome(True, base64.b64encode(data[:size]).decode(), metadata=metadata)
        return ToolOutcome(True, data[:size].decode("utf-8", "replace"), metadata=metadata)

    async def _write_file(self, args: dict[str, Any], timeout: float) -> ToolOutcome:
        content = wanted(args, "content", str)
        try:
            data = (
                base64.b64decode(content, validate=True)
                if args.get("encoding") == "base64"
                else content.encode()
            )
        except (binascii.Error, UnicodeEncodeError) as error:
            raise BadCall(f"content is not what its encoding says: {error}") from error
        how = "append" if args.get("append") else "replace"
        await self.file(wanted(args, "path", str), "write", [how], data, timeout)
        return ToolOutcome(True, metadata={"total_bytes": len(data)})

    async def file(self, path: str, kind: str, how: list[str], data: bytes, timeout: float) -> bytes:
        """`kind` as in holder.py; what was read. Relative paths begin where the shell is."""
        if "\0" in path:
            raise BadCall("a path cannot hold a NUL character")
        capture = Capture(4 * FILE_LIMIT)
        path = os.path.join(self.cwd, path)
        ended = await self.run(kind, "/", [path, *how], data, timeout, capture.feed, self.marker())
        if ended.timed_out or ended.code:
            raise OSError(5, f"{path} could not be worked on within {timeout:g} s")
        return capture.data()


def wanted(args: dict[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """args[name], which has to be of that type. Raises BadCall."""
    value = args.get(name, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadCall(f"{name} has to be given, of type {kind.__name__}")
    return value


def _input(data: bytes) -> int:
    """A descriptor to read `data` from; a file in memory, so that nobody has to feed it."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY)
    descriptor = os.memfd_create("stdin")
    with open(os.dup(descriptor), "wb") as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
