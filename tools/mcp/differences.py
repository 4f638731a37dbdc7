"""How a tool differs from what a person approved, in lines they can read."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from safety.terminal_text import neutralize
from tools.mcp.definition import Definition

MOST_LINES = 600
"""More than what a model is told of a tool can have: nobody approves what they are not shown."""
_WIDTH = 200
_PLAIN_NAME = re.compile(r"[\w$-]+")


def difference(before: Definition, now: Definition) -> str:
    """The description in `- ` and `+ ` lines, then each part of the parameters that is not as it was, by its
    name; what differs only in parts that the model is not shown is said to."""
    lines = _of_text(before.description, now.description)
    if lines:
        lines.insert(0, "description:")
    lines += _of_parameters(before.parameters, now.parameters)
    if not lines:
        return "only in parts that are cut off before the model sees them"
    more = [f"… and {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return neutralize("\n".join([*lines[:MOST_LINES], *more]))


def _of_text(before: str, now: str) -> list[str]:
    diff = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=0)
    changed = [line for line in list(diff)[2:] if not line.startswith("@@")]
    return [line for each in changed for line in _signed(each[0], each[1:])]


def _of_parameters(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = dict(_parts("", before)), dict(_parts("", now))
    lines = []
    for path in [*old, *(each for each in new if each not in old)]:
        if old.get(path) != new.get(path):
            for sign, parts in (("-", old), ("+", new)):
                lines += _signed(sign, f"{path}: {parts[path]}") if path in parts else []
    return lines


def _parts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """(`parameter text.type`, its JSON) for everything in a schema that holds no further names."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            if not path and key == "properties" and isinstance(each, Mapping) and each:
                for name, parameter in each.items():
                    yield from _parts(f"parameter {_shown(name)}", parameter)
            else:
                yield from _parts(f"{path}.{_shown(key)}" if path else _shown(key), each)
    elif isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        for number, each in enumerate(value):
            yield from _parts(f"{path}[{number}]", each)
    else:
        yield path or "parameters", json.dumps(value, ensure_ascii=False)


def _shown(name: str) -> str:
    """Quoted where it could pass for something else."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _signed(sign: str, line: str) -> list[str]:
    return [f"{sign} {line[at : at + _WIDTH]}" for at in range(0, max(len(line), 1), _WIDTH)]
