"""Text that came from programs or models, made safe to read (for a model) and to show (on a terminal).

Sequences follow ECMA-48: CSI, the string sequences OSC, DCS, SOS, PM and APC, other escapes, and C1.
"""

from __future__ import annotations

import re

_SUSPECT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]|\x1b[0-~]"
    r"|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
"""A string sequence counts only with its terminator: an open one must not swallow what follows."""

_OPEN_SEQUENCE = re.compile(
    r"(?:\x1b|(?:\x1b\[|\x9b)[0-?]*[ -/]*|\x1b[ -/]+"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]*\x1b?)\Z"
)
LONGEST = 4096
"""Characters of an escape sequence that are waited for; a longer one is taken for text."""

_HOSTILE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi, unseen
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # fillers that are blank
    "\ud800-\udfff\ufe00-\ufe0d\U000e0000-\U000e0fff]"  # lone surrogates, variants, tags
    # What chooses between two pictures of one character: once behind it, and not as a text of its own.
    "|(?<![!-\u2fff\u3030-\u303d\u3297\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]|(?<=[\ufe0e\ufe0f])[\ufe0e\ufe0f]"
    "|(?<![\u1820-\u18aa])[\u180b-\u180d\u180f]"
    # Joiners, but not where emoji and the scripts of Asia need them.
    "|(?<![\u0620-\u0dff\u2190-\u27bf\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
)


def strip_controls(text: str) -> str:
    """`text` as a model should read it: no escape sequences, no control characters but tab and newline.

    Of a line drawn over itself with carriage returns (a progress bar) the last version stays;
    backspaces take back what stood before them.
    """
    if not _SUSPECT.search(text):
        return text
    text = _SEQUENCE.sub("", text)
    if "\r" in text:
        text = "\n".join(_last_version(line) if "\r" in line else line for line in text.split("\n"))
    if "\b" in text:
        text = "\n".join(_apply_backspaces(line) if "\b" in line else line for line in text.split("\n"))
    return text


def strip_stream(text: str) -> str:
    """Like `strip_controls` for a piece of a stream: a carriage return begins a new line."""
    if not _SUSPECT.search(text):
        return text
    text = re.sub(r"(?<!\r)\r+\n|\r", "\n", _SEQUENCE.sub("", text))
    return text.replace("\b", "")


class StreamCleaner:
    """A stream for a person's eyes, piece by piece: the same text comes out wherever it was cut.

    What may be the beginning of an escape sequence, or of a line's end, waits for the next piece.
    """

    def __init__(self) -> None:
        self._open = self._returns = self._before = ""

    def feed(self, text: str) -> str:
        """What can be shown now, harmless to a terminal."""
        text = self._open + text
        begun = _OPEN_SEQUENCE.search(text, max(0, len(text) - LONGEST)) if _SUSPECT.search(text) else None
        cut = begun.start() if begun else len(text)
        self._open = text[cut:]
        plain = self._returns + _SEQUENCE.sub("", text[:cut])
        self._returns = plain[len(plain.rstrip("\r")) :]
        return self._shown(plain[: len(plain) - len(self._returns)])

    def close(self) -> str:
        """What was still held back when the stream ended."""
        held, self._open, self._returns = self._returns + self._open, "", ""
        return self._shown(held)

    def _shown(self, plain: str) -> str:
        """What some characters are depends on the one before, which may have come in another piece."""
        text = strip_stream(plain)
        if not text:
            return ""
        before, self._before = self._before, text[-1]
        return neutralize(before + text)[len(neutralize(before)) :]


def neutralize(text: str) -> str:
    """`text` as a person may safely see it: whatever could move, hide or reorder text is spelled out.

    Controls become their pictures (ESC is `␛`), the rest `<U+202E>`. Tab and newline stay. Doing it twice
    changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HOSTILE.sub(_spell, text)


def without_hostile(text: str) -> str:
    """`text` without whatever could move, hide or reorder text: what a model may read of a stranger."""
    return text if text.isascii() and text.isprintable() else _HOSTILE.sub("", _SEQUENCE.sub("", text))


def stand_in(text: str) -> str:
    """`text` of the same length, with a visible mark for each character that could move, hide or reorder."""
    return text if text.isascii() and text.isprintable() else _HOSTILE.sub(_mark, text)


def escape_json(text: str) -> str:
    """JSON text in which what `neutralize` would spell out is escaped: the same values, harmless to show."""
    return text if text.isascii() and text.isprintable() else _HOSTILE.sub(_escape, text)


def _mark(match: re.Match[str]) -> str:
    return chr(0x2400 + ord(match[0])) if match[0] < " " else "\ufffd"


def _escape(match: re.Match[str]) -> str:
    pairs = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pairs[at : at + 2].hex()}" for at in range(0, len(pairs), 2))


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"


def _last_version(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")


def _apply_backspaces(line: str) -> str:
    kept: list[str] = []
    for character in line:
        if character != "\b":
            kept.append(character)
        elif kept:
            kept.pop()
    return "".join(kept)
