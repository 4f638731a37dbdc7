"""Where things are in a row, after some of its turns gave way to others: the fields that count turns.

`flags`, `answers` and `compactions` are described in docs/data-formats.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct


class Moved(Struct, frozen=True):
    """Items `start` to `end` (exclusive) of the list `key` gave way to those up to and including `note`.

    `gap`: the one before the note is an empty answer.
    """

    key: Literal["conversations", "messages"]
    start: int
    end: int
    note: int
    gap: bool

    @property
    def shift(self) -> int:
        return self.note + 1 - self.end

    def place(self, old: int) -> int | None:
        """Where the item at `old` is now, None if it is gone."""
        if self.start <= old < self.end:
            return None
        return old if old < self.start else old + self.shift


def moved_fields(row: Mapping[str, Any], moved: Moved) -> dict[str, Any]:
    """New values of the fields that change. What is not as hermes writes it is left as it is."""
    fields: dict[str, Any] = {}
    if moved.key == "conversations":
        flags = _flags(row.get("flags"), moved)
        if flags is not None:
            fields["flags"] = flags
    answers = _json_list(row.get("answers"))
    if answers is None:
        return fields
    now = [_moved_answer(each, moved) for each in answers]
    fields["answers"] = _json_text([each for each in now if each])
    compactions = _json_list(row.get("compactions"))
    if compactions is not None and all(isinstance(each.get("answer"), int) for each in compactions):
        fields["compactions"] = _json_text(
            [{**each, "answer": sum(map(bool, now[: each["answer"]]))} for each in compactions]
        )
    return fields


def _moved_answer(answer: dict[str, Any], moved: Moved) -> dict[str, Any]:
    """{} where the answer is in neither list of the row any more."""
    key = "turn" if moved.key == "conversations" else "message"
    old = answer.get(key)
    if not isinstance(old, int):
        return answer
    place = moved.place(old)
    if place is not None:
        return {**answer, key: place}
    rest = {name: value for name, value in answer.items() if name != key}
    return rest if {"turn", "message"} & set(rest) else {}


def _flags(flags: Any, moved: Moved) -> list[Any] | None:
    if not isinstance(flags, list) or not all(
        isinstance(flag, dict) and isinstance(flag.get("turn"), int) for flag in flags
    ):
        return None
    stay = [{**flag, "turn": now} for flag in flags if (now := moved.place(flag["turn"])) is not None]
    new = [{"turn": moved.note - 1, "flag": "inserted"}] if moved.gap else []
    new.append({"turn": moved.note, "flag": "summary"})
    before = [flag for flag in stay if flag["turn"] < moved.start]
    return [*before, *new, *stay[len(before) :]]


def _json_list(text: Any) -> list[dict[str, Any]] | None:
    try:
        value = msgspec.json.decode(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(each, dict) for each in value) else None


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
