"""Long pages are kept whole in files where the task works, so that the model can read on."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from sandboxes.sandbox import Sandbox, SandboxError

_MAKE = 'mktemp -d "${TMPDIR:-/tmp}/hermes-web-XXXXXX"'
_SECONDS = 30.0
_ENDS_WITH_ITS_PLACE = frozenset({"docker", "podman", "apptainer", "modal", "nomad"})


class PageFiles:
    """The pages that one task has kept, in a private folder which goes when the task does."""

    def __init__(self) -> None:
        self._folder = ""
        self._count = 0
        self._making = asyncio.Lock()
        self._sandbox: Sandbox | None = None

    async def keep(self, sandbox: Sandbox, url: str, markdown: str) -> str:
        """The path of a new file with `markdown`.

        Raises:
            OSError, SandboxError: it cannot be written.
        """
        async with self._making:
            if not self._folder:
                self._folder, self._sandbox = await _new_folder(sandbox), sandbox
        self._count += 1
        path = f"{self._folder}/{self._count:02d}-{_name(url)}.md"
        await sandbox.write_file(path, markdown.encode(), mode=0o600)
        return path

    async def aclose(self) -> None:
        folder, self._folder = self._folder, ""
        if folder and self._sandbox and self._sandbox.confinement.kind not in _ENDS_WITH_ITS_PLACE:
            await self._sandbox.run(["rm", "-rf", "--", folder], timeout=_SECONDS, max_bytes=4_096)


async def _new_folder(sandbox: Sandbox) -> str:
    code, out = await sandbox.run(["sh", "-c", _MAKE], timeout=_SECONDS, max_bytes=4_096)
    folder = out.decode("utf-8", "replace").strip()
    if code or not folder.startswith("/"):
        raise SandboxError("no temporary folder can be made there")
    return sandbox.canonical(folder)


def _name(url: str) -> str:
    parts = urlsplit(url)
    name = f"{(parts.hostname or 'page').removeprefix('www.')}{parts.path.rstrip('/')}"
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:60] or "page"
