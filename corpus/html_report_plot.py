"""Plots as SVG text: a histogram of a Spread, and bars of parts. Colours are classes of html_report.css.

Every function takes plain text and escapes it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence

from corpus.spread import Bin, Spread
from safety.terminal_text import neutralize

WIDTH, HEIGHT = 560, 230
"""Of a histogram, in units of its own; the page scales it."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 40, 28
_TICKS = 7
_CHARACTER = 6.6
"""About the width of a character of a label."""


def text(value: object) -> str:
    """Any text as HTML: markup is escaped, and what could hide or reorder text is spelled out."""
    return html.escape(neutralize(str(value)).replace("\n", " "))


def short(number: float) -> str:
    """A number in at most five characters: 950, 1.2k, 34k, 5.6M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * 0.9995:
            share = number / size
            return f"{share:.1f}".rstrip("0").rstrip(".") + unit if share < 9.95 else f"{share:.0f}{unit}"
    return f"{number:.0f}" if number == round(number) or number >= 100 else f"{number:.1f}"


def histogram(spread: Spread, unit: str, *, kind: str = "") -> str:
    """How many rows have how many of `unit`, with lines at the median and at 90 %. `kind` is a CSS class."""
    bins = _of_whole_numbers(spread.histogram)
    if not bins:
        return '<p class="nothing">No rows.</p>'
    scale = _scale(bins)
    highest = max(each.count for each in bins)
    top, step = _nice_top(highest)
    inner = HEIGHT - _TOP - _BOTTOM
    parts = [_svg(f"rows by {unit}", WIDTH, HEIGHT)]
    for number in range(round(top / step) + 1):
        y = HEIGHT - _BOTTOM - number * step / top * inner
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(_label(_LEFT - 6, y + 4, short(number * step), "end"))
    for each in bins:
        left, right = scale(each.low), scale(each.high)
        height = max(each.count / top * inner, 1.5) if each.count else 0
        told = f"{_range(each)} {unit}: {each.count:,} row{'' if each.count == 1 else 's'}"
        # A bar's title answers over its whole column: a low one would be hard to hit.
        parts.append(
            f'<g class="column"><title>{text(told)}</title>'
            f'<rect class="hit" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{inner}"/>'
            f'<rect class="bar {kind}" x="{left + 0.5:.1f}" y="{HEIGHT - _BOTTOM - height:.1f}" '
            f'width="{max(right - left - 1, 0.8):.1f}" height="{height:.1f}" rx="1"/></g>'
        )
    parts += _ticks(bins, scale)
    parts += _marks(spread, bins, scale)
    return "".join([*parts, "</svg>"])


def stacked_bar(parts: Sequence[tuple[str, float, str]], *, height: int = 26) -> str:
    """(name, size, CSS class) side by side, as wide as their share."""
    total = sum(size for _, size, _ in parts)
    if not total:
        return ""
    drawn, x = [_svg("shares", 1000, height, stretch=True)], 0.0
    for name, size, kind in parts:
        width = 1000 * size / total
        told = text(f"{name}: {size:,.0f} ({percent(size / total)})")
        drawn.append(
            f'<rect class="part {kind}" x="{x:.2f}" y="0" width="{width:.2f}" height="{height}">'
            f"<title>{told}</title></rect>"
        )
        x += width
    return "".join([*drawn, "</svg>"])


def share_bar(share: float, kind: str, *, second: float = 0.0, second_kind: str = "") -> str:
    """A bar that fills `share` (0 to 1) of its place, `second` of it in another colour at the end."""
    width, part = 1000 * min(max(share, 0.0), 1.0), min(max(second, 0.0), 1.0)
    drawn = f'<rect class="part {kind}" x="0" y="0" width="{width * (1 - part):.2f}" height="10"/>'
    if part:
        first = width * (1 - part)
        drawn += (
            f'<rect class="part {second_kind}" x="{first:.2f}" y="0" width="{width * part:.2f}" height="10"/>'
        )
    return _svg("", 1000, 10, stretch=True) + drawn + "</svg>"


def percent(share: float) -> str:
    """62 %, 3.4 %, 0.04 %; 100 % and 0 % only where they are exact."""
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    if 0.0995 <= share <= 0.995:
        return f"{share * 100:.0f} %"
    if share > 0.995:
        return f"{min(math.floor(share * 1000) / 10, 99.9):.1f} %"
    return f"{share * 100:.1f} %" if share >= 0.001 else "< 0.1 %"


def _svg(label: str, width: int, height: int, *, stretch: bool = False) -> str:
    how = ' preserveAspectRatio="none"' if stretch else ""
    named = f'role="img" aria-label="{text(label)}"' if label else 'aria-hidden="true"'
    return f'<svg viewBox="0 0 {width} {height}"{how} {named}>'


def _of_whole_numbers(bins: Sequence[Bin]) -> list[Bin]:
    """The bins with whole edges. Those that hold no whole number are left out: they would look like gaps."""
    whole = [Bin(math.ceil(each.low), math.ceil(each.high), each.count) for each in bins]
    return [each for each in whole if each.high > each.low]


def _label(x: float, y: float, shown: str, anchor: str = "middle", kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(shown)}</text>'


def _scale(bins: Sequence[Bin]) -> Callable[[float], float]:
    """From a value to its x: as the bins are, in equal steps or in equal ratios."""
    low, high = bins[0].low, bins[-1].high
    span = WIDTH - _LEFT - _RIGHT
    if _is_in_ratios(bins):
        return lambda value: _LEFT + span * math.log(max(value, low) / low) / math.log(high / low)
    return lambda value: _LEFT + span * (value - low) / (high - low)


def _is_in_ratios(bins: Sequence[Bin]) -> bool:
    first, last = bins[0], bins[-1]
    return first.low > 0 and last.high - last.low > 2 + 2 * (first.high - first.low)


def _range(each: Bin) -> str:
    """The whole numbers of a bin."""
    last = each.high - 1
    return f"{each.low:,.0f}" if each.low == last else f"{each.low:,.0f} to {last:,.0f}"


def _ticks(bins: Sequence[Bin], scale: Callable[[float], float]) -> Iterator[str]:
    low, high = bins[0].low, bins[-1].high
    y = HEIGHT - _BOTTOM
    single = all(each.high - each.low == 1 for each in bins)
    if _is_in_ratios(bins):
        values = _ratio_ticks(low, high)
    else:
        _, step = _nice_top(high - low, _TICKS)
        step = max(step, 1) if single else step
        first = math.ceil(low / step)
        values = [number * step for number in range(first, math.floor((high - single) / step) + 1)]
    free = 0.0
    for value in values:
        x = scale(value + 0.5) if single else scale(value)
        width = len(short(value)) * _CHARACTER
        if x - width / 2 < free or x + width / 2 > WIDTH:
            continue
        free = x + width / 2 + 8
        yield f'<path class="tick" d="M{x:.1f} {y}v4"/>' + _label(x, y + 18, short(value))


def _ratio_ticks(low: float, high: float) -> list[float]:
    found = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digit in (1, 2, 5)
    ]
    inside = [value for value in found if low <= value <= high]
    tens = [value for value in inside if math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9)]
    return tens if len(inside) > 2 * _TICKS and len(tens) > 2 else inside


def _marks(spread: Spread, bins: Sequence[Bin], scale: Callable[[float], float]) -> Iterator[str]:
    single = all(each.high - each.low == 1 for each in bins)
    half = 0.5 if single else 0.0
    for row, (name, value) in enumerate((("median", spread.median), ("90 % ≤", spread.p90))):
        x = scale(min(max(value + half, bins[0].low), bins[-1].high))
        told = f"{name} {value:,.0f}"
        width, y = len(told) * _CHARACTER, 12 + 15 * row
        left = x + 5 + width > WIDTH
        yield f'<path class="mark" d="M{x:.1f} {y - 9}V{HEIGHT - _BOTTOM}"/>'
        yield _label(x - 5 if left else x + 5, y, told, "end" if left else "start", "told")


def _nice_top(highest: float, steps: int = 4) -> tuple[float, float]:
    """The end of an axis that holds `highest`, and its step: 1, 2 or 5 times a power of ten."""
    rough = max(highest, 1) / steps
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    step = max(step, 1.0)
    return math.ceil(highest / step - 1e-9) * step, step
