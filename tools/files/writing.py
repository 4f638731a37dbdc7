"""Write a whole file, keeping what a file that is replaced had: mode, encoding, BOM, CRLF endings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sandboxes.sandbox import FileStat, Sandbox
from tools.files.changes import MOST_BYTES, check_unchanged, regular_file, shown_path
from tools.files.text_file import UTF8, NotTextError, UnwritableTextError, decode_file, line_endings
from tools.files.unified_diff import diff_texts


@dataclass(slots=True)
class Written:
    path: str
    action: str
    size: int
    diff: str
    notes: list[str] = field(default_factory=list)


async def write_whole_file(sandbox: Sandbox, path: str, content: str) -> Written:
    """Write `content`, exactly; what is there keeps its encoding and mode, and CRLF if it had only those.

    Raises:
        ChangeError: a folder or device stands there, or the file was changed since it was read for the diff.
        UnwritableTextError: the text holds half a character.
        OSError: as writing does.
    """
    absolute = sandbox.resolve(path)
    stat = await regular_file(sandbox, absolute)
    before = await sandbox.read_file(absolute) if stat and stat.size <= MOST_BYTES else None
    shown = shown_path(sandbox, absolute)
    data, written = await asyncio.to_thread(_prepare, shown, content, stat, before)
    if stat is None or data != before:
        await check_unchanged(sandbox, absolute, stat, before)
        await sandbox.write_file(absolute, data, mode=None if stat is None else stat.mode & 0o7777)
    return written


def _prepare(shown: str, content: str, stat: FileStat | None, before: bytes | None) -> tuple[bytes, Written]:
    if stat is None or before is None:
        UTF8.check(content)
        data = UTF8.encode(content)
        diff = diff_texts("/dev/null" if stat is None else shown, shown, "", content).text
        written = Written(shown, "created" if stat is None else "replaced", len(data), diff)
        written.notes += [f"the old content of {stat.size} bytes is not in the diff"] if stat else []
        return data, written
    notes: list[str] = []
    try:
        old, encoding = decode_file(before)
    except NotTextError:
        old, encoding = "", UTF8
        notes.append("the file was binary and is now text")
    if line_endings(old) == "CRLF" and line_endings(content) == "LF":
        content = content.replace("\n", "\r\n")
        notes.append("kept the file's CRLF line endings")
    if encoding.bom and content.startswith("\ufeff"):
        content = content[1:]
    try:
        encoding.check(content)
    except UnwritableTextError:
        UTF8.check(content)
        notes.append(f"the file was {encoding.label}, which cannot hold this text; it is UTF-8 now")
        encoding = UTF8
    data = encoding.encode(content)
    if not encoding.plain:
        notes.append(f"kept the file's encoding ({encoding.label})")
    action = "unchanged" if data == before else "replaced"
    return data, Written(shown, action, len(data), diff_texts(shown, shown, old, content).text, notes)
