"""What was typed before, in one file that all sessions share."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit.history import History

from configuration.home import make_private_folder

if TYPE_CHECKING:
    from safety.redact import Redactor

READ_AT_MOST = 256 * 1024
"""Bytes read from the end of the file: some thousand entries, a few milliseconds."""


class InputHistory(History):
    """One JSON string a line, appended in one write, mode 0600, without the secrets in it.

    The file is read again for each new input line, so what another session typed is found too.
    Where it cannot be written, entries are kept in memory and `problem` says why.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.problem = ""
        self._redactor: Redactor | None = None
        self._unsaved: list[str] = []

    async def load(self) -> AsyncGenerator[str, None]:
        for entry in self.load_history_strings():
            yield entry

    def load_history_strings(self) -> Iterable[str]:
        """Entries, newest first, repeats left out."""
        seen: set[str] = set()
        for entry in [*reversed(self._unsaved), *reversed(self._read())]:
            if entry not in seen:
                seen.add(entry)
                yield entry

    def append_string(self, string: str) -> None:
        self.store_string(string)

    def store_string(self, string: str) -> None:
        if not string.strip():
            return
        import json

        if self._redactor is None:
            from safety.known_secrets import person_secrets
            from safety.redact import Redactor

            self._redactor = Redactor(person_secrets())
        string, _ = self._redactor.redact(string)
        line = json.dumps(string, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            make_private_folder(Path(self.path).parent)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"
            self._unsaved.append(string)

    def _read(self) -> list[str]:
        import json

        try:
            with open(self.path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - READ_AT_MOST))
                lines = file.read().splitlines()
        except OSError:
            return []
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, str):
                entries.append(entry)
        return entries
