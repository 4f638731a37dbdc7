"""The file of prompts: one JSON object a line with a `prompt`, and whatever else is to be carried along."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

_SHOWN = 10
_LAYOUT = 'each line is an object, {"prompt": "…"}, or the prompt as a JSON string'


class PromptsError(ValueError):
    """The file cannot be used. `str` has one line a problem, each with its line number."""


class Prompt(Struct, frozen=True):
    text: str
    fields: dict[str, Any] = {}


def read_prompts(path: Path) -> list[Prompt]:
    """All prompts of the file, in order, which may be compressed with gzip. A line may also be the prompt
    alone, as a JSON string.

    Raises:
        PromptsError: any line is something else, there is none, or the file cannot be read.
    """
    try:
        lines = _unpacked(path.read_bytes()).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise PromptsError(f"cannot read {path}: {getattr(error, 'strerror', '') or error}") from None
    prompts: list[Prompt] = []
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            prompts.append(read_prompt(line))
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more lines"] if len(problems) > _SHOWN else []
        raise PromptsError("\n".join([*problems[:_SHOWN], *more, _LAYOUT]))
    if not prompts:
        raise PromptsError(f"{path} has no prompts")
    return prompts


def _unpacked(stored: bytes) -> bytes:
    return gzip.decompress(stored) if stored.startswith(b"\x1f\x8b") else stored


def read_prompt(line: bytes) -> Prompt:
    """Raises ValueError with the reason."""
    try:
        value = msgspec.json.decode(line)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if isinstance(value, str):
        value = {"prompt": value}
    if not isinstance(value, dict):
        raise ValueError("neither a JSON object nor a string")
    if "prompt" not in value:
        raise ValueError(f"has no field `prompt` (it has: {', '.join(list(value)[:8]) or 'none'})")
    text = value.pop("prompt")
    if not isinstance(text, str):
        raise ValueError(f"`prompt` is {_kind(text)}, not text")
    if not text.strip():
        raise ValueError("`prompt` is empty")
    return Prompt(text, value)


def digest(prompts: Iterable[Prompt]) -> str:
    """SHA-256 over the prompts and their fields, whatever the spacing of the file's JSON."""
    sha = hashlib.sha256()
    for prompt in prompts:
        sha.update(msgspec.json.encode(prompt) + b"\n")
    return sha.hexdigest()


def columns(prompts: Iterable[Prompt]) -> list[str]:
    """The names of all fields, in order of appearance."""
    return list(dict.fromkeys(name for prompt in prompts for name in prompt.fields))


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")
