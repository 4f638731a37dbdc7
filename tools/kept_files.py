"""What is too long for the model, or no text, is kept whole in files where the task works, to be read on."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from sandboxes.sandbox import Sandbox, SandboxError

_MAKE = 'mktemp -d "${TMPDIR:-/tmp}/hermes-kept-XXXXXX"'
_SECONDS = 30.0


class KeptFiles:
    """The files that one task has kept, in a private folder which goes when the task does."""

    def __init__(self) -> None:
        self._folder = ""
        self._count = 0
        self._making = asyncio.Lock()
        self._sandbox: Sandbox | None = None

    async def keep(self, sandbox: Sandbox, name: str, suffix: str, data: bytes) -> str:
        """The path of a new file with `data`, called after `name`, which may be any text.

        Raises:
            OSError, SandboxError: it cannot be written.
        """
        async with self._making:
            if not self._folder:
                self._folder, self._sandbox = await _new_folder(sandbox), sandbox
        self._count += 1
        plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:60]
        path = f"{self._folder}/{self._count:02d}-{plain or 'text'}{suffix}"
        await sandbox.write_file(path, data, mode=0o600)
        return path

    async def keep_page(self, sandbox: Sandbox, url: str, text: str) -> str:
        """The same for what a web page says."""
        parts = urlsplit(url)
        name = f"{(parts.hostname or 'page').removeprefix('www.')}{parts.path.rstrip('/')}"
        return await self.keep(sandbox, name, ".md", text.encode("utf-8", "replace"))

    async def aclose(self) -> None:
        folder, self._folder = self._folder, ""
        if not folder or self._sandbox is None:
            return
        confinement = self._sandbox.confinement
        if confinement.here or confinement.kind == "ssh":  # a container takes its files along
            await self._sandbox.run(["rm", "-rf", "--", folder], timeout=_SECONDS, max_bytes=4_096)


async def _new_folder(sandbox: Sandbox) -> str:
    code, out = await sandbox.run(["sh", "-c", _MAKE], timeout=_SECONDS, max_bytes=4_096)
    folder = out.decode("utf-8", "replace").strip()
    if code or not folder.startswith("/"):
        raise SandboxError("no temporary folder can be made there")
    return sandbox.canonical(folder)
