"""The lines of a compression's files beside OUT, and what two runs must have in common."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from conversation.message import Usage
from corpus.compress_row import CutFacts
from corpus.compress_summary import Summary

FailureKind = Literal["summary", "too_large", "unreadable"]


class Terms(Struct, frozen=True):
    """What a run must have in common with the one it goes on with. `files`: path and bytes of each input."""

    files: list[tuple[str, int]]
    budget: int
    tokenizer: str
    model: str
    summary_tokens: int
    keep_last: int
    turn_tokens: int


class Totals(Struct):
    """Tokens are of the rows in OUT. `usage` is what the model was paid for, also for rows that failed."""

    rows: int = 0
    untouched: int = 0
    compressed: int = 0
    too_large: int = 0
    failed: int = 0
    unreadable: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    turns_summarised: int = 0
    usage: Usage = Usage(cost=0.0)
    seconds: float = 0.0


NO_ROW = msgspec.Raw(b"null")


class FailedRow(Struct, frozen=True):
    """`place` counts the rows of all files from 0; `line` is that of `file`. `row` is as it was, null where
    the line could not be read."""

    place: int
    file: str
    line: int
    kind: FailureKind
    reason: str
    row: msgspec.Raw = NO_ROW


class CompressedRow(Struct, frozen=True):
    """What was done to a row; `place`, `file` and `line` as in FailedRow, `id` the row's own."""

    place: int
    file: str
    line: int
    id: str
    cuts: tuple[CutFacts, ...]


class Header(Struct, frozen=True, tag="header", tag_field="type"):
    terms: Terms
    schema: int = 1


class Progress(Struct, frozen=True, tag="progress", tag_field="type"):
    """`compressed` is how many bytes OUT.compressed.jsonl has."""

    totals: Totals
    compressed: int


class Remembered(Struct, frozen=True, tag="summary", tag_field="type"):
    key: str
    summary: Summary


Record = Header | Progress | Remembered
