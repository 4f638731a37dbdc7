"""Search a sandbox's files by content or by name.

Content is searched in two steps: first how many lines match in each file (ripgrep does that if it is
there), then the lines that are to be shown, which always come from the same matcher.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from sandboxes.sandbox import FileStat, Sandbox, SandboxError
from tools.files.glob_match import has_wildcard, path_matcher
from tools.files.regex_process import MatchRequest, match_files
from tools.files.walk import ignore_files_above, is_passed_by, walk_files

SECONDS = 20.0
_MOST_COUNT_BYTES = 32 << 20
_BOUNDED = ("bash", "--noprofile", "--norc", "-c", 'ulimit -d 1000000 2> /dev/null; exec "$@"', "bash")
"""With a GB of memory: ripgrep reads a .gitignore that leads to a file without end as far as it is let."""
_SIMPLE_GLOB = re.compile(r"(?!.*\*\*)[\w.*?-]+")
_OTHER_IN_RUST = re.compile(
    r"\(\?(?:[=!>(#]|<[=!]|P=|[aL])|\\[1-9AZ<>]|[*+?}]\+|\[[^\]]*(?:\[|&&|--|~~|\|\|)|\$\^"
)
"""Patterns that Python's regexes know and ripgrep's do not, or read otherwise."""


class PatternError(ValueError):
    """The regex is wrong; the text says where, and how to search for the plain text."""


@dataclass(slots=True)
class ContentCounts:
    """How many lines match in which file, by absolute path in order. `complete` if all was searched."""

    counts: dict[str, int] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class FoundFile:
    path: str
    size: int
    mtime: float


def check_pattern(pattern: str) -> bool:
    """Whether ripgrep reads `pattern` as Python does.

    Raises:
        PatternError: the pattern is not a regex.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(
            f"pattern is not a regex: {error}. To find it as plain text use: {re.escape(pattern)}"
        ) from None
    return not caught and not _OTHER_IN_RUST.search(pattern)


async def count_matches(
    sandbox: Sandbox,
    pattern: str,
    root: str,
    *,
    file_glob: str = "",
    skip: Sequence[str] = (),
    ripgrep: bool = True,
) -> ContentCounts:
    """Matching lines by file, in and below `root` (absolute, a folder or one file).

    `skip` are places to leave out, as `is_passed_by` takes them; `ripgrep=False` searches without it.

    Raises:
        PatternError: the pattern is not a regex.
    """
    same = check_pattern(pattern)
    wanted = _relative_matcher(root, file_glob)
    is_dir = (await sandbox.stat(root)).is_dir
    if ripgrep and same:
        counts = await _count_with_ripgrep(sandbox, pattern, root, file_glob if is_dir else "")
        if counts is not None:
            kept = {
                path: count
                for path, count in sorted(counts.counts.items(), key=lambda item: item[0].split("/"))
                if wanted(path) and not is_passed_by(path, skip)
            }
            return ContentCounts(kept, counts.complete)
    result = ContentCounts()

    async def requests() -> AsyncIterator[MatchRequest]:
        if not is_dir:
            yield MatchRequest(root, binary_ok=True)
            return
        async for path, _ in walk_files(sandbox, root, skip=skip):
            if wanted(path):
                yield MatchRequest(path)

    try:
        async with asyncio.timeout(SECONDS):
            async with aclosing(match_files(sandbox, pattern, requests())) as files:
                async for file in files:
                    if file.count:
                        result.counts[file.path] = file.count
    except TimeoutError:
        result.complete = False
    result.counts = dict(sorted(result.counts.items(), key=lambda item: item[0].split("/")))
    return result


async def matching_rows(
    sandbox: Sandbox, pattern: str, counts: dict[str, int], *, offset: int, limit: int, context: int
) -> tuple[list[dict[str, Any]], bool]:
    """The matches number `offset` to `offset + limit` of all, with `path`, and whether time was enough."""

    async def requests() -> AsyncIterator[MatchRequest]:
        passed = 0
        for path, count in counts.items():
            skip = max(0, offset - passed)
            take = min(count - skip, offset + limit - passed - skip)
            passed += count
            if take > 0:
                yield MatchRequest(path, skip, take, context, binary_ok=True)

    rows: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(SECONDS):
            async with aclosing(match_files(sandbox, pattern, requests())) as files:
                async for file in files:
                    rows += [{"path": file.path, **row} for row in file.rows]
    except TimeoutError:
        return rows, False
    return rows, True


async def find_names(
    sandbox: Sandbox, pattern: str, root: str, *, skip: Sequence[str] = ()
) -> tuple[list[FoundFile], bool]:
    """Files below `root` whose name fits, and whether all was looked at.

    A pattern with `*`, `?`, `[` or `{` is a glob (over the relative path if it has a slash), any other
    is part of the name (or of the relative path) in any case. "" fits all.
    """
    if has_wildcard(pattern):
        fits = _relative_matcher(root, pattern)
    else:
        wanted = pattern.lower().removeprefix("./")

        def fits(path: str) -> bool:
            relative = _relative(path, root)
            return wanted in (relative if "/" in wanted else posixpath.basename(relative)).lower()

    found: list[FoundFile] = []
    try:
        async with asyncio.timeout(SECONDS):
            async for path, stat in _files(sandbox, root, skip):
                if fits(path):
                    found.append(FoundFile(path, stat.size, stat.mtime))
    except TimeoutError:
        return found, False
    return found, True


async def _files(sandbox: Sandbox, root: str, skip: Sequence[str]) -> AsyncIterator[tuple[str, FileStat]]:
    stat = await sandbox.stat(root)
    if not stat.is_dir:
        yield root, stat
        return
    async for entry in walk_files(sandbox, root, skip=skip):
        yield entry


async def _count_with_ripgrep(
    sandbox: Sandbox, pattern: str, root: str, file_glob: str
) -> ContentCounts | None:
    """None where ripgrep is missing, or cannot read the pattern."""
    argv = [
        "rg", "--no-config", "--count", "--null", "--with-filename", "--color=never", "--no-messages",
        "--crlf", "--no-mmap", "--hidden", "--glob=!.git", "--no-require-git", "--no-ignore-dot",
        "--no-ignore-exclude", "--no-ignore-global", f"--regexp={pattern}",
    ]  # fmt: skip
    if not await ignore_files_above(sandbox, root):
        argv.append("--no-ignore-parent")
    if _SIMPLE_GLOB.fullmatch(file_glob):
        # As a type, not as a glob: a glob would bring back what .gitignore leaves out.
        argv += [f"--type-add=wanted:{file_glob}", "--type=wanted"]
    try:
        code, output = await sandbox.run(
            [*_BOUNDED, *argv, "--", root], timeout=SECONDS, max_bytes=_MOST_COUNT_BYTES
        )
    except TimeoutError:
        return ContentCounts(complete=False)
    except (OSError, SandboxError):
        return None
    if code not in (0, 1) and not output:
        return None
    counts = {
        path.decode("utf-8", "surrogateescape"): int(count)
        for path, count in re.findall(rb"([^\0]+)\0(\d+)\r?\n", output)
    }
    return ContentCounts(counts, code not in (124, 137))


def _relative_matcher(root: str, glob: str) -> Any:
    if not glob:
        return lambda path: True
    matches = path_matcher(glob)
    return lambda path: matches(_relative(path, root))


def _relative(path: str, root: str) -> str:
    return path[len(root.rstrip("/")) + 1 :] if path != root else posixpath.basename(path)
