"""The V4A patch format: one text that updates, adds, deletes and moves files.

The format is the one of OpenAI's apply_patch tool
(https://cookbook.openai.com/examples/gpt4-1_prompting_guide, "Reference Implementation: apply_patch.py"),
with `*** Move File: a -> b` besides its `*** Move to: b`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from tools.files.patch_text import EditError
from tools.files.text_lines import Edit, body, ending_near, merge_lines, split_lines

_HEADER = re.compile(r"^\*\*\* (Update|Add|Delete|Move) File: *(.+?)\s*$")
_MOVE_TO = re.compile(r"^\*\*\* Move to: *(.+?)\s*$")
_UNIFIED = re.compile(r"^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@")
_END_OF_FILE = "*** End of File"
_LISTED = 20


class PatchError(ValueError):
    """The patch text is not V4A; the text names the line."""


@dataclass(slots=True)
class Hunk:
    """One change: `old` lines become `new` lines. `hints` are lines that stand before it, outermost first."""

    line: int
    hints: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    at_end: bool = False


@dataclass(slots=True)
class FileChange:
    """What happens to one file. `target` is where it moves to; `content` is that of an added file."""

    kind: Literal["update", "add", "delete"]
    path: str
    line: int
    target: str = ""
    hunks: list[Hunk] = field(default_factory=list)
    content: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path, self.target) if self.target else (self.path,)


class LocatedPatch(str):
    """The text of a patch together with its changes, their paths made canonical: what was decided on."""

    changes: tuple[FileChange, ...] = ()


def parse_patch(text: str) -> list[FileChange]:
    """The changes a V4A patch asks for, in order. Its begin and end lines may be missing.

    Raises:
        PatchError: a line that has no place where it stands, or a change that changes nothing.
    """
    changes: list[FileChange] = []
    for number, raw in _inner_lines(text):
        line = raw.rstrip("\r")
        header = _HEADER.match(line)
        if header:
            changes.append(_opened(header.group(1), header.group(2), number))
        elif not changes:
            if line.strip():
                raise PatchError(
                    f"line {number} of the patch stands before any '*** Update File: PATH' "
                    f"(or Add, Delete, Move): {line[:80]!r}"
                )
        else:
            _read_line(changes[-1], number, line)
    if not changes:
        raise PatchError("the patch is empty; it needs '*** Update File: PATH' (or Add, Delete, Move)")
    for change in changes:
        _finish(change)
    return changes


def _inner_lines(text: str) -> list[tuple[int, str]]:
    lines = list(enumerate(text.split("\n"), 1))
    while lines and not lines[-1][1].strip():
        lines.pop()
    while lines and not lines[0][1].strip():
        lines.pop(0)
    if lines and lines[0][1].strip() == "*** Begin Patch":
        lines.pop(0)
    if lines and lines[-1][1].strip() == "*** End Patch":
        lines.pop()
    return lines


def _opened(verb: str, path: str, number: int) -> FileChange:
    if verb != "Move":
        kinds: dict[str, Literal["update", "add", "delete"]] = {
            "Update": "update", "Add": "add", "Delete": "delete",
        }  # fmt: skip
        return FileChange(kinds[verb], path, number)
    source, arrow, target = path.partition(" -> ")
    if not arrow or not source.strip() or not target.strip():
        raise PatchError(f"line {number} of the patch must read '*** Move File: OLD -> NEW'")
    return FileChange("update", source.strip(), number, target.strip())


def _read_line(change: FileChange, number: int, line: str) -> None:
    if change.kind == "add":
        if line.startswith("+"):
            change.content += line[1:] + "\n"
        elif line.strip() and line != _END_OF_FILE:
            raise PatchError(f"line {number} of the patch: lines of an added file begin with '+'")
        return
    move = _MOVE_TO.match(line)
    if move and change.kind == "update" and not change.hunks:
        change.target = move.group(1)
        return
    if change.kind == "delete":
        if line.strip():
            raise PatchError(f"line {number} of the patch: nothing may follow '*** Delete File'")
        return
    if line.startswith("@@"):
        _open_hunk(change, number, line)
        return
    if not change.hunks:
        if not line.strip():
            return
        change.hunks.append(Hunk(number))
    _read_hunk_line(change.hunks[-1], number, line)


def _open_hunk(change: FileChange, number: int, line: str) -> None:
    hint = _UNIFIED.sub("", line).removeprefix("@@").strip().removesuffix("@@").strip()
    last = change.hunks[-1] if change.hunks else None
    if last is None or last.old or last.new:
        last = Hunk(number)
        change.hunks.append(last)
    if hint:
        last.hints.append(hint)


def _read_hunk_line(hunk: Hunk, number: int, line: str) -> None:
    sign, rest = line[:1], line[1:]
    if line.rstrip() == _END_OF_FILE:
        hunk.at_end = True
    elif hunk.at_end and line.strip():
        raise PatchError(f"line {number} of the patch follows '*** End of File'; begin a new '@@' first")
    elif sign in ("", " "):
        hunk.old.append(rest)
        hunk.new.append(rest)
    elif sign == "-":
        hunk.old.append(rest)
    elif sign == "+":
        hunk.new.append(rest)
    else:
        raise PatchError(
            f"line {number} of the patch begins with {sign!r}; lines begin with ' ' (kept), '-' or '+': "
            f"{line[:80]!r}"
        )


def _finish(change: FileChange) -> None:
    for hunk in change.hunks:
        # An empty line before the next header is layout, not a line of the file.
        last = hunk is change.hunks[-1] and not hunk.at_end
        while last and hunk.old and hunk.new and hunk.old[-1] == hunk.new[-1] == "":
            hunk.old.pop()
            hunk.new.pop()
        if hunk.old == hunk.new:
            raise PatchError(f"the hunk at line {hunk.line} of the patch changes nothing")
    if change.kind == "update" and not change.hunks and not change.target:
        raise PatchError(f"'*** Update File: {change.path}' has no changes below it")
    if change.target == change.path:
        raise PatchError(f"'{change.path}' would be moved to itself")


def hunk_edits(text: str, hunks: list[Hunk]) -> tuple[list[Edit], list[str]]:
    """The edits that make `hunks` in `text`, and notes on those that matched loosely.

    Raises:
        EditError: a hunk is not found, or stands in several places.
    """
    lines = split_lines(text)
    bodies = [body(line) for line in lines]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    edits: list[Edit] = []
    notes: list[str] = []
    cursor = 0
    for hunk in hunks:
        at, note = _locate(bodies, hunk, cursor)
        if note:
            notes.append(f"hunk at line {hunk.line}: {note}")
        end = at + len(hunk.old)
        edits.append(_hunk_edit(text, lines, starts, hunk, at))
        cursor = end
    return edits, notes


def _hunk_edit(text: str, lines: list[str], starts: list[int], hunk: Hunk, at: int) -> Edit:
    end = at + len(hunk.old)
    raw = lines[at:end]
    default = ending_near(text, starts[at])
    merged = merge_lines(raw, hunk.old, hunk.new, default)
    result = [line for line, _ in merged]
    unended = end == len(lines) and bool(lines) and not lines[-1].endswith("\n")
    if unended and merged and not merged[-1][1]:
        result[-1] = body(result[-1])
    lead = default if unended and at == len(lines) else ""
    return Edit(starts[at], starts[end], lead + "".join(result))


def _locate(bodies: list[str], hunk: Hunk, cursor: int) -> tuple[int, str]:
    """The line index where the hunk's old lines stand, at or after `cursor`, and a note."""
    hinted, missing = _after_hints(bodies, hunk.hints, cursor)
    if not hunk.old:
        if missing:
            raise EditError(f"the hunk at line {hunk.line} only adds, and its '@@ {missing}' is not found")
        return (hinted if hunk.hints and not hunk.at_end else len(bodies)), ""
    comparisons = (("", str), ("matched with other trailing whitespace", str.rstrip),
                   ("matched with other indentation; check the result", str.strip))  # fmt: skip
    for note, shape in comparisons:
        wanted = [shape(line) for line in hunk.old]
        found = _matches([shape(line) for line in bodies], wanted, cursor)
        if hunk.at_end:
            found = [at for at in found if at + len(wanted) == len(bodies)]
        if not found:
            continue
        after = [at for at in found if at >= hinted - 1]
        if hunk.hints and not missing and after:
            return after[0], note
        if len(found) > 1:
            listed = ", ".join(str(at + 1) for at in found[:_LISTED])
            raise EditError(
                f"the hunk at line {hunk.line} of the patch fits at lines {listed}; "
                "add lines around it, or '@@ ' and a line that stands before it"
            )
        loose = f"'@@ {missing}' is not in the file" if missing else ""
        if hunk.hints and not missing:
            loose = f"stands before its '@@ {hunk.hints[-1]}'"
        return found[0], "; ".join(filter(None, (note, loose)))
    where = " at the end of the file" if hunk.at_end else f" after line {cursor}" if cursor else ""
    wanted_text = "\n".join(hunk.old[:12])
    raise EditError(f"the hunk at line {hunk.line} of the patch is not found{where}:\n{wanted_text}")


def _after_hints(bodies: list[str], hints: list[str], cursor: int) -> tuple[int, str]:
    """The index after the last hint's line, and the first hint that is not there."""
    for hint in hints:
        exact = (at for at in range(cursor, len(bodies)) if bodies[at].strip() == hint)
        within = (at for at in range(cursor, len(bodies)) if hint in bodies[at])
        found = next(exact, next(within, -1))
        if found < 0:
            return cursor, hint
        cursor = found + 1
    return cursor, ""


def _matches(lines: list[str], wanted: list[str], cursor: int) -> list[int]:
    found: list[int] = []
    position = cursor - 1
    while True:
        try:
            position = lines.index(wanted[0], position + 1)
        except ValueError:
            return found
        if lines[position : position + len(wanted)] == wanted:
            found.append(position)
