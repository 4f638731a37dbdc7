"""robots.txt: what a site wants left alone (RFC 9309)."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

NAME = "hermes-agent"
MOST_BYTES = 500 * 1024
"""RFC 9309, 2.5: crawlers must read at least as much."""
_SLOWEST = 10.0


@dataclass(slots=True)
class Robots:
    """`rules` are (path pattern, allowed); `delay` is in seconds between two pages, 0 if it is not said."""

    rules: list[tuple[str, bool]] = field(default_factory=list)
    delay: float = 0.0

    def allows(self, url: str) -> bool:
        """The longest pattern that fits decides; of two that are as long, the one that allows."""
        parts = urlsplit(url)
        path = _plain(parts.path or "/") + (f"?{_plain(parts.query)}" if parts.query else "")
        fitting = [(len(pattern), allowed) for pattern, allowed in self.rules if _fits(pattern, path)]
        return max(fitting, default=(0, True))[1]


NOTHING_ALLOWED = Robots([("/", False)])


def read_robots(text: str) -> Robots:
    """The group for NAME, else the one for all. What is no rule is passed over."""
    groups: dict[str, Robots] = {}
    current: list[Robots] = []
    in_rules = True
    for line in text.lstrip("\ufeff").splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "user-agent":
            if in_rules:
                current, in_rules = [], False
            current.append(groups.setdefault(value.partition("/")[0].lower(), Robots()))
        elif name in ("allow", "disallow"):
            in_rules = True
            if value:
                for group in current:
                    group.rules.append((_plain(value), name == "allow"))
        elif name == "crawl-delay":
            in_rules = True
            for group in current:
                group.delay = _seconds(value)
    return groups.get(NAME) or groups.get("*") or Robots()


def _seconds(value: str) -> float:
    try:
        return min(max(float(value), 0.0), _SLOWEST)
    except ValueError:
        return 0.0


def _plain(path: str) -> str:
    """One spelling: what may be escaped and need not be, is not."""
    return quote(unquote(path, errors="replace"), safe="/*$?&=:@!,;+()'~")


def _fits(pattern: str, path: str) -> bool:
    """`*` stands for anything, a last `$` for the end. In linear time, as a pattern may be hostile."""
    ends = pattern.endswith("$")
    first, *more = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if not more:
        return not ends or at == len(path)
    for piece in more[:-1]:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    last = more[-1]
    if ends:
        return path.endswith(last) and len(path) - len(last) >= at
    return path.find(last, at) >= 0
