"""What a server says a tool is, made fit to show to a person and to send to a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from safety.terminal_text import neutralize, without_hostile
from tools.mcp.schema_bounds import UnusableSchemaError, bounded_schema

LONGEST_DESCRIPTION = 1_000
LONGEST_NAME = 128
MOST_TOOLS = 100
"""Of one server; the setting `tools` says which, where it has more."""

_CLAIMS = {
    "readOnlyHint": ("read-only", ""),
    "destructiveHint": ("destructive", "not destructive"),
    "idempotentHint": ("idempotent", ""),
    "openWorldHint": ("reaches out", "reaches nothing outside"),
}


class Definition(Struct, frozen=True):
    """A tool as the model is told of it. `name` is the server's own spelling.

    `digest` is of all that the server said (name, description, parameters), also of what was cut off.
    `claims` is what the server says of itself; nobody believes it.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    digest: str
    claims: list[str] = []


class UnusableToolError(ValueError):
    """A tool that is not offered to the model; the text says why."""


def read_definition(said: Mapping[str, Any]) -> Definition:
    """`said` is one entry of the reply to `tools/list`.

    Raises:
        UnusableToolError: its name cannot be shown, or its parameters cannot be sent.
    """
    name = said.get("name")
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME:
        raise UnusableToolError(f"its name is empty or longer than {LONGEST_NAME} characters")
    if neutralize(name) != name or not name.isprintable():
        raise UnusableToolError("its name holds characters that can hide or move text")
    try:
        parameters = bounded_schema(said.get("inputSchema"))
    except UnusableSchemaError as error:
        raise UnusableToolError(str(error)) from None
    return Definition(name, _description(said), parameters, digest_of(said), _claims(said.get("annotations")))


def read_definitions(
    said: Iterable[Mapping[str, Any]], wanted: Iterable[str] = ()
) -> tuple[list[Definition], list[tuple[str, str]]]:
    """The tools that can be offered, in the server's order, and (name, reason) of the others.

    `wanted` are the names a person chose; all if there are none.
    """
    chosen = set(wanted)
    usable: dict[str, Definition] = {}
    refused: list[tuple[str, str]] = []
    over = 0
    for entry in said:
        name = str(entry.get("name", ""))
        if chosen and name not in chosen:
            continue
        if len(usable) >= MOST_TOOLS:
            over += 1
            continue
        try:
            definition = read_definition(entry)
        except UnusableToolError as error:
            refused.append((name[:LONGEST_NAME], str(error)))
            continue
        if definition.name in usable:
            refused.append((name, "the server has two tools of this name; the first counts"))
        else:
            usable[name] = definition
    missing = sorted(chosen - usable.keys() - {name for name, _ in refused})
    refused += [(name, "the server has no such tool") for name in missing]
    if over:
        refused.append((f"{over} more", f"a server may have {MOST_TOOLS}; choose with mcp.NAME.tools"))
    return list(usable.values()), refused


def digest_of(said: Mapping[str, Any]) -> str:
    facts = [said.get("name"), said.get("description"), said.get("inputSchema")]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def function_schema(name: str, definition: Definition) -> dict[str, Any]:
    """The OpenAI tool definition under the name that the model calls it by."""
    function = {"name": name, "description": definition.description, "parameters": definition.parameters}
    return {"type": "function", "function": function}


def tokens_of(name: str, definition: Definition) -> int:
    """About how many tokens it takes in each request: its JSON bytes / 4, rounded up."""
    text = json.dumps(function_schema(name, definition), ensure_ascii=False, separators=(",", ":"))
    return -(-len(text.encode()) // 4)


def _description(said: Mapping[str, Any]) -> str:
    text = said.get("description")
    clean = without_hostile(text if isinstance(text, str) else "").strip()
    return clean if len(clean) <= LONGEST_DESCRIPTION else clean[: LONGEST_DESCRIPTION - 2].rstrip() + " …"


def _claims(annotations: Any) -> list[str]:
    if not isinstance(annotations, Mapping):
        return []
    said = [yes if annotations.get(key) is True else no if annotations.get(key) is False else ""
            for key, (yes, no) in _CLAIMS.items()]  # fmt: skip
    return [each for each in said if each]
