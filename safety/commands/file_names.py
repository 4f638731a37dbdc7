"""The file names that a glob stands for: at least those that bash would put in its place."""

from __future__ import annotations

import fnmatch
import os
import re

LONGEST_PATTERN = 500
MOST_NAMES = 1_000
MOST_ENTRIES = 20_000


class TooManyNamesError(Exception):
    """There are more names than can be looked through quickly."""


class FileNames:
    """Looks names up for one command line; what it may look at in all is limited."""

    def __init__(self) -> None:
        self._left = MOST_ENTRIES

    def matching(self, pattern: str, cwd: str) -> list[str]:
        """Names in the spelling bash gives them; empty where nothing matches. Raises TooManyNamesError."""
        if len(pattern) > LONGEST_PATTERN:
            raise TooManyNamesError
        absolute = pattern.startswith("/")
        found = ["/" if absolute else ""]
        segments = [each for each in re.split(r"/+", pattern) if each]
        for index, segment in enumerate(segments):
            last = index == len(segments) - 1
            found = [name for start in found for name in self._below(start, segment, cwd, last)]
            if len(found) > MOST_NAMES:
                raise TooManyNamesError
        found.sort()
        return [name + "/" for name in found] if pattern.endswith("/") and found else found

    def _below(self, start: str, segment: str, cwd: str, last: bool) -> list[str]:
        if not re.search(r"[*?\[]", segment):
            name = start + segment
            whole = os.path.join(cwd, name)
            if not (os.path.lexists(whole) if last else os.path.isdir(whole)):
                return []
            return [name if last else name + "/"]
        # A class of characters differs between shells and locales: anything may stand in its place.
        wider = re.sub(r"\[.*", "*", segment, flags=re.DOTALL)
        wanted = re.compile(fnmatch.translate(wider))
        names = []
        try:
            with os.scandir(os.path.join(cwd, start) or ".") as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        raise TooManyNamesError
                    if entry.name.startswith(".") and not segment.startswith((".", "[")):
                        continue
                    if wanted.match(entry.name) and (last or entry.is_dir()):
                        names.append(start + entry.name + ("" if last else "/"))
        except (OSError, UnicodeEncodeError):
            return []
        return names
