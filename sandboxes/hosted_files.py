"""Files inside a host, by way of files.sh. Paths are absolute; errors are the OSErrors that `open` raises."""

from __future__ import annotations

import errno
import os
import stat as status_bits

from sandboxes.foothold import Foothold
from sandboxes.host import Program
from sandboxes.sandbox import BoundedOutput, FileStat, SandboxError

_SECONDS_A_MEGABYTE = 2.0
_ERRORS = {os.strerror(number): number for number in errno.errorcode}
_MESSAGES = sorted(_ERRORS, key=len, reverse=True)


class HostedFiles:
    """Operations on the files of a host; each is one program started inside."""

    def __init__(self, foothold: Foothold) -> None:
        self._foothold = foothold

    async def stat(self, path: str) -> FileStat:
        return _facts((await self._do("stat", path)).decode().split())

    async def list_dir(self, path: str) -> list[tuple[str, FileStat]]:
        """Names and facts, sorted by name."""
        listed = []
        for entry in (await self._do("list", path)).split(b"\0")[:-1]:
            *facts, name = entry.split(b" ", 4)
            listed.append((os.fsdecode(name), _facts([fact.decode() for fact in facts])))
        return sorted(listed, key=lambda entry: entry[0])

    async def read(self, path: str, offset: int, size: int | None) -> bytes:
        return await self._do("read", path, str(offset), "-1" if size is None else str(size))

    async def write(self, path: str, data: bytes | int, mode: int | None, *, size: int = 0) -> None:
        """`data` may be a descriptor of `size` bytes; it is closed."""
        how = "keep" if mode is None else f"{mode:o}"
        size = len(data) if isinstance(data, bytes) else size
        await self._do("write", path, how, str(size), data=data, size=size)

    async def remove(self, path: str) -> None:
        await self._do("remove", path)

    async def output(self, program: Program, name: str, limit: int) -> BoundedOutput:
        """What `program` wrote; where it is too long, all of it is put into a file inside for the model to
        read."""
        output = program.capture.result(limit)
        if output.spill_path is None or program.is_open:
            return output
        path = f"{self._foothold.folder}/output-{name}.log"
        try:
            descriptor = os.open(output.spill_path, os.O_RDONLY | os.O_CLOEXEC)
            size = os.fstat(descriptor).st_size
            await self.write(path, descriptor, 0o600, size=size)
        except (OSError, SandboxError):
            return output  # the person at least can read it, on this machine
        os.unlink(output.spill_path)
        return program.capture.result(limit, log_path=path)

    async def _do(
        self, operation: str, path: str, *arguments: str, data: bytes | int | None = None, size: int = 0
    ) -> bytes:
        timeout = 600.0 if operation == "read" else 60.0 + size / 1_000_000 * _SECONDS_A_MEGABYTE
        for attempt in (1, 2):
            code, output, said = await self._foothold.script(
                "files.sh", operation, path, *arguments, data=data, timeout=timeout
            )
            if code == 0:
                return output
            if (number := _errno(said)) is not None:
                raise OSError(number, os.strerror(number), path)
            if isinstance(data, int) or attempt == 2 or not await self._foothold.lost():
                break
        raise SandboxError(f"{self._foothold.host.name}: {operation} of {path} failed: {said or code}")


def _errno(said: str) -> int | None:
    """The error that a program's last line tells of."""
    last = said.rpartition("\n")[2].strip()
    message = next((each for each in _MESSAGES if last.endswith(each)), None)
    return None if message is None else _ERRORS[message]


def _facts(fields: list[str]) -> FileStat:
    own, followed, size, mtime = fields
    mode = int(followed, 16)
    return FileStat(
        size=int(size),
        mode=status_bits.S_IMODE(mode),
        is_dir=status_bits.S_ISDIR(mode),
        is_file=status_bits.S_ISREG(mode),
        is_symlink=status_bits.S_ISLNK(int(own, 16)),
        mtime=float(mtime),
    )
