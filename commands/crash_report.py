"""What hermes says of its own failures: never a secret, wherever the failure comes out."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # this stands before everything else, and typing's own costs time
if TYPE_CHECKING:
    from types import TracebackType

    from safety.redact import Redactor


def own_redactor() -> Redactor:
    """It knows the person's secrets as far as they can be read now, those of the settings too."""
    from pathlib import Path

    from safety.known_secrets import person_secrets
    from safety.redact import Redactor
    from settings import SettingsError, is_trusted, load_settings

    try:
        here = Path.cwd()
        settings = load_settings(cwd=here, project_trusted=is_trusted(here)).settings
    except (SettingsError, OSError):
        settings = None
    options = [option.partition("=")[2] or option for option in sys.argv[1:]]
    return Redactor(person_secrets(settings=settings, urls=options))


def without_secrets(text: str, redactor: Redactor | None = None) -> str:
    """`text` as it may be kept or shown: without secrets, and without logins in URLs."""
    import re

    redactor = own_redactor() if redactor is None else redactor
    return re.sub(r"//[^/?#\s]*@", "//", redactor.redact(text)[0])


def watch() -> None:
    """From here on what nobody catches is shown without secrets, and what is logged where no log is kept."""
    import logging
    import threading

    class NoSecrets(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return without_secrets(super().format(record))

    if logging.lastResort is not None:
        logging.lastResort.setFormatter(NoSecrets())

    sys.excepthook = _show
    threading.excepthook = lambda crash: _show(crash.exc_type, crash.exc_value, crash.exc_traceback)
    sys.unraisablehook = lambda crash: _show(crash.exc_type, crash.exc_value, crash.exc_traceback)


def _show(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit | KeyboardInterrupt):
        return
    import traceback

    text = "".join(traceback.format_exception(kind, error, trace))
    try:
        text = without_secrets(text)
    except Exception as failed:  # noqa: BLE001 -- then nothing of it may be shown
        text = f"{kind.__name__} (and, when its secrets were looked for, {type(failed).__name__})\n"
    print(text, end="", file=sys.stderr)  # noqa: T201 -- the interpreter prints here too
