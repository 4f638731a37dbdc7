"""What typed settings accept: every key and its default, what it expects in words, what is wrong in a value.

All functions take the types they look at; the settings themselves are in settings.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from configuration.home import SettingsError
from configuration.settings_file import describe_value, parse_settings

_WORDS = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false",
    type(None): "null", Any: "any value",
}  # fmt: skip
_NEAR = 0.6
"""How alike two keys, and their last parts, are to be (as difflib has it) where one is meant by the other."""
_TRUTH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted key, its type, its built-in value, its line of explanation."""

    key: str
    kind: Any
    default: Any
    description: str


def settings_in(section: type[msgspec.Struct], prefix: str = "") -> Iterator[Setting]:
    """Every setting of a section and the sections in it, in the order they are declared."""
    for item in msgspec.structs.fields(section):
        key, bare = f"{prefix}{item.name}", _bare(item.type)
        if _is_section(bare):
            yield from settings_in(bare, f"{key}.")
        else:
            made = item.default_factory is not msgspec.NODEFAULT
            default = item.default_factory() if made else item.default
            description = next((meta.description for meta in _metas(item.type) if meta.description), "")
            yield Setting(key, item.type, default, description)


def kind_at(section: Any, keys: Sequence[str]) -> Any:
    """The type of what stands at `keys`; None if nothing may stand there."""
    kind = section
    for key in keys:
        kind = _bare(kind)
        if _is_section(kind):
            kind = _field_types(kind).get(key)
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif kind is not Any:
            return None
    return kind


def is_table(kind: Any) -> bool:
    """Whether the person chooses the keys below: `providers`, `personalities`, …"""
    return get_origin(_bare(kind)) is dict


def is_section(kind: Any) -> bool:
    """Whether it has settings below it rather than a value."""
    return _is_section(_bare(kind))


