"""Carry out edits on files: one replacement, or a whole V4A patch, with diffs for the person."""

from __future__ import annotations

import asyncio
import posixpath
from dataclasses import dataclass, field
from typing import Any

from sandboxes.sandbox import Sandbox
from tools.files.changes import ChangeError, FileChanges, shown_path, similar_names
from tools.files.patch_text import EditError, plan_replacement
from tools.files.text_file import NotTextError, UnwritableTextError, decode_file
from tools.files.text_lines import Edit, apply_edits
from tools.files.unified_diff import FileDiff, diff_edits, diff_texts
from tools.files.v4a_patch import FileChange, LocatedPatch, hunk_edits, parse_patch

NULL = "/dev/null"


@dataclass(slots=True)
class PatchOutcome:
    """What was done: a short row for each file, the diffs, and remarks."""

    files: list[dict[str, Any]] = field(default_factory=list)
    diffs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, action: str, path: str, diff: FileDiff, **more: Any) -> None:
        self.files.append(
            {"path": path, "action": action, "added": diff.added, "removed": diff.removed, **more}
        )
        self.diffs.append(diff.text)


async def replace_in_file(
    sandbox: Sandbox, path: str, old: str, new: str, *, replace_all: bool
) -> PatchOutcome:
    """Replace text in one file.

    Raises:
        ChangeError: the edit cannot be made; the text says why. The file is untouched.
        OSError: reading or writing failed.
    """
    changes, outcome = FileChanges(sandbox), PatchOutcome()
    absolute = sandbox.resolve(path)
    data = await _existing(sandbox, changes, absolute)

    def plan() -> tuple[bytes, FileDiff, str, int]:
        text, encoding = decode_file(data)
        encoding.check(new)
        edits, note = plan_replacement(text, old, new, replace_all=replace_all)
        shown = shown_path(sandbox, absolute)
        result = encoding.encode(apply_edits(text, edits))
        return result, diff_edits(shown, shown, text, edits), note, len(edits)

    try:
        result, diff, note, count = await asyncio.to_thread(plan)
    except (EditError, NotTextError, UnwritableTextError) as error:
        raise ChangeError(f"{shown_path(sandbox, absolute)} is not changed: {error}") from None
    await changes.write(absolute, result)
    await changes.commit()
    outcome.add(
        "updated", shown_path(sandbox, absolute), diff, **({"replacements": count} if count > 1 else {})
    )
    outcome.notes += [note] if note else []
    return outcome


async def apply_patch(sandbox: Sandbox, text: str) -> PatchOutcome:
    """Apply a V4A patch: every file of it, or none.

    Raises:
        v4a_patch.PatchError: the text is not such a patch.
        ChangeError: a change cannot be made; the text says which and why. No file is touched.
        OSError: reading or writing failed; what was written has been taken back.
    """
    changes, outcome = FileChanges(sandbox), PatchOutcome()
    located = text if isinstance(text, LocatedPatch) else locate_patch(sandbox, text)
    for change in located.changes:
        try:
            await _plan_change(sandbox, changes, change, outcome)
        except (EditError, NotTextError, UnwritableTextError, ChangeError) as error:
            shown = shown_path(sandbox, change.path)
            raise ChangeError(f"{shown}: {error}. No file was changed") from None
    await changes.commit()
    return outcome


def locate_patch(sandbox: Sandbox, text: str) -> LocatedPatch:
    """Read a patch and find out which files it means.

    Of what it removes the last name may be a link: that is not what it leads to.

    Raises:
        v4a_patch.PatchError: the text is not such a patch.
        OSError: a path can name no file.
    """
    located = LocatedPatch(text)
    changes = parse_patch(text)
    for change in changes:
        removes = change.kind == "delete" or bool(change.target)
        change.path = _entry(sandbox, change.path) if removes else sandbox.canonical(change.path)
        change.target = sandbox.canonical(change.target) if change.target else ""
    located.changes = tuple(changes)
    return located


def _entry(sandbox: Sandbox, path: str) -> str:
    folder, name = posixpath.split(path.rstrip("/"))
    if name in ("", ".", "..", "~"):
        return sandbox.canonical(path)
    return posixpath.join(sandbox.canonical(folder or "."), name)


async def _plan_change(
    sandbox: Sandbox, changes: FileChanges, change: FileChange, outcome: PatchOutcome
) -> None:
    path = change.path
    shown = shown_path(sandbox, path)
    if change.kind == "add":
        if (await changes.read(path)).after is not None:
            raise ChangeError("it exists already; use '*** Update File', or delete it first")
        await changes.write(path, change.content.encode("utf-8"))
        outcome.add("created", shown, diff_texts(NULL, shown, "", change.content))
        return
    data = await _existing(sandbox, changes, path)
    if (change.kind == "delete" or change.target) and await _is_link(sandbox, path):
        raise ChangeError("it is a link; remove or move it in the terminal")
    if change.kind == "delete":
        await changes.remove(path)
        outcome.add("deleted", shown, await asyncio.to_thread(_deletion, shown, data))
        return
    target = change.target or path
    if target != path and (await changes.read(target)).after is not None:
        raise ChangeError(f"it cannot be moved: {shown_path(sandbox, target)} exists already")
    new_shown = shown_path(sandbox, target)
    result, diff, notes = await asyncio.to_thread(_update, data, change, shown, new_shown)
    outcome.notes += [f"{shown}: {note}" for note in notes]
    if target != path:
        mode = (await changes.read(path)).mode
        await changes.remove(path)
        await changes.write(target, result, mode=mode)
        outcome.add("moved", shown, diff, to=new_shown)
    else:
        await changes.write(path, result)
        outcome.add("updated", shown, diff)


async def _is_link(sandbox: Sandbox, path: str) -> bool:
    try:
        return (await sandbox.stat(path)).is_symlink
    except FileNotFoundError:  # added earlier in the same patch
        return False


def _update(data: bytes, change: FileChange, shown: str, new_shown: str) -> tuple[bytes, FileDiff, list[str]]:
    if not change.hunks:
        return data, FileDiff(f"--- {shown}\n+++ {new_shown}", 0, 0), []
    text, encoding = decode_file(data)
    for hunk in change.hunks:
        encoding.check("\n".join(hunk.new))
    edits, notes = hunk_edits(text, change.hunks)
    result = apply_edits(text, edits)
    if result == text:
        raise EditError("the text already reads so: nothing would change")
    return encoding.encode(result), diff_edits(shown, new_shown, text, edits), notes


def _deletion(shown: str, data: bytes) -> FileDiff:
    try:
        text, _ = decode_file(data)
    except NotTextError:
        return FileDiff(f"--- {shown}\n+++ {NULL}\n(a binary file of {len(data)} bytes)", 0, 0)
    return diff_edits(shown, NULL, text, [Edit(0, len(text), "")])


async def _existing(sandbox: Sandbox, changes: FileChanges, path: str) -> bytes:
    data = (await changes.read(path)).after
    if data is None:
        similar = await similar_names(sandbox, path)
        hint = f"; there is {', '.join(similar)}" if similar else ""
        raise ChangeError(f"{shown_path(sandbox, path)} does not exist{hint}")
    return data
