"""Fuzzing led by coverage, for whoever has time: `python tests/security/fuzz/with_atheris.py TARGET SECONDS`.

TARGET is `screen`, `session` or `history`. Needs atheris (`pip install atheris`), which the tests do not.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))


def screen(data: bytes) -> None:
    from safety.terminal_text import StreamCleaner, neutralize, strip_controls

    text = data[1:].decode("utf-8", "replace")
    whole, pieces = StreamCleaner(), StreamCleaner()
    cut = data[0] if data else 0
    shown = whole.feed(text) + whole.close()
    if len(text) < 4000:
        assert shown == pieces.feed(text[:cut]) + pieces.feed(text[cut:]) + pieces.close()
    for safe in (shown, neutralize(text), neutralize(strip_controls(text))):
        assert not any((each < " " and each not in "\n\t") or "\x7f" <= each <= "\x9f" for each in safe)
        assert neutralize(safe) == safe


def session(data: bytes) -> None:
    from tests.faults.request_checks import check_messages
    from trajectories.session_load import SessionError, load_session

    path = Path(tempfile.gettempdir(), f"hermes-fuzz-{id(sys)}.jsonl")
    path.write_bytes(b'{"type":"session","id":"s","system":"s"}\n' + data)
    with contextlib.suppress(SessionError):
        loaded = load_session(path)
        loaded.history.system = "system"
        check_messages(loaded.history.messages())


def history(data: bytes) -> None:
    from conversation.history import History
    from conversation.repair import HistoryReader
    from trajectories.validate import validate_line

    validate_line(data)
    with contextlib.suppress(ValueError, RecursionError):
        messages: Any = json.loads(data)
        entries = HistoryReader().read(messages if isinstance(messages, list) else [messages])
        made = History("system")
        for entry in entries:
            made.add(entry)
        made.messages()


if __name__ == "__main__":
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    name, seconds = sys.argv[1], sys.argv[2]
    target = {"screen": screen, "session": session, "history": history}[name]
    atheris.instrument_all()
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            "-max_len=4096",
            f"-artifact_prefix={tempfile.gettempdir()}/",
        ],
        target,
    )
    atheris.Fuzz()