def problems(kind: Any, value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong in `value` for the type `kind`: the keys where, and a sentence without file and line."""
    bare = _bare(kind)
    table = get_origin(bare) is dict
    if (_is_section(bare) or table) and value is None:
        return
    if (_is_section(bare) or table) and isinstance(value, dict):
        for name, entry in value.items():
            inner = get_args(bare)[1] if table else _field_types(bare).get(name)
            if inner is None:
                yield (*keys, name), f"unknown setting {'.'.join((*keys, name))}"
            else:
                yield from problems(inner, entry, (*keys, name))
        return
    if get_origin(bare) is list and _is_section(get_args(bare)[0]) and isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _entry_problems(get_args(bare)[0], entry, (*keys, str(number)))
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        quote = "; write it in quotes" if _takes_text(bare) and isinstance(value, (int, float)) else ""
        yield keys, f"{'.'.join(keys)} must be {expected(kind)}, found {_found(kind, value)}{quote}"


def _entry_problems(section: Any, entry: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The same for an entry of a list, which no key of the settings leads to."""
    fields = {item.name: item for item in msgspec.structs.fields(section)}
    dotted = ".".join(keys)
    if not isinstance(entry, dict):
        yield keys, f"{dotted} must be a mapping with {', '.join(fields)}, found {describe_value(entry)}"
        return
    for name, item in fields.items():
        if item.required and name not in entry:
            yield keys, f"{dotted} has no {name}: {expected(item.type)}"
    for name, value in entry.items():
        if name in fields:
            yield from problems(fields[name].type, value, (*keys, name))
        else:
            yield (*keys, name), f"{dotted} has no place for {name}; there are: {', '.join(fields)}"


def hint_for(section: type[msgspec.Struct], keys: Sequence[str]) -> str:
    """What helps who gave an unknown key: the one most likely meant, or where all stand."""
    nearest = nearest_key(section, keys)
    return f"the nearest is {nearest}" if nearest else "hermes config template shows those there are"


def nearest_key(section: type[msgspec.Struct], keys: Sequence[str]) -> str:
    """The valid dotted key that an unknown one most likely means, "" if none is near."""
    import difflib

    valid = [setting.key for setting in settings_in(section)]
    valid += {key.rpartition(".")[0] for key in valid if "." in key}
    valid.sort()
    same_name = [key for key in valid if key.rpartition(".")[2] == keys[-1]]
    parent = _bare(kind_at(section, keys[:-1]))
    names = _field_types(parent) if _is_section(parent) else ()
    siblings = [".".join((*keys[:-1], name)) for name in names]
    for candidates, cutoff in ((siblings, 0.75), (same_name, 0.0)):
        close = difflib.get_close_matches(".".join(keys), candidates, n=1, cutoff=cutoff)
        if close:
            return close[0]
    # A section that both are in makes no two keys near.
    near = difflib.get_close_matches(".".join(keys), valid, n=8, cutoff=_NEAR)
    return next((key for key in near if _alike(key.rpartition(".")[2], keys[-1]) >= _NEAR), "")


def _alike(one: str, other: str) -> float:
    import difflib

    return difflib.SequenceMatcher(None, one, other).ratio()


def expected(kind: Any) -> str:
    """A type in words: `a whole number (at least 1)`, `one of fold, show, hide`."""
    bare = _bare(kind)
    origin, args = get_origin(bare), get_args(bare)
    if origin is Literal:
        words = "one of " + ", ".join(value or '""' for value in args)
    elif origin in (Union, UnionType):
        words = " or ".join(expected(part) for part in args)
    elif origin is list:
        words = "a list of texts" if args[0] is str else "a list"
    elif origin is dict:
        words = "a mapping of names to " + ("texts" if args[1] is str else "values")
    else:
        words = "a section with settings in it" if _is_section(bare) else _WORDS.get(bare, str(bare))
    return words + _bounds(kind)


def _bounds(kind: Any) -> str:
    names = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = [
        f"{word} {getattr(meta, name):g}"
        for meta in _metas(kind)
        for name, word in names.items()
        if getattr(meta, name) is not None
    ]
    found += ["not empty" for meta in _metas(kind) if meta.min_length]
    return f" ({' and '.join(found)})" if found else ""


def _takes_text(bare: Any) -> bool:
    return bare is str or get_origin(bare) is Literal


def _found(kind: Any, value: Any) -> str:
    if isinstance(value, list) and get_origin(_bare(kind)) is list:
        inner = get_args(_bare(kind))[0]
        wrong = next((entry for entry in value if list(problems(inner, entry))), None)
        return f"{describe_value(wrong)} in the list"
    return describe_value(value)


def value_from_text(kind: Any, text: str) -> Any:
    """What a person typed, as the type wants it; text that does not fit comes back as it is.

    Lists are `a,b` or `[a, b]`; tables and free values are YAML or JSON; `null` is nothing where
    nothing is allowed.

    Raises:
        SettingsError: a list, table or free value is not valid YAML.
    """
    bare = _bare(kind)
    choices = get_args(bare) if get_origin(bare) in (Union, UnionType) else (bare,)
    kinds = tuple(_bare(each) for each in choices)
    word = text.strip().lower()
    if type(None) in kinds and word in ("", "null", "none", "~"):
        return None
    if get_origin(bare) is list and not word.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if get_origin(bare) in (list, dict) or bare is Any or _is_section(bare):
        return _from_yaml(text)
    if bool in kinds:
        return _TRUTH.get(word, text)
    for number in (int, float):
        if number in kinds or (number is int and float in kinds):
            try:
                return number(word) if word.lstrip("+-") != "nan" else text
            except ValueError:
                continue
    return text


def _from_yaml(text: str) -> Any:
    from pathlib import Path

    try:
        return parse_settings("value: " + text.replace("\n", "\n "), Path("value")).data["value"]
    except SettingsError as error:
        raise SettingsError(f"{text[:60]!r} is not valid YAML: {error.problems[0]}") from None


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _metas(kind: Any) -> list[msgspec.Meta]:
    return (
        [meta for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta)] if _bare(kind) != kind else []
    )


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _field_types(section: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {item.name: item.type for item in msgspec.structs.fields(section)}
