"""What searching in ten thousand sessions costs: `python -m benchmarks.session_search [SESSIONS]`.

The sessions have five turns of three calls, in words drawn with the frequencies of Zipf's law. The floor is a
program that reads and decodes every line of every file once, which a search without
an index would have to do.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from conversation.message import AssistantMessage, ToolCall, ToolResult, UserMessage
from trajectories.session_index import FILE
from trajectories.session_list import session_files
from trajectories.session_load import read_line
from trajectories.session_record import Header, RecordBase, as_record, encode_line, utc_text
from trajectories.session_search import search_sessions

SESSIONS = 10_000
TURNS, CALLS = 5, 3
_PARAGRAPHS = 4_000


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS
    with tempfile.TemporaryDirectory() as scratch:
        logs = Path(scratch)
        writer = _Writer(logs / "sessions")
        for number in range(count):
            writer.write(number)
        size = sum(path.stat().st_size for path in session_files(logs / "sessions"))
        print(f"{count} sessions, {size / 1e6:.0f} MB")
        print(f"{'wall ms':>9} {'CPU ms':>9}")
        floor = _timed("floor: every line read and decoded once", lambda: _read_all(logs))
        first = _timed("first search, the index is built", lambda: search_sessions(logs, "person7", 5))
        size = (logs / FILE).stat().st_size
        print(f"  {first / floor:.1f} times the floor; the index has {size / 1e6:.0f} MB")
        for question in (
            "person7",
            "person7 tool9",
            '"model77 ends"',
            f"{writer.word(0)} {writer.word(3)}",
            "",
        ):
            search = partial(search_sessions, logs, question, 5)
            _timed(f"nothing is new, {question or 'no words'!r}", search)
        writer.write(count)
        _timed("one session is new", lambda: search_sessions(logs, f"person{count}", 5))
        with session_files(logs / "sessions")[0].open("ab") as file:
            file.write(encode_line(as_record(UserMessage("a word more: serendipity"), utc_text(0))))
        _timed("one session has grown", lambda: search_sessions(logs, "serendipity", 5))
        session_files(logs / "sessions")[5].unlink()
        _timed("one session is gone", lambda: search_sessions(logs, "serendipity", 5))


def _timed(what: str, run: Callable[[], object]) -> float:
    """Prints both times and returns that of the processor, in seconds."""
    began, used = time.perf_counter(), time.process_time()
    run()
    seconds, used = time.perf_counter() - began, time.process_time() - used
    print(f"{seconds * 1000:9.0f} {used * 1000:9.0f}  {what}", flush=True)
    return used


def _read_all(logs: Path) -> None:
    for path in session_files(logs / "sessions"):
        with path.open("rb") as file:
            for line in file:
                read_line(line)


class _Writer:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._random = random.Random(1)
        self._words = [
            "".join(self._random.choices("abcdefghijklmnop", k=self._random.randint(3, 9)))
            for _ in range(30_000)
        ]
        frequencies = [1 / rank for rank in range(1, len(self._words) + 1)]
        drawn = self._random.choices(self._words, frequencies, k=_PARAGRAPHS * 30)
        self._paragraphs = [" ".join(drawn[start : start + 30]) for start in range(0, len(drawn), 30)]

    def word(self, rank: int) -> str:
        return self._words[rank]

    def text(self, paragraphs: int) -> str:
        return "\n".join(self._random.choices(self._paragraphs, k=paragraphs))

    def write(self, number: int) -> None:
        items: list[UserMessage | AssistantMessage | ToolResult | RecordBase] = []
        for turn in range(TURNS):
            items.append(UserMessage(f"person{number} {self.text(1)}"))
            for call in range(CALLS):
                name, arguments = (
                    f"c{turn}{call}",
                    msgspec.json.encode({"command": self.text(1)[:60]}).decode(),
                )
                items.append(AssistantMessage(self.text(1)[:100], (ToolCall(name, "terminal", arguments),)))
                output = {"output": f"tool{number % 100} {self.text(8)}"}
                items.append(ToolResult(name, "terminal", msgspec.json.encode(output).decode()))
            items.append(AssistantMessage(f"{self.text(3)} model{number % 1000} ends"))
        header = Header(
            id="", started=utc_text(number), model="m", system=self.text(5), cwd=f"/work/{number % 50}"
        )
        lines = [encode_line(header)]
        lines += [encode_line(as_record(item, utc_text(n))) for n, item in enumerate(items)]  # type: ignore[arg-type]
        (self._folder / f"20260101_000000_000000_{number:06x}.jsonl").write_bytes(b"".join(lines))


if __name__ == "__main__":
    main()
