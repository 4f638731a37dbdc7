"""Which toolsets a prompt gets: drawn, each with its own likelihood, so that they can be drawn again."""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from settings import ToolsetSettings
from toolsets import known_toolsets

BUILT_IN = Path(__file__).with_name("distributions.yaml")


class DistributionError(ValueError):
    """A distribution that cannot be used; the text says which and why."""


class Distribution(Struct, frozen=True):
    """`toolsets` are percentages, 0 to 100."""

    name: str
    about: str
    toolsets: dict[str, float]


def built_in_distributions() -> dict[str, Distribution]:
    """Those that come with hermes, by name."""
    import yaml

    with BUILT_IN.open(encoding="utf-8") as file:
        read: dict[str, Any] = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {name: Distribution(name, each["about"], each["toolsets"]) for name, each in read.items()}


def find_distribution(
    name: str,
    own: Mapping[str, Mapping[str, float]],
    custom: Mapping[str, ToolsetSettings] | None = None,
) -> Distribution:
    """The distribution called `name`. The person's `own` come first.

    Args:
        custom: the person's own toolsets.

    Raises:
        DistributionError: there is none of that name, it names a toolset that does not exist, or a percentage
            that is not between 0 and 100, or it leaves no toolset on at all.
    """
    built_in = built_in_distributions()
    if name in own:
        return _checked(Distribution(name, "", dict(own[name])), custom)
    if name not in built_in:
        near = difflib.get_close_matches(name, [*own, *built_in], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join([*own, *built_in])}"
        raise DistributionError(f"there is no distribution {name!r}; {hint}")
    return _checked(built_in[name], custom)


def fixed_distribution(toolsets: list[str]) -> Distribution:
    """These toolsets for every prompt."""
    return Distribution("", "", dict.fromkeys(toolsets, 100.0))


def draw_toolsets(toolsets: Mapping[str, float], seed: int, index: int) -> list[str]:
    """The toolsets of prompt `index`; the likeliest one where none is drawn.

    Each is drawn from a generator of its own, so that what is drawn for one depends on nothing but the
    seed, the index and its name.
    """
    drawn = [
        name
        for name, percent in toolsets.items()
        if random.Random(f"{seed}:{index}:{name}").random() * 100 < percent
    ]
    return drawn or sorted(toolsets, key=lambda name: -toolsets[name])[:1]


def _checked(found: Distribution, custom: Mapping[str, ToolsetSettings] | None) -> Distribution:
    known = known_toolsets(custom)
    for name, percent in found.toolsets.items():
        if not 0 <= percent <= 100:
            raise DistributionError(f"distribution {found.name!r}: {name} has {percent:g} %; 0 to 100 it is")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise DistributionError(f"distribution {found.name!r}: there is no toolset {name!r}; {hint}")
    drawn = {name: float(percent) for name, percent in found.toolsets.items() if percent}
    if not drawn:
        raise DistributionError(f"distribution {found.name!r} has no toolset above 0 %; choose another")
    return Distribution(found.name, found.about, drawn)
