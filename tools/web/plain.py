"""Text of a page, made plain: nothing in it is unseen, and no line is too long to be read in parts."""

from __future__ import annotations

import re
import textwrap

from safety.terminal_text import without_hostile

LONGEST_LINE = 1_000
_BLANKS = re.compile(r"[ \t]+$", re.MULTILINE)
_GAP = re.compile(r"\n{3,}")


def plain(text: str) -> str:
    """Without control characters, characters that are not seen or turn the direction, and needless blanks."""
    text = re.sub("\r\n?|[\u2028\u2029\x85]", "\n", text)
    text = without_hostile(text).replace("\xa0", " ")
    return _GAP.sub("\n\n", _BLANKS.sub("", text)).strip("\n")


def one_line(text: str, most: int = 300) -> str:
    """`plain` on one line, cut at `most` characters."""
    text = " ".join(plain(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def wrapped(text: str) -> str:
    """With lines of more than LONGEST_LINE characters broken, at a blank where there is one."""
    if len(text) <= LONGEST_LINE:
        return text
    return "\n".join(
        line if len(line) <= LONGEST_LINE else "\n".join(_broken(line)) for line in text.split("\n")
    )


def _broken(line: str) -> list[str]:
    # Addresses stay whole: a broken one leads nowhere.
    return textwrap.wrap(
        line, LONGEST_LINE, break_long_words=" " not in line, break_on_hyphens=False,
        expand_tabs=False, replace_whitespace=False,
    ) or [""]  # fmt: skip
