"""JSON schemas of strangers, cut to what a request can carry: known keywords, a depth, a number of bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from safety.terminal_text import neutralize, without_hostile

MOST_BYTES = 4_096
"""Of the JSON of one tool's parameters: about 1,000 tokens in each request."""
DEEPEST = 8
LONGEST_PARAMETER_NAME = 64
LONGEST_NOTE = 300
_SHORT_NOTE = 100
_MOST_VALUES = 100

_OF_NAMES = ("properties", "$defs", "definitions")
_OF_ONE = ("items", "additionalProperties")
_OF_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_VALUES = frozenset({
    "type", "enum", "const", "default", "required", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems",
    "format", "pattern",
})  # fmt: skip
_NOT_ABOVE = frozenset(
    {"anyOf", "oneOf", "allOf", "enum", "const", "default", "$ref", "items", "prefixItems"}
)
"""What chat APIs refuse at the top of a tool's parameters; the server checks it all the same."""


class UnusableSchemaError(ValueError):
    """Parameters that cannot be sent to a model; the text says why."""


def bounded_schema(schema: Any) -> dict[str, Any]:
    """The schema of an object of parameters: clean text, known keywords, at most `MOST_BYTES`.

    Where it is longer, notes go first, then what lies below the first level. References stay if they lead to
    a definition of the same schema.

    Raises:
        UnusableSchemaError: it does not describe an object, has names that cannot be shown, or is too long.
    """
    if not isinstance(schema, Mapping):
        raise UnusableSchemaError("its parameters have no schema")
    if schema.get("type", "object") not in ("object", ["object"]):
        raise UnusableSchemaError("its parameters are no object")
    for cut in (
        _Cut(LONGEST_NOTE, LONGEST_NOTE, DEEPEST),
        _Cut(_SHORT_NOTE, 0, DEEPEST),
        _Cut(_SHORT_NOTE, 0, 1),
    ):
        bounded = cut.top(schema)
        size = len(json.dumps(bounded, ensure_ascii=False, separators=(",", ":")).encode())
        if size <= MOST_BYTES:
            return bounded
    raise UnusableSchemaError(f"its parameters take {size:,} bytes even when cut; {MOST_BYTES:,} are allowed")


class _Cut:
    """How much is kept: characters of notes at the first level and below it, and levels."""

    def __init__(self, note: int, deep_note: int, deepest: int) -> None:
        self._note, self._deep_note, self._deepest = note, deep_note, deepest
        self._targets: set[str] = set()

    def top(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if self._deepest > 1:
            self._targets = {
                f"#/{place}/{name}"
                for place in ("$defs", "definitions")
                if isinstance(schema.get(place), Mapping)
                for name in schema[place]
            }
        above = {key: value for key, value in schema.items() if key not in _NOT_ABOVE}
        if self._deepest == 1:
            above = {key: value for key, value in above.items() if key not in ("$defs", "definitions")}
        bounded = self._schema(above, 0)
        assert isinstance(bounded, dict)
        bounded.pop("description", None)
        return {**bounded, "type": "object", "properties": bounded.get("properties", {})}

    def _schema(self, node: Any, depth: int) -> dict[str, Any] | bool:
        if isinstance(node, bool):
            return node
        if not isinstance(node, Mapping):
            return {}
        if isinstance(node.get("$ref"), str) and node["$ref"] in self._targets:
            return {"$ref": node["$ref"]}
        kept: dict[str, Any] = {}
        for key, value in node.items():
            if key == "description":
                note = _note(value, self._note if depth <= 1 else self._deep_note)
                if note:
                    kept[key] = note
            elif key in _VALUES:
                if _is_plain(value):
                    kept[key] = value
            elif depth < self._deepest:
                self._below(kept, key, value, depth + 1)
        return kept

    def _below(self, kept: dict[str, Any], key: str, value: Any, depth: int) -> None:
        if key in _OF_NAMES and isinstance(value, Mapping):
            kept[key] = {_name(name): self._schema(each, depth) for name, each in value.items()}
        elif key in _OF_ONE:
            kept[key] = self._schema(value, depth)
        elif key in _OF_MANY and isinstance(value, list) and value:
            kept[key] = [self._schema(each, depth) for each in value]


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or len(name) > LONGEST_PARAMETER_NAME:
        raise UnusableSchemaError(f"a parameter's name is empty or longer than {LONGEST_PARAMETER_NAME}")
    if neutralize(name) != name or not name.isprintable():
        raise UnusableSchemaError("a parameter's name holds characters that can hide or move text")
    return name


def _note(value: Any, limit: int) -> str:
    if not isinstance(value, str) or not limit:
        return ""
    clean = without_hostile(value).strip()
    return clean if len(clean) <= limit else clean[: limit - 2].rstrip() + " …"


def _is_plain(value: Any) -> bool:
    """A number, a short harmless text, or a short list of such."""
    if isinstance(value, list):
        return len(value) <= _MOST_VALUES and all(
            not isinstance(each, (list, Mapping)) and _is_plain(each) for each in value
        )
    if isinstance(value, str):
        return len(value) <= LONGEST_NOTE and neutralize(value) == value
    return value is None or isinstance(value, (bool, int, float))
