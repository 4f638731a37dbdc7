"""The few lines at the start: who answers, where, with what, and what is missing."""

from __future__ import annotations

import os
from pathlib import Path

from repl.agent_port import AgentPort
from repl.ink import Ink
from repl.live import fit, wrapped

MISSING_SHOWN = 4


def banner(agent: AgentPort, version: str, ink: Ink, columns: int) -> str:
    wide = columns - 1
    model = f"{agent.model_name} ({agent.provider})" if agent.provider else agent.model_name
    place, *widening = agent.place.split("\n")
    lines = [
        ink("☤ Hermes", "bold", "cyan") + ink(fit(f" {version}", wide - 8), "dim"),
        _row("model", model, ink, wide),
        _row("folder", short_path(os.getcwd()), ink, wide),
        _row("session", agent.session_id or "not saved", ink, wide),
        _row("commands", place, ink, wide),
        *(_row("", line, ink, wide, "dim") for line in widening),
        _row("toolsets", ", ".join(agent.toolsets) or "none", ink, wide),
    ]
    reasons: dict[str, list[str]] = {}
    for name, reason in agent.unavailable:
        reasons.setdefault(reason, []).append(name)
    for reason, names in list(reasons.items())[:MISSING_SHOWN]:
        lines.append(_row("missing", f"{', '.join(names)}: {reason}", ink, wide, "yellow"))
    if len(reasons) > MISSING_SHOWN:
        lines.append(_row("", f"and {len(reasons) - MISSING_SHOWN} more, see /tools", ink, wide, "yellow"))
    if agent.provider == "offline":
        from models.offline import offline_notice

        lines.append(ink(wrapped(offline_notice(), columns), "yellow"))
    lines.append(ink(fit("  /help for commands, Alt-Enter for a new line, Ctrl-C to interrupt", wide), "dim"))
    return "\n".join(lines)


def short_path(path: str) -> str:
    """With ~ for the home folder."""
    try:
        return str(Path("~") / Path(path).relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return path


def _row(name: str, value: str, ink: Ink, columns: int, style: str = "") -> str:
    from safety.terminal_text import neutralize

    text = fit(" ".join(neutralize(value).split()), columns - 12)
    return "  " + ink(f"{name:<10}", "dim") + (ink(text, style) if style else text)
