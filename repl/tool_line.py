"""The one line that stays of a finished tool call."""

from __future__ import annotations

import json
from typing import Any

from conversation.event import ToolFinished
from repl.ink import Ink
from repl.live import fit, one_line
from safety.terminal_text import neutralize

MARKS = {
    "ok": ("✓", "green"),
    "error": ("✗", "red"),
    "denied": ("⊘", "yellow"),
    "interrupted": ("◼", "yellow"),
}


def result_line(event: ToolFinished, preview: str, ink: Ink, columns: int) -> str:
    """`✓ terminal  ls -la  0.3 s`, or with what went wrong at its end."""
    values = _object(event.content)
    exit_code = values.get("exit_code")
    mark, style = MARKS.get(event.status, ("?", "yellow"))
    if event.status == "ok" and isinstance(exit_code, int) and exit_code != 0:
        mark, style = MARKS["error"]
    ending = f"  {event.seconds:.1f} s"
    if isinstance(exit_code, int) and exit_code != 0:
        ending += f"  exit {exit_code}"
    elif event.status == "error":
        ending += "  " + one_line(neutralize(str(values.get("error") or "failed")))
    elif event.status != "ok":
        ending += f"  {event.status}"
    name = neutralize(event.name)
    ending = fit(ending, max(20, columns // 2))
    room = columns - 1 - len("  x ") - len(name) - 2 - len(ending)
    return f"  {ink(mark, style)} {ink(name, 'bold')}  {fit(preview, room)}{ink(ending, 'dim')}"


def result_text(content: str) -> str:
    """A result as a person reads it: the fields of its JSON object, texts as they are."""
    values = _object(content)
    if not values:
        return content
    return "\n".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
    )


def place_note(content: str) -> str:
    """What a result says of the place where commands run, that it is a new one say; "" if nothing."""
    from configuration.sandbox_settings import BACKENDS

    note = _object(content).get("note")
    return note if isinstance(note, str) and note.partition(": ")[0] in BACKENDS else ""


def _object(content: str) -> dict[str, Any]:
    try:
        values = json.loads(content)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
