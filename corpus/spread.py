"""How values are spread, in bounded memory: percentiles at most 1 % off, however many values there are.

Values up to 100 are counted one by one; beyond, each bucket is 2 % wide (the idea of DDSketch,
https://arxiv.org/abs/1908.10693). The same values in any order give the same spread.
"""

from __future__ import annotations

import math
from collections import Counter

from msgspec import Struct

EXACT = 100
_WIDTH = math.log(1.02)


class Bin(Struct, frozen=True):
    """`count` values from `low` up to, not including, `high`."""

    low: float
    high: float
    count: int


class Spread(Struct, frozen=True):
    """Of `count` values: all numbers are 0 where there are none. `histogram` is for plots; it has no gaps."""

    count: int = 0
    total: float = 0
    mean: float = 0
    least: float = 0
    p10: float = 0
    p25: float = 0
    median: float = 0
    p75: float = 0
    p90: float = 0
    p99: float = 0
    most: float = 0
    histogram: list[Bin] = []


class SpreadCounter:
    """Takes whole numbers from 0 and gives their Spread."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._count = 0
        self._total = 0
        self._least = 0
        self._most = 0

    def add(self, value: int) -> None:
        self._buckets[value if value <= EXACT else EXACT + math.ceil(math.log(value / EXACT) / _WIDTH)] += 1
        self._least = value if not self._count else min(self._least, value)
        self._most = max(self._most, value)
        self._count += 1
        self._total += value

    def spread(self, bins: int = 40) -> Spread:
        """`bins` is how many bins the histogram has at most."""
        if not self._count:
            return Spread()
        at = {share: self._percentile(share) for share in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)}
        return Spread(
            count=self._count,
            total=self._total,
            mean=self._total / self._count,
            least=self._least,
            p10=at[0.1],
            p25=at[0.25],
            median=at[0.5],
            p75=at[0.75],
            p90=at[0.9],
            p99=at[0.99],
            most=self._most,
            histogram=self._histogram(bins),
        )

    def _percentile(self, share: float) -> float:
        """The least value that at least this share of the values does not exceed."""
        wanted = math.ceil(share * self._count)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return float(min(self._most, max(self._least, round(_middle(bucket)))))
        return float(self._most)

    def _histogram(self, bins: int) -> list[Bin]:
        """Equal steps where the values lie close together, equal ratios where they differ by tens."""
        low, high = self._least, self._most + 1
        if low > 0 and high / low > 50:
            # whole edges, so that no bin lies between two numbers
            ratios = {round(low * (high / low) ** (step / bins)) for step in range(bins + 1)}
            edges = [float(edge) for edge in sorted({low, *ratios, high})]
        else:
            width = -(-(high - low) // bins)  # whole, so that each holds as many numbers as the others
            edges = [float(edge) for edge in range(low, high + width, width)]
        counts = [0] * (len(edges) - 1)
        place = 0
        for bucket in sorted(self._buckets):
            value = min(max(_middle(bucket), low), self._most)
            while value >= edges[place + 1] and place < len(counts) - 1:
                place += 1
            counts[place] += self._buckets[bucket]
        return [Bin(edges[step], edges[step + 1], count) for step, count in enumerate(counts)]


def _middle(bucket: int) -> float:
    """The value a bucket stands for."""
    return bucket if bucket <= EXACT else EXACT * math.exp((bucket - EXACT - 0.5) * _WIDTH)
