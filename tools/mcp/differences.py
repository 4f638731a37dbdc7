"""How a tool differs from what a person approved, in lines they can read."""

from __future__ import annotations

import difflib
import json

from safety.terminal_text import neutralize
from tools.mcp.definition import Definition

MOST_LINES = 600
"""More than what a model is told of a tool can have: nobody approves what they are not shown."""
_WIDTH = 200


def difference(before: Definition, now: Definition) -> str:
    """`-` and `+` lines; what differs only in parts that the model is not shown is said to."""
    lines = [
        line
        for line in difflib.unified_diff(_lines(before), _lines(now), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    if not lines:
        return "only in parts that are cut off before the model sees them"
    more = [f"… and {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return neutralize("\n".join([*lines[:MOST_LINES], *more]))


def _lines(definition: Definition) -> list[str]:
    parameters = json.dumps(definition.parameters, ensure_ascii=False, indent=1, sort_keys=True)
    whole = [*definition.description.splitlines(), *parameters.splitlines()]
    return [line[at : at + _WIDTH] for line in whole for at in range(0, max(len(line), 1), _WIDTH)]
