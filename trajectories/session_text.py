"""What of a session can be searched, piece by piece, and how text and questions are made alike.

The index splits text into words where no letter or digit stands. In scripts written without spaces a
sentence would be one word, so their characters are set apart by a mark that no reader sees; so are those of
a question, which then are words in a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from trajectories.session_list import first_words
from trajectories.session_load import read_line
from trajectories.session_record import (
    AssistantRecord,
    Header,
    Record,
    RollbackRecord,
    TitleRecord,
    ToolRecord,
    TurnRecord,
    UserRecord,
)

Speaker: TypeAlias = Literal["title", "person", "model", "tool"]

MARK = "\u200b"
"""Stands between characters of scripts without spaces; no letter, so a word ends there."""
HIT, HIT_END = "\x02", "\x03"
"""Stand around what was found in a passage."""
_MOST_SAID = 20_000
_MOST_OF_CALL = 1_000
_HEAD_OF_RESULT, _TAIL_OF_RESULT = 600, 200
"""Characters of one text, of a call's arguments, and of a result, that can be found."""
_MOST_WORDS = 12
_MOST_OF_QUESTION = 400
_WITHOUT_SPACES = re.compile(
    "(["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese syllables
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7a3"  # Korean, whose words take endings
    "])"
)
_PARTS = re.compile(r'"([^"]+)"|(\S+)')
_RETELLING = frozenset({"session_search", "memory"})
"""Tools whose results are not said anew: they would be found instead of what they repeat."""
_OPERATORS = frozenset({"AND", "OR", "NOT", "NEAR"})


class Piece(NamedTuple):
    """What one speaker said. `entry` is the number of the history entry it belongs to."""

    entry: int
    speaker: Speaker
    text: str


class Reading:
    """Takes in lines of one session in order, from the first, or from where an earlier reading stopped.

    `last` is the number of the last entry, -1 before the first. `pieces` are those that count of what was
    taken in. `cut`: something was rolled back, so pieces of an earlier reading may not count any longer.
    """

    def __init__(self, last: int = -1, title: str = "") -> None:
        self.last = last
        self.title = title
        self.header = Header(id="")
        self.cut = False
        self.pieces: list[Piece] = []
        self._named = bool(title)
        self._seen: set[int] = set()

    def take_line(self, line: bytes) -> None:
        """Lines that hold no record, and a record that came before, count for nothing."""
        digest = hash(line.strip())
        record, _ = read_line(line)
        if record is None or digest in self._seen:
            return
        self._seen.add(digest)
        self._take(record)

    def _take(self, record: Header | Record) -> None:
        match record:
            case Header():
                self.header = record
            case UserRecord():
                self._begin(record.entry)
                if record.origin == "person":
                    self._add("person", record.text)
                    self.title = self.title or first_words(record.text)
            case AssistantRecord():
                self._begin(record.entry)
                calls = (f"{each.name} {plain(each.arguments)[:_MOST_OF_CALL]}" for each in record.tool_calls)
                self._add("model", "\n".join([record.content, *calls]))
            case ToolRecord() if record.name not in _RETELLING:
                self._add("tool", _shortened(plain(record.content)))
            case RollbackRecord(keep=keep):
                self._roll_back(keep)
            case TitleRecord() | TurnRecord():
                if record.title:
                    self.title, self._named = record.title, True

    def _begin(self, entry: int) -> None:
        if 0 <= entry <= self.last:
            self._roll_back(entry)  # its own record was lost
        self.last = entry if entry >= 0 else self.last + 1

    def _roll_back(self, keep: int) -> None:
        self.cut = True
        self.pieces = [piece for piece in self.pieces if piece.entry < keep]
        self.last = min(self.last, max(keep, 0) - 1)
        if self.last < 0 and not self._named:
            self.title = ""

    def _add(self, speaker: Speaker, text: str) -> None:
        if text.strip():
            self.pieces.append(Piece(self.last, speaker, text[:_MOST_SAID]))


def plain(text: str) -> str:
    """The texts in JSON, without what quotes them and without names; other text as it is."""
    if text[:1] not in ("{", "["):
        return text
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    return "\n".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            waiting += reversed(each)
        elif isinstance(each, dict):
            waiting += reversed(each.values())


def _shortened(result: str) -> str:
    if len(result) <= _HEAD_OF_RESULT + _TAIL_OF_RESULT:
        return result
    return f"{result[:_HEAD_OF_RESULT]} … {result[-_TAIL_OF_RESULT:]}"


def indexed(text: str) -> str:
    """`text` as it is put into the index."""
    for never in ("\0", HIT, HIT_END):
        text = text.replace(never, " ")
    if text.isascii():
        return text
    known = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode())
    return _WITHOUT_SPACES.sub(rf"\1{MARK}", known)


def readable(text: str) -> str:
    """Text from the index as people read it, on one line."""
    return " ".join(text.replace(MARK, "").split())


def words_of(question: str) -> list[str]:
    """The words, or "phrases in quotes", that are looked for: FTS5 strings, with nothing in them that it
    would obey."""
    found: dict[str, None] = {}
    for phrase, word in _parts(question):
        text = indexed(phrase or word)
        if word not in _OPERATORS and any(each.isalnum() for each in text):
            found['"' + text.replace('"', '""') + '"'] = None
    return list(found)[:_MOST_WORDS]


def _parts(question: str) -> list[tuple[str, str]]:
    return _PARTS.findall(question[:_MOST_OF_QUESTION].replace("\0", " "))
