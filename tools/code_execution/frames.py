"""The calls of a script, found in what it writes.

A frame is `\\x1e TOKEN NUMBER +|. PAYLOAD \\x1e`, blanks before NUMBER and before the sign alone, no longer
than a pipe takes whole; `+` says that more of the same call follows. The payload is JSON in ASCII, in which
`\\x1e` cannot stand. TOKEN is made anew for each run and known to the script alone: nothing that it prints of
somebody else's text is taken for a call.
"""

from __future__ import annotations

from collections.abc import Callable

MARK = b"\x1e"
LONGEST = 1 << 16
"""Bytes of a frame; what is longer is output."""
TOO_LARGE = b""
"""What is delivered in place of a call that is too large."""


_AT_ONCE = 4
"""Payloads of full size that may be on their way at the same time."""
_MOST_OPEN = 1_000


class Frames:
    """Takes the calls out of what a script writes.

    Args:
        deliver: gets the number of a call and its payload, in the thread that sifts.
        most: bytes of a payload.

    Attributes:
        waiting: bytes of calls whose end has not come yet.
    """

    def __init__(self, token: str, deliver: Callable[[int, bytes], None], most: int) -> None:
        self._begin = MARK + token.encode() + b" "
        self._deliver = deliver
        self._most = most
        self._held = b""
        self._parts: dict[int, bytearray | None] = {}
        self.waiting = 0

    def sift(self, piece: bytes) -> bytes:
        """What of `piece`, and of what was held back before it, is output."""
        data, self._held = self._held + piece, b""
        kept = []
        while (start := data.find(self._begin)) >= 0:
            end = data.find(MARK, start + 1)
            kept.append(data[:start])
            if end < 0 and len(data) - start <= LONGEST:
                self._held = data[start:]
                return b"".join(kept)
            if end < 0 or end - start > LONGEST or not self._take(data[start + len(self._begin) : end]):
                kept.append(data[start : start + 1])
                data = data[start + 1 :]
                continue
            data = data[end + 1 :]
        last = data.rfind(MARK, max(0, len(data) - len(self._begin)))
        if last >= 0 and self._begin.startswith(data[last:]):
            data, self._held = data[:last], data[last:]
        return b"".join([*kept, data])

    def _take(self, frame: bytes) -> bool:
        """False if it is no frame after all."""
        word, _, rest = frame.partition(b" ")
        if not word.isdigit() or len(word) > 9 or rest[:1] not in (b"+", b"."):
            return False
        number, more = int(word), rest[1:]
        part = self._parts.pop(number, bytearray())
        if part is not None:
            self.waiting -= len(part)
            fits = len(part) + len(more) <= self._most
            if fits and self.waiting + len(part) + len(more) <= _AT_ONCE * self._most:
                part += more
            else:
                part = None
        if rest[:1] == b".":
            self._deliver(number, TOO_LARGE if part is None else bytes(part))
        elif len(self._parts) < _MOST_OPEN:
            self._parts[number] = part
            self.waiting += len(part or b"")
        return True
