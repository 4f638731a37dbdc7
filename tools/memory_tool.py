"""Notes that outlast a conversation."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from safety.gate import EffectRequest
from tools.memory_notes import MemoryNotes, NoteError, check_note
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import ArgumentError, error_reply, ok_reply, tool
from tools.untrusted import NOTED

GRANT = "memory notes"
_AFTER = "written after reading"
_MOST_LINES = 1_500


def check_memory_requirements(around: Surroundings | None = None) -> str:
    if around is not None and around.impersonal:
        return "notes are the person's own: not in batches and rollouts"
    return ""


def memory_notes(around: Surroundings) -> MemoryNotes:
    return MemoryNotes(around.home / "memory")


def memory_lines(around: Surroundings) -> str:
    """For the system text: the names of the notes, "" where there are none; at most 1,500 characters.

    A note that others may have had a part in is not named: the name alone could say something.
    """
    if check_memory_requirements(around):
        return ""
    try:
        names = [note.name for note in memory_notes(around).notes() if not note.source]
    except NoteError:
        return ""  # the tool says why when it is asked
    line = "Your notes from earlier conversations (tool memory): " + ", ".join(names)
    if len(line) > _MOST_LINES:
        line = line[: line.rindex(",", 0, _MOST_LINES - 1)] + ", …"
    return line if names else ""


def _describe(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    """After text of others was read a person is asked each time, whatever the policy: what a page had the
    model note would speak in every later conversation. That is what naming the path of the note does."""
    action, name, text = arguments["action"], arguments.get("name", ""), arguments.get("text", "")
    if action in ("list", "read"):
        return EffectRequest("memory", ("read",), f"memory {action} {name}".rstrip())
    try:
        check_note(name, None if action == "delete" else text)
    except NoteError as error:
        raise ArgumentError(str(error)) from None
    verb = {"write": "keep", "append": "add to", "delete": "delete"}[action]
    summary = f"{verb} the note {name}, which later conversations read" + (f":\n{text}" if text else "")
    deed = {
        "write": "it keeps a note that later conversations read",
        "append": "it adds to a note that later conversations read",
        "delete": "it deletes a note",
    }[action]
    read = runtime.gate.exposure.untrusted
    if not read:
        return EffectRequest("memory", ("config",), summary, grant=GRANT, deed=deed)
    summary += f"\n\nBefore this, the model has read what others may have written: {read}"
    # The folder of the notes may be a link to elsewhere; the home is protected in any case.
    places = (memory_notes(runtime.around).path(name), str(runtime.around.home))
    return EffectRequest("memory", ("config",), summary, paths=places, deed=deed)


@tool(effects=("read", "config"), requires=check_memory_requirements, describe=_describe, in_place=False)
async def memory(
    runtime: ToolRuntime,
    action: Literal["list", "read", "write", "append", "delete"],
    name: str = "",
    text: str = "",
) -> ToolReply:
    """Your notes, kept across conversations. List them when the user's habits or earlier work matter; write
    down what will help later, never secrets."""
    if reason := check_memory_requirements(runtime.around):
        return error_reply(reason)
    notes = memory_notes(runtime.around)
    read = runtime.gate.exposure.untrusted
    source = f"{_AFTER} {read}" if read else ""
    try:
        if action == "list":
            return await asyncio.to_thread(_list, notes)
        if action == "read":
            return await asyncio.to_thread(_read, notes, name)
        if action == "delete":
            await asyncio.to_thread(notes.delete, name)
        else:
            await asyncio.to_thread(notes.write if action == "write" else notes.append, name, text, source)
    except NoteError as error:
        return error_reply(str(error))
    return ok_reply(done=f"{action} {name}")


def _list(notes: MemoryNotes) -> ToolReply:
    found = notes.notes()
    own = [note.name for note in found if not note.source]
    others = [note.name for note in found if note.source]
    return ok_reply(notes=own, **({"written_after_reading_text_of_others": others} if others else {}))


def _read(notes: MemoryNotes, name: str) -> ToolReply:
    note = notes.read(name)
    more = {"note": "the file holds more than a note may; this is its beginning"} if note.cut else {}
    changed = time.strftime("%Y-%m-%d", time.localtime(note.changed))
    reply = ok_reply(text=note.text, changed=changed, **more)
    if note.source:
        return reply.by(f"{NOTED} {note.source.removeprefix(_AFTER).strip()}")
    return reply
