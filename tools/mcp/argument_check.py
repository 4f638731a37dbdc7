"""Arguments of a call against the schema of a stranger, in bounded time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from tools.tool import ArgumentError

MOST_PARTS = 500
"""Of a schema whose references are written out. A small one can stand for an endless one."""
_UNCHECKED = frozenset({"pattern", "format", "description", "default", "$ref", "$defs", "definitions"})
"""Patterns are never run: one of a few characters can take forever."""


def checked_arguments(tool: str, schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the schema wants them; numbers, lists and objects written as text are accepted.

    A null for what is not required is left out. What is too intricate to check passes: the server checks.

    Raises:
        ArgumentError: a parameter is missing, unknown or of the wrong type.
    """
    plain = _Plain(schema).top()
    given = _as_wanted(plain, arguments)
    problem = _problem(plain, given) or _unsendable(given)
    if problem:
        raise ArgumentError(f"{tool}: {problem}")
    return given


def _unsendable(given: dict[str, Any]) -> str:
    try:
        json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        return f"the arguments are no JSON: {str(error)[:200]}"
    return ""


def _problem(schema: dict[str, Any], given: dict[str, Any]) -> str:
    known = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in given:
            return f"required parameter {name!r} is missing"
    if schema.get("additionalProperties") is False:
        for name in given:
            if name not in known:
                return f"there is no parameter {name!r}; there are: {', '.join(known) or 'none'}"
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.exceptions import UnknownType, best_match  # type: ignore[import-untyped]

    try:
        error = best_match(Draft202012Validator(schema).iter_errors(given))
    except (UnknownType, RecursionError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
        return ""  # the schema is none; the server will say what it wants
    if error is None:
        return ""
    where = ".".join(str(each) for each in error.absolute_path)
    return f"{f'parameter {where!r}: ' if where else ''}{error.message[:300]}"


def _as_wanted(schema: dict[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", [])
    known = schema.get("properties", {})
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        kinds = _kinds(known.get(name))
        if value is None and kinds and "null" not in kinds and name not in required:
            continue
        if isinstance(value, str) and kinds and "string" not in kinds:
            with contextlib.suppress(ValueError, RecursionError):
                read = json.loads(value)
                value = read if _is_of(read, kinds) else value
        given[name] = value
    return given


def _kinds(schema: Any) -> set[str]:
    """The JSON types a parameter may have; empty if the schema does not say."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(kind, str):
        return {kind}
    return {each for each in kind if isinstance(each, str)} if isinstance(kind, list) else set()


def _is_of(value: Any, kinds: set[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, (int, float)):
        return "number" in kinds or ("integer" in kinds and isinstance(value, int))
    return ("object" in kinds and isinstance(value, dict)) or ("array" in kinds and isinstance(value, list))


class _Plain:
    """Writes references out, up to `MOST_PARTS` schemas; what lies beyond may be anything."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._left = MOST_PARTS

    def top(self) -> dict[str, Any]:
        plain: dict[str, Any] = self._written(self._schema, 0)
        required = plain.get("required")
        plain["required"] = (
            [each for each in required if isinstance(each, str)] if isinstance(required, list) else []
        )
        return plain

    def _written(self, node: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > 20:
            return {}
        if isinstance(node, bool):
            return node
        if not isinstance(node, Mapping):
            return {}
        if "$ref" in node:
            return self._written(self._target(node["$ref"]), depth + 1)
        written: dict[str, Any] = {}
        for key, value in node.items():
            if key in _UNCHECKED:
                continue
            if key == "properties":
                written[key] = {name: self._written(each, depth + 1) for name, each in value.items()}
            elif key in ("items", "additionalProperties"):
                written[key] = self._written(value, depth + 1)
            elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
                written[key] = [self._written(each, depth + 1) for each in value]
            else:
                written[key] = value
        return written

    def _target(self, reference: Any) -> Any:
        place, _, name = str(reference).removeprefix("#/").partition("/")
        found = self._schema.get(place)
        return found.get(name) if isinstance(found, Mapping) else None
