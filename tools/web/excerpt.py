"""What of a long page is shown: whole sections, its beginning or what fits a query."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_HEADING = re.compile(r"#{1,6} +(\S.*)")
_WORD = re.compile(r"\w{2,}")
_BLOCK = 1_500
"""Characters after which a section is divided at the next blank line."""
_MARKER = 160
"""Characters that a line about what was left out may take."""
_OPENING_SHARE = 0.2
"""Of the space, for the beginning of a page when a query chooses the rest."""


@dataclass(slots=True)
class _Block:
    """Lines `first` to `last`, counted from 1, under `heading`."""

    first: int
    last: int
    heading: str
    text: str
    starts_section: bool


def excerpt(markdown: str, limit: int, query: str = "") -> str:
    """At most about `limit` characters of `markdown`; all of it if it is no longer.

    Without `query` its beginning, cut before a heading if there is one in the second half, else at the end
    of a paragraph. With it the beginning and the blocks that have the words of the query, in their order.
    Lines in brackets tell which lines are left out and under which headings.
    """
    if len(markdown) <= limit:
        return markdown
    blocks = _blocks(markdown)
    chosen = _best(blocks, limit, query) if _words(query) else _beginning(blocks, limit)
    if not chosen:  # one block that is longer than all there is room for
        return markdown[: limit - _MARKER] + "\n\n[the rest is left out]"
    return _joined(blocks, chosen)


def _blocks(markdown: str) -> list[_Block]:
    blocks: list[_Block] = []
    lines: list[str] = []
    heading, size, fenced, starts = "", 0, False, True

    def close(before: int) -> None:
        nonlocal lines, size, starts
        if "".join(lines).strip():
            text = "\n".join(lines).strip("\n")
            blocks.append(_Block(before - len(lines), before - 1, heading, text, starts))
            starts = False
        lines, size = [], 0

    number = 0
    for number, line in enumerate(markdown.split("\n"), 1):
        if line.startswith("```"):
            fenced = not fenced
        found = None if fenced else _HEADING.match(line)
        if found:
            close(number)
            heading, starts = found[1][:60], True
        lines.append(line)
        size += len(line) + 1
        if size >= _BLOCK and (not line.strip() or size >= 3 * _BLOCK):
            close(number + 1)
    close(number + 1)
    return blocks


def _beginning(blocks: list[_Block], limit: int) -> list[int]:
    room = limit - _MARKER
    count = 0
    while count < len(blocks) and len(blocks[count].text) + 2 <= room:
        room -= len(blocks[count].text) + 2
        count += 1
    if count == len(blocks):
        return list(range(count))
    for end in range(count, 0, -1):
        if blocks[end].starts_section and sum(len(each.text) for each in blocks[:end]) * 2 >= limit:
            return list(range(end))
    return list(range(count))


def _best(blocks: list[_Block], limit: int, query: str) -> list[int]:
    wanted = _words(query)
    found = [_words(f"{each.heading} {each.text}") for each in blocks]
    # A word that stands everywhere tells nothing.
    weights = {word: math.log(1 + len(blocks) / (1 + sum(word in has for has in found))) for word in wanted}
    scores = [
        sum(weights[word] * (1 + (word in _words(block.heading))) for word in wanted & has)
        for block, has in zip(blocks, found, strict=True)
    ]
    room = limit - _MARKER
    chosen: set[int] = set()
    for index in _opening(blocks, round(limit * _OPENING_SHARE)):
        chosen.add(index)
        room -= len(blocks[index].text) + 2
    for index in sorted(range(len(blocks)), key=lambda each: (-scores[each], each)):
        cost = len(blocks[index].text) + 2 + _MARKER
        if index not in chosen and scores[index] and cost <= room:
            chosen.add(index)
            room -= cost
    if not any(scores):
        return _beginning(blocks, limit)
    for index in sorted({each + step for each in chosen for step in (1, -1)} - chosen):
        if 0 <= index < len(blocks) and len(blocks[index].text) + 2 <= room:
            chosen.add(index)  # what stands around often says what it is about
            room -= len(blocks[index].text) + 2
    return sorted(chosen)


def _opening(blocks: list[_Block], room: int) -> list[int]:
    return [0] if blocks and len(blocks[0].text) <= room else []


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _joined(blocks: list[_Block], chosen: list[int]) -> str:
    parts: list[str] = []
    done = 0
    for index in [*chosen, len(blocks)]:
        if left := blocks[done:index]:
            parts.append(_left_out(left))
        if index < len(blocks):
            parts.append(blocks[index].text)
        done = index + 1
    return "\n\n".join(parts)


def _left_out(blocks: list[_Block]) -> str:
    """`[lines 40-180 left out: Install; Usage]`: enough to know where to look."""
    headings = dict.fromkeys(each.heading for each in blocks if each.starts_section and each.heading)
    told = ""
    for number, heading in enumerate(headings):
        if len(told) + len(heading) > _MARKER - 50:
            told += f"; {len(headings) - number} more"
            break
        told += f"{'; ' if told else ': '}{heading}"
    return f"[lines {blocks[0].first}-{blocks[-1].last} left out{told}]"
