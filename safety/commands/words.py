"""Lists of words that the other modules look up; they stand in words.yaml."""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def word_list(name: str) -> frozenset[str]:
    """The list of that name. Raises KeyError."""
    return frozenset(_lists()[name].split())


@functools.cache
def _lists() -> dict[str, str]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, str] = yaml.load((Path(__file__).parent / "words.yaml").read_bytes(), loader)
    return found
