"""The one line that stays of a finished tool call."""

from __future__ import annotations

import json
from typing import Any

from conversation.event import ToolFinished
from repl.ink import Ink
from repl.live import first_rows, fit, one_line
from safety.terminal_text import neutralize

MARKS = {
    "ok": ("✓", "green"),
    "error": ("✗", "red"),
    "denied": ("⊘", "yellow"),
    "interrupted": ("◼", "yellow"),
}
MOST_REASON = 3
"""Lines of what went wrong below the line of a call."""
_MOST_READ = 4_000
SAID_NO = "the person said no"


def result_line(event: ToolFinished, preview: str, ink: Ink, columns: int) -> str:
    """`✓ terminal  ls -la  0.3 s`, or with what went wrong at its end."""
    exit_code = _code(event)
    mark, style = MARKS.get(event.status, ("?", "yellow"))
    if event.status == "ok" and exit_code:
        mark, style = MARKS["error"]
    ending = f"  {event.seconds:.1f} s"
    if exit_code:
        ending += f"  exit {exit_code}"
    elif event.status == "error":
        ending += "  failed" if _is_long(event, columns) else f"  {_reason(event) or 'failed'}"
    elif event.status != "ok":
        ending += f"  {event.status}"
    name = neutralize(event.name)
    ending = fit(ending, max(20, columns // 2))
    room = columns - 1 - len("  x ") - len(name) - 2 - len(ending)
    shown = f"  {fit(preview, room)}" if preview else ""
    return f"  {ink(mark, style)} {ink(name, 'bold')}{shown}{ink(ending, 'dim')}"


def reason_text(event: ToolFinished, columns: int) -> str:
    """Lines for below: why a call failed, where its line does not say it, or was denied by no person."""
    told = event.status == "error" and not _code(event) and not _is_long(event, columns)
    reason = _reason(event) if event.status in ("error", "denied") and not told else ""
    if not reason or reason == SAID_NO:
        return ""
    return "\n".join(f"    {row}" for row in first_rows(reason, max(columns - 5, 10), MOST_REASON))


def _code(event: ToolFinished) -> int:
    code = _object(event.content).get("exit_code")
    return code if isinstance(code, int) else 0


def _is_long(event: ToolFinished, columns: int) -> bool:
    reason = _reason(event)
    return fit(reason, max(20, columns // 2) - len("  0.0 s  ")) != reason


def _reason(event: ToolFinished) -> str:
    """What went wrong, on one line; of several pages also what was wrong with each."""
    values = _object(event.content)
    pages = values.get("pages")
    rows = [row for row in pages if isinstance(row, dict)] if isinstance(pages, list) else []
    each = [f"{row.get('url', '')}: {row['error']}" for row in rows if row.get("error")]
    text = "; ".join([str(values.get("error") or ""), *each])
    return one_line(neutralize(text[:_MOST_READ])).removeprefix("denied: ")


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
