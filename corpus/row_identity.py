"""When two rows count as the same: by what was said, by the prompt, or by any fact or field."""

from __future__ import annotations

import msgspec

from corpus.digest_set import digest
from corpus.row_facts import RowFacts
from corpus.row_filter import key_values

CONVERSATION = "conversation"


def row_digest(facts: RowFacts, by: str) -> bytes | None:
    """16 bytes, the same for rows that are the same by `by`; None where a row lacks that field.

    `conversation` is all that was said, thought, called and returned, without ids and times. `prompt` is the
    person's first words. Any other `by` is a key as in an expression.
    """
    if by == CONVERSATION:
        said = [
            (
                turn.role,
                turn.text,
                turn.reasoning,
                [(call.name, call.arguments) for call in turn.calls],
                [(result.name, result.content) for result in turn.results],
            )
            for turn in facts.content
        ]
        return digest(msgspec.json.encode(said)) if said else None
    values = key_values(facts, by)
    if values is None or (by == "prompt" and not facts.content):
        return None
    if len(values) > 1:
        values = sorted(values, key=str)
    return digest(msgspec.json.encode([by, values]))
