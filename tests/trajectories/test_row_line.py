"""A row is one line for every reader."""

from __future__ import annotations

import json

from trajectories.row_line import row_line


def test_no_reader_sees_a_line_end_inside_a_row() -> None:
    row = {
        "text": "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven\x1d\x1e\r\n",
        "inner": json.dumps("\u2028"),
    }
    line = row_line(row).decode()
    assert len(line.splitlines()) == 1
    assert json.loads(line) == row
