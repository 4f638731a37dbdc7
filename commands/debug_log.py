"""The log that `--debug` writes."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from commands.crash_report import own_redactor, without_secrets
from configuration.home import SettingsError, logs_dir, make_private_folder
from safety.redact import Redactor


class _NoSecrets(logging.Formatter):
    """Libraries log whole URLs, headers and bodies; a traceback quotes what an exception says."""

    def __init__(self, layout: str, redactor: Redactor) -> None:
        super().__init__(layout)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record), self._redactor)


def start_debug_log() -> Path:
    """Sends everything that is logged in this process to a new file, mode 0600, and returns its path.

    Raises:
        SettingsError: the file cannot be made.
    """
    folder = logs_dir()
    path = folder / f"debug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    try:
        make_private_folder(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise SettingsError(f"cannot write the log {path}: {error.strerror or error}") from error
    output = logging.StreamHandler(open(handle, "a", encoding="utf-8"))  # noqa: SIM115 -- open until the end
    output.setFormatter(_NoSecrets("%(asctime)s %(levelname)s %(name)s: %(message)s", own_redactor()))
    logging.basicConfig(handlers=[output], level=logging.DEBUG)
    return path
