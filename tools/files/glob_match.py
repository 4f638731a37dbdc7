"""Globs over paths with slashes: `*`, `?`, `[a-z]`, `**` for any folders, and `{a,b}` where wanted."""

from __future__ import annotations

import re
from collections.abc import Callable

_STAR = "[^/]*"
_FOLDERS = "(?:.*/)?"


def glob_regex(glob: str, *, braces: bool = True) -> str:
    """A regex that matches the whole of a path exactly where the glob does. `*` never crosses a slash.

    Without braces it takes a time that grows with the lengths of both, whatever the glob is.
    """
    out: list[str] = []
    depth = 0
    position = 0
    braces = braces and "{" in glob
    while position < len(glob):
        char = glob[position]
        step = 1
        if glob.startswith("**", position) and (position == 0 or glob[position - 1] == "/"):
            text, step = _double_star(glob, position)
            out.append(text)
        elif char == "*":
            out.append(_STAR)
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and (end := _class_end(glob, position)):
            out.append(_character_class(glob[position + 1 : end]))
            step = end + 1 - position
        elif char == "\\" and position + 1 < len(glob):
            out.append(re.escape(glob[position + 1]))
            step = 2
        elif braces and char == "{" and "}" in glob[position:]:
            out.append("(?:")
            depth += 1
        elif depth and char in ",}":
            out.append("|" if char == "," else ")")
            depth -= char == "}"
        else:
            out.append(re.escape(char))
        position += step
    return "".join(out) + ")" * depth if braces else _without_retries(out)


def _without_retries(tokens: list[str]) -> str:
    """The tokens as one regex; all but the last `*`, and all but the last `**/`, stop at the first fit.

    What stands between two of them has one length (or number of folders), so that a later fit can never
    help where the first does not. Without this, `*a*a*a*b` costs hours on a long name.
    """
    parts = _split(tokens, _FOLDERS)
    regex = [_first_fits(_split(part, _STAR), _STAR, "[^/]*?") for part in parts]
    return _first_fits([[each] for each in regex], _FOLDERS, "(?:.*?/)??")


def _first_fits(parts: list[list[str]], joint: str, lazy: str) -> str:
    first, *rest = ("".join(part) for part in parts)
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>{lazy}{each})" for each in middle) + joint + last


def _split(tokens: list[str], joint: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == joint:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def path_matcher(glob: str) -> Callable[[str], bool]:
    """Tests relative paths. A glob without a slash is matched against the last part alone."""
    glob = glob.removeprefix("./").lstrip("/")
    regex = re.compile(glob_regex(glob), re.DOTALL)
    if "/" in glob:
        return lambda path: regex.fullmatch(path) is not None
    return lambda path: regex.fullmatch(path.rpartition("/")[2]) is not None


def has_wildcard(pattern: str) -> bool:
    return any(char in pattern for char in "*?[{")


def _double_star(glob: str, position: int) -> tuple[str, int]:
    """The regex for the `**` at `position` (the start of a path part), and how much of the glob it takes."""
    end = position + 2
    if end == len(glob):
        return (".+" if position else ".*"), 2
    if glob[end] == "/":
        return _FOLDERS, 3
    return _STAR, 2


def _class_end(glob: str, start: int) -> int:
    """The index of the `]` that closes the class at `start`; 0 if nothing closes it."""
    position = start + 1
    if glob[position : position + 1] in ("!", "^"):
        position += 1
    position += glob[position : position + 1] == "]"
    while position < len(glob) and glob[position] != "]":
        position += 2 if glob[position] == "\\" else 1
    return position if position < len(glob) else 0


def _character_class(inside: str) -> str:
    negated = inside[:1] in ("!", "^")
    inside = inside[1:] if negated else inside
    safe = re.sub(r"(?<!\\)([\[\]&~|^])", r"\\\1", inside)
    regex = f"(?!/)[{'^' if negated else ''}{safe}]"
    try:
        re.compile(regex)
    except re.error:
        return "(?!)"
    return regex
