"""Completion of slash commands, their arguments, and @files."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from safety.terminal_text import neutralize

_AT_FILE = re.compile(r"(?:^|(?<=\s))@([^\s@]*)$")
MOST_SHOWN = 50
FRESH_SECONDS = 5.0


class ReplCompleter(Completer):
    """`arguments(command)` lists what may follow a command."""

    def __init__(self, arguments: Callable[[str], Iterable[str]]) -> None:
        self._arguments = arguments
        self._files: list[str] = []
        self._read_at = float("-inf")

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        command, space, argument = text.partition(" ")
        if not space:
            from repl.commands.table import COMMANDS

            for each in COMMANDS:
                if each.name.startswith(command[1:].lower()):
                    yield Completion("/" + each.name, -len(command), display_meta=each.help)
            return
        word = argument.rpartition(" ")[2]
        for choice in self._arguments(command[1:]):
            if choice.lower().startswith(word.lower()):
                yield Completion(choice, -len(word), display=neutralize(choice))

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        at_file = _AT_FILE.search(document.text_before_cursor)
        if at_file is None:
            for completion in self.get_completions(document, complete_event):
                yield completion
            return
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            from repl.file_names import file_names

            self._files = await asyncio.to_thread(file_names, os.getcwd())
            self._read_at = time.monotonic()
        for name in matching(self._files, at_file[1]):
            yield Completion(name, -len(at_file[1]), display=neutralize(name))


def matching(names: list[str], typed: str) -> list[str]:
    """Names that begin with `typed`, then those whose last part does, then those that contain it."""
    low = typed.lower()
    ranked: list[tuple[int, int, str]] = []
    for name in names:
        lower = name.lower()
        if low not in lower:
            continue
        last = lower.rstrip("/").rpartition("/")[2]
        rank = 0 if lower.startswith(low) else 1 if last.startswith(low) else 2
        ranked.append((rank, name.count("/"), name))
    return [name for _, _, name in sorted(ranked)[:MOST_SHOWN]]
