"""Drawing rows at random in one pass: exact numbers, no memory for the rows, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from random import Random
from typing import TypeVar

Group = TypeVar("Group")


class Quotas:
    """Deals rows to parts so that each gets its number exactly, every outcome as likely as any other.

    `quotas[n]` is how many rows part n gets; together they are the number of rows that will come.
    (Selection sampling, Knuth, The Art of Computer Programming, volume 2, 3.4.2, for several parts.)
    """

    def __init__(self, quotas: Sequence[int], random: Random) -> None:
        self._left = list(quotas)
        self._random = random

    def deal(self) -> int:
        """The part of the next row."""
        drawn = self._random.randrange(max(1, sum(self._left)))
        for part, left in enumerate(self._left):
            if drawn < left:
                self._left[part] -= 1
                return part
            drawn -= left
        return len(self._left) - 1  # more rows than were counted: the file grew


def shares_of(total: int, shares: Sequence[float]) -> list[int]:
    """`total` in whole parts by `shares` (of any sum); what is over goes to the largest rests."""
    exact = [total * share / sum(shares) for share in shares]
    parts = [int(each) for each in exact]
    by_rest = sorted(range(len(shares)), key=lambda part: (parts[part] - exact[part], part))
    for part in by_rest[: total - sum(parts)]:
        parts[part] += 1
    return parts


def stratified(wanted: int, sizes: Mapping[Group, int]) -> dict[Group, int]:
    """How many rows of each group to draw: one of each as far as `wanted` goes, more in proportion."""
    groups = list(sizes)
    wanted = min(wanted, sum(sizes.values()))
    if wanted <= len(groups):
        largest = set(sorted(groups, key=lambda group: -sizes[group])[:wanted])
        return {group: int(group in largest) for group in groups}
    numbers = dict(zip(groups, shares_of(wanted, list(sizes.values())), strict=True))
    most = [(-number, place) for place, number in enumerate(numbers.values())]
    heapify(most)
    for group, number in numbers.items():
        if not number:  # the one it gets is taken from whoever has most
            taken, place = heappop(most)
            heappush(most, (taken + 1, place))
            numbers[groups[place]] -= 1
            numbers[group] = 1
    return numbers


def part_of(key: bytes, shares: Sequence[float], seed: int) -> int:
    """The part that everything with this key goes to, by the key and the seed alone."""
    drawn = int.from_bytes(blake2b(key, digest_size=8, salt=seed.to_bytes(8, "little")).digest(), "little")
    place = drawn / 2**64 * sum(shares)
    for part, share in enumerate(shares):
        place -= share
        if place < 0:
            return part
    return len(shares) - 1
