"""Values that a model wrote as bare text, typed by the JSON schema of their tool.

A value is what its text can be read as, if the schema allows that: null, a number, a truth value, an object
or a list, in this order, since each has fewer spellings than the next. Else it is a string. What goes out is
JSON text, so that long integers and decimals come through as written.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tool_call_parsers.json_text import Broken, Cut, Number, exact, is_json, value_at

Schema = Mapping[str, Any]

_ENCODER = json.JSONEncoder(ensure_ascii=False)
# How deep references and alternatives of a schema are followed.
_DEPTH = 10
_INTEGER = re.compile(r"([+-]?)0*(\d+)", re.A)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.A)
_HUGE = re.compile(r"[eE]\+?\d{3}")
_TRUTH = {"true": "true", "1": "true", "false": "false", "0": "false"}
# What a JSON text is, by its first character; a number else.
_KINDS = {'"': "string", "{": "object", "[": "array", "t": "boolean", "f": "boolean", "n": "null"}
# Types that tool authors name as Python, SQL or C do; sizes in bits and a "u" for unsigned are passed over.
_OTHER_NAMES = {
    **dict.fromkeys(("str", "text", "char", "varchar", "enum"), "string"),
    **dict.fromkeys(("int", "long", "short", "unsigned"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("dict", "map"), "object"),
    **dict.fromkeys(("list", "tuple", "arr", "sequence"), "array"),
    "bool": "boolean",
}


def quoted(text: str) -> str:
    """The text as a JSON string."""
    return _ENCODER.encode(text)


def object_text(members: Mapping[str, str]) -> str:
    """A JSON object of members whose values are JSON text already."""
    return "{" + ", ".join(f"{quoted(key)}: {value}" for key, value in members.items()) + "}"


def properties_of(schema: Any) -> Schema:
    """The properties a schema names, or none."""
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def types_of(schema: Any, root: Any = None) -> set[str]:
    """The JSON types a schema allows; {"string"} when it does not say.

    root: the whole parameter schema, in which `$ref` is looked up
    """
    return set(_types(schema, root, _DEPTH)) or {"string"}


def _types(schema: Any, root: Any, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or depth <= 0:
        return
    named = schema.get("type")
    for name in named if isinstance(named, list) else [named]:
        if isinstance(name, str):
            plain = name.strip().lower()
            yield _OTHER_NAMES.get(
                plain.rstrip("0123456789").removeprefix("u"), _OTHER_NAMES.get(plain, plain)
            )
    if schema.get("nullable") is True:
        yield "null"
    values = schema.get("enum")
    for value in values if isinstance(values, list) else []:
        text = json.dumps(value, default=str)
        yield _KINDS.get(text[0], "number" if isinstance(value, float) else "integer")
    for word in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(word)
        for choice in choices if isinstance(choices, list) else []:
            yield from set(_types(choice, root, depth - 1)) or {"string"}
    if isinstance(schema.get("$ref"), str):
        yield from _types(referred(schema["$ref"], root), root, depth - 1)


def referred(reference: str, root: Any) -> Any:
    """The schema a reference such as `#/$defs/Name` names within `root`, or None."""
    found = root
    if not reference.startswith("#/"):
        return None
    for step in reference[2:].split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def typed(value: str, schema: Any, root: Any = None) -> str:
    """The JSON text of a value written as bare text, as its schema wants it; a string when nothing fits."""
    allowed = types_of(schema, root)
    plain = value.strip()
    word = plain.lower()
    if "null" in allowed and word == "null":
        return word
    number = _number(plain, "number" in allowed) if allowed & {"number", "integer"} else None
    if number is not None:
        return number
    if "boolean" in allowed and word in _TRUTH:
        return _TRUTH[word]
    if _KINDS.get(plain[:1]) in allowed & {"object", "array"} and is_json(plain) and _finite(plain):
        return exact(plain)
    return quoted(value) if "string" in allowed else guessed(value)


def guessed(value: str) -> str:
    """The text itself if it is JSON (with finite numbers), else the text as a JSON string."""
    if is_json(value) and _finite(value):
        return exact(value)
    return quoted(value)


def _number(text: str, with_fraction: bool) -> str | None:
    """JSON's spelling of a number that may have a sign or zeros in front; None if it is none."""
    whole = _INTEGER.fullmatch(text)
    if whole:
        return ("-" if whole[1] == "-" and whole[2] != "0" else "") + whole[2]
    if not with_fraction or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return text if _DECIMAL.fullmatch(text) else json.dumps(number)


def _finite(text: str) -> bool:
    if not _HUGE.search(text):
        return True
    try:
        value, _ = value_at(text, 0)
    except (Cut, Broken):
        return False
    return all(math.isfinite(float(number)) for number in _numbers(value))


def _numbers(value: Any) -> Iterator[Number]:
    if isinstance(value, Number):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)
