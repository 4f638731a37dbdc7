"""One YAML file of settings: read without danger, with the line of every key.

Refused, each with one line that says where: files over 1 MB, tags other than YAML's plain values
(`!!python/…` makes objects), keys given twice, merge keys, aliases that expand without end, nesting
without end. Dates are taken as text, and every key is text.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configuration.home import SettingsError

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 20_000
"""Values in a file after its aliases are expanded."""

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {f"{_TAG}{name}" for name in ("str", "timestamp", "value")}


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file as read. `text` is without the byte order mark `bom`; `root` is its YAML node, None if empty."""

    path: Path
    text: str
    bom: str
    root: Any
    data: dict[str, Any]

    def line_of(self, keys: Sequence[str]) -> int:
        """The line (from 1) of the deepest of `keys` that stands in the file."""
        node, line = self.root, 1
        for key in keys:
            if node is not None and node.id == "sequence" and key.isdigit() and int(key) < len(node.value):
                node = node.value[int(key)]
                line = node.start_mark.line + 1
                continue
            entry = find_entry(node, key)
            if entry is None:
                break
            line = entry[0].start_mark.line + 1
            node = entry[1]
        return line


def find_entry(node: Any, key: str) -> tuple[Any, Any] | None:
    """The key node and the value node of `key` in a mapping node."""
    entries = node.value if node is not None and node.id == "mapping" else ()
    return next((entry for entry in entries if entry[0].value == key), None)


def read_settings_file(path: Path) -> SettingsFile | None:
    """The file's settings, None if there is no such file.

    Raises:
        SettingsError: it cannot be read, or holds what is refused; the message has file and line.
    """
    try:
        with open(path, "rb", opener=_open_regular) as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from error
    if len(raw) > MAX_BYTES:
        raise SettingsError(f"{path} is larger than 1 MB; that cannot be a file of settings")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line}: this is not UTF-8 text") from error
    return parse_settings(text, path)


def _open_regular(path: str, flags: int) -> int:
    import os

    handle = os.open(path, flags | os.O_NONBLOCK)  # a FIFO would block for ever
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "not a regular file")
    return handle


def parse_settings(text: str, path: Path) -> SettingsFile:
    """The settings in `text`; `path` is for messages alone.

    Raises:
        SettingsError: as `read_settings_file`.
    """
    import yaml

    bom = "\ufeff" if text.startswith("\ufeff") else ""
    text = text[len(bom) :]
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_deep_nesting(yaml.parse(text, Loader=loader), path)
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        line: int = mark.line + 1 if mark else 1
        problem = " ".join(filter(None, (error.problem, error.context))).replace("\n", " ")
        if mark and text[mark.index : mark.index + 1] == "\t":
            problem = "a tab stands here; YAML is indented with spaces"
        raise SettingsError(f"{path}:{line}: not valid YAML: {problem}") from error
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0)
        reason = getattr(error, "reason", str(error).splitlines()[0])
        raise SettingsError(
            f"{path}:{text.count(chr(10), 0, position) + 1}: not valid YAML: {reason}"
        ) from error
    data = _Builder(path).build(root) if root is not None else None
    if data is not None and not isinstance(data, dict):
        raise SettingsError(f"{path}:1: expected sections such as `model:`, found {describe_value(data)}")
    return SettingsFile(path, text, bom, root, data or {})


def _refuse_deep_nesting(events: Iterator[Any], path: Path) -> None:
    """libyaml builds nodes recursively in C: too deep a file would crash the process."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark: Any = event.start_mark
                raise SettingsError(f"{path}:{mark.line + 1}: nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Builder:
    """Makes plain values from YAML nodes and counts them, so that aliases cannot multiply."""

    def __init__(self, path: Path) -> None:
        from yaml.constructor import SafeConstructor

        self._path = path
        self._count = 0
        plain = SafeConstructor()
        self._scalars = {
            f"{_TAG}int": plain.construct_yaml_int,
            f"{_TAG}float": plain.construct_yaml_float,
            f"{_TAG}bool": plain.construct_yaml_bool,
            f"{_TAG}null": plain.construct_yaml_null,
        }

    def build(self, node: Any, depth: int = 0) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or depth > MAX_DEPTH:
            raise self._refused(
                node, f"its aliases expand to more than {MAX_VALUES} values or refer to themselves"
            )
        if node.id == "mapping" and node.tag == f"{_TAG}map":
            return self._mapping(node, depth)
        if node.id == "sequence" and node.tag == f"{_TAG}seq":
            return [self.build(item, depth + 1) for item in node.value]
        if node.id == "scalar":
            if node.tag in _TEXT_TAGS:
                return node.value
            if node.tag in self._scalars:
                try:
                    value = self._scalars[node.tag](node)
                    if value == value:  # .nan would pass every bound
                        return value
                    raise ValueError
                except (ValueError, KeyError):
                    found = describe_value(node.value)
                    raise self._refused(node, f"{found} is not of type {node.tag[len(_TAG) :]}") from None
        tag = node.tag.replace(_TAG, "!!")
        raise self._refused(node, f"the tag {tag} is not allowed; only plain values are")

    def _mapping(self, node: Any, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar" or not (key.tag in _TEXT_TAGS or key.tag in self._scalars):
                raise self._refused(
                    key, "merge keys (<<), tagged keys and keys made of several values are not allowed"
                )
            if key.value in built:
                raise self._refused(key, f"{key.value} is given twice")
            built[key.value] = self.build(value, depth + 1)
        return built

    def _refused(self, node: Any, why: str) -> SettingsError:
        return SettingsError(f"{self._path}:{node.start_mark.line + 1}: {why}")


def describe_value(value: Any) -> str:
    """What a message says was found: `the text 'abc'`, `the number 5`, `a list`, `nothing`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:40] + '…' if len(value) > 40 else value!r}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
    return f"a {type(value).__name__}"
