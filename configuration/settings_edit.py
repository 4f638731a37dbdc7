"""One value in a YAML file changed in place: every other byte stays, comments and order included.

The text is edited at the positions that the YAML parser reports. The result is read again and refused
unless exactly that value differs, so an unusual layout (anchors, say) is never damaged.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import reduce
from typing import Any

from configuration.home import SettingsError
from configuration.settings_file import SettingsFile, find_entry, parse_settings


def with_value(file: SettingsFile, keys: Sequence[str], value: Any) -> str:
    """The file's text with the value at `keys` set; missing sections are added.

    Raises:
        SettingsError: the layout does not allow it, or a parent is not a section.
    """
    expected = copy.deepcopy(file.data)
    parent = expected
    for depth, key in enumerate(keys[:-1], 1):
        if parent.get(key) is None:
            parent[key] = {}
        parent = parent[key]
        if not isinstance(parent, dict):
            raise SettingsError(
                f"{file.path}:{file.line_of(keys[:depth])}: {'.'.join(keys[:depth])} is not a section"
            )
    parent[keys[-1]] = value
    return _verified(file, _set(file, keys, value), [expected])


def without_value(file: SettingsFile, keys: Sequence[str]) -> str | None:
    """The file's text without `keys`, None if they do not stand in it.

    A section whose last key goes, goes too, unless a comment stands in it.

    Raises:
        SettingsError: the layout does not allow it.
    """
    section = file.root
    for key in keys[:-1]:
        entry = find_entry(section, key)
        section = entry[1] if entry else None
    if find_entry(section, keys[-1]) is None:
        return None
    expected = copy.deepcopy(file.data)
    parent = reduce(dict.__getitem__, keys[:-1], expected)
    del parent[keys[-1]]
    allowed = [expected]
    if not parent and len(keys) > 1:  # a section whose last key went reads as nothing
        emptied = copy.deepcopy(expected)
        reduce(dict.__getitem__, keys[:-2], emptied)[keys[-2]] = None
        allowed.append(emptied)
    text = _verified(file, _removed(file.text, section, keys[-1]), allowed)
    return text if parent or len(keys) != 2 else _without_empty(parse_settings(text, file.path), keys[0])


def _without_empty(file: SettingsFile, name: str) -> str:
    """Without the empty section `name`; as it is where that would take along more than its line."""
    text = file.text
    entry = find_entry(file.root, name)
    assert entry is not None
    start = text.rfind("\n", 0, entry[0].start_mark.index) + 1
    end = _after_line(text, start)
    below = text[end:].lstrip("\r\n").split("\n", 1)[0]
    commented = below[:1].isspace() and below.lstrip().startswith("#")
    if commented or text[start:end].rstrip() not in (f"{name}:", f"{name}: {{}}"):
        return text
    left = text[:start] + text[end:]
    try:
        found = parse_settings(left, file.path).data
    except SettingsError:
        return text
    return left if found == {key: each for key, each in file.data.items() if key != name} else text


def _verified(file: SettingsFile, text: str, allowed: list[dict[str, Any]]) -> str:
    try:
        found = parse_settings(text, file.path).data
    except SettingsError:
        found = None
    if found not in allowed:
        raise SettingsError(
            f"{file.path}: its layout does not allow this change in place. Use: hermes config edit"
        )
    return text


def _set(file: SettingsFile, keys: Sequence[str], value: Any) -> str:
    text, section = file.text, file.root
    if section is None:
        return _appended(text, keys, value)
    in_flow = False
    for depth, key in enumerate(keys):
        in_flow = in_flow or bool(section.flow_style)
        rest = keys[depth + 1 :]
        entry = find_entry(section, key)
        if entry is None:
            if in_flow:
                return _added_in_braces(text, section, keys[depth:], value)
            if depth == 0:
                return _appended(text, keys, value, section.value[0][0].start_mark.column)
            return _added_below(text, section.value, keys[depth:], value)
        if not rest:
            return _replaced(text, *entry, flow_text(value))
        if entry[1].id != "mapping":
            if in_flow or not _is_blank(entry[1]):
                return _replaced(text, *entry, flow_text(_nested(rest, value)))
            indent = entry[0].start_mark.column + 2
            return _with_lines_after(text, _colon(text, entry[0]), _block_lines(rest, value, indent))
        section = entry[1]
    raise AssertionError("keys is empty")


def _replaced(text: str, key: Any, node: Any, new: str) -> str:
    start, end = node.start_mark.index, _end(text, key, node)
    colon = _colon(text, key)
    first_line = text.rfind("\n", 0, start) + 1
    if _is_blank(node):
        return f"{text[:colon]} {new}{text[colon:]}"
    if node.id != "scalar" and not node.flow_style and first_line > colon:
        # a block below its key: the new value goes beside the key, before any comment there
        return f"{text[:colon]} {new}{text[colon:first_line]}{text[_after_line(text, end) :]}"
    return f"{text[:start]}{new}{text[end:]}"


def _removed(text: str, section: Any, name: str) -> str:
    names = [key.value for key, _ in section.value]
    position = names.index(name)
    key, node = section.value[position]
    start, end = key.start_mark.index, _end(text, key, node)
    if not section.flow_style:
        return text[: text.rfind("\n", 0, start) + 1] + text[_after_line(text, end) :]
    if position + 1 < len(names):
        end = section.value[position + 1][0].start_mark.index
    elif position > 0:
        start = _end(text, *section.value[position - 1])
    return text[:start] + text[end:]


def _appended(text: str, keys: Sequence[str], value: Any, indent: int = 0) -> str:
    eol = _eol(text)
    gap = "" if not text or text.endswith("\n") else eol
    return text + gap + "".join(line + eol for line in _block_lines(keys, value, indent))


def _added_below(text: str, entries: list[tuple[Any, Any]], keys: Sequence[str], value: Any) -> str:
    indent = entries[0][0].start_mark.column
    return _with_lines_after(text, _end(text, *entries[-1]), _block_lines(keys, value, indent))


def _added_in_braces(text: str, section: Any, keys: Sequence[str], value: Any) -> str:
    new = flow_text(_nested(keys, value))[1:-1]
    if section.value:
        end = _end(text, *section.value[-1])
        return f"{text[:end]}, {new}{text[end:]}"
    brace = text.index("{", section.start_mark.index) + 1
    return f"{text[:brace]}{new}{text[brace:]}"


def _block_lines(keys: Sequence[str], value: Any, indent: int) -> list[str]:
    lines = [f"{' ' * (indent + 2 * depth)}{flow_text(key)}:" for depth, key in enumerate(keys)]
    lines[-1] += f" {flow_text(value)}"
    return lines


def _with_lines_after(text: str, position: int, lines: list[str]) -> str:
    eol = _eol(text)
    line_end = text.find("\n", position)
    if line_end < 0:
        return text + "".join(eol + line for line in lines)
    return text[: line_end + 1] + "".join(line + eol for line in lines) + text[line_end + 1 :]


def _end(text: str, key: Any, node: Any) -> int:
    """Where an entry's last character ends. A block's own end mark lies after the comments that follow it."""
    if node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        end = _end(text, *last) if node.id == "mapping" else _end(text, key, last)
    else:
        start = node.start_mark.index
        end = start + len(text[start : node.end_mark.index].rstrip())
    return max(end, _colon(text, key))


def _is_blank(node: Any) -> bool:
    return bool(node.id == "scalar" and node.start_mark.index == node.end_mark.index)


def _colon(text: str, key: Any) -> int:
    """The position after the colon of a key."""
    return text.find(":", key.end_mark.index) + 1


def _after_line(text: str, position: int) -> int:
    line_end = text.find("\n", position)
    return len(text) if line_end < 0 else line_end + 1


def _eol(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _nested(keys: Sequence[str], value: Any) -> Any:
    return reduce(lambda inner, key: {key: inner}, reversed(keys), value)


def flow_text(value: Any) -> str:
    """A plain value as YAML on one line that may stand anywhere a value may."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow_text(key)}: {flow_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow_text, value)) + "]"
    import yaml

    several_lines = isinstance(value, str) and len(f".{value}.".splitlines()) > 1
    style = '"' if several_lines else None
    dumped: str = yaml.dump(
        [value],
        Dumper=yaml.SafeDumper,
        default_flow_style=True,
        default_style=style,
        width=10**9,
        allow_unicode=True,
    )
    return dumped.rstrip("\n")[1:-1]
