"""A row as one line of JSON, for readers of every kind."""

from __future__ import annotations

from typing import Any

import msgspec

_LINE_ENDS = {end.encode(): b"\\u%04x" % ord(end) for end in "\u0085\u2028\u2029"}


def row_line(row: Any) -> bytes:
    """`row` and a newline.

    Other line ends of Unicode are escaped: JSON allows them as they are, but readers that part a file with
    `str.splitlines`, as NeMo Automodel's chat dataset does, would break the row there.
    """
    line = msgspec.json.encode(row)
    for end, escape in _LINE_ENDS.items():
        if end in line:
            line = line.replace(end, escape)
    return line + b"\n"
