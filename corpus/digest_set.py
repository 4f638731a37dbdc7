"""What was seen before, at 16 bytes a thing: digests in one table of memory instead of an object for each."""

from __future__ import annotations

from hashlib import blake2b

SIZE = 16
"""Bytes of a digest. Two different things share one with a chance below 1 in 10^18 among 10^10 of them."""

_EMPTY = bytes(SIZE)


def digest(data: bytes) -> bytes:
    """Never all zeros, which marks an empty place."""
    found = blake2b(data, digest_size=SIZE).digest()
    return found if found != _EMPTY else b"\1" * SIZE


class DigestSet:
    """A hash table with open addressing, between a third and two thirds full: some 32 bytes a digest."""

    def __init__(self) -> None:
        self._places = 1024
        self._table = bytearray(self._places * SIZE)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, found: bytes) -> bool:
        """Remembers a digest. Returns whether it is new."""
        place = self._place(found)
        if self._table[place : place + SIZE] == found:
            return False
        self._table[place : place + SIZE] = found
        self._count += 1
        if self._count * 3 > self._places * 2:
            self._grow()
        return True

    def _place(self, found: bytes) -> int:
        """Where it is, or the empty place where it belongs."""
        table = self._table
        slot = int.from_bytes(found[:8], "little") & (self._places - 1)
        while True:
            start = slot * SIZE
            there = table[start : start + SIZE]
            if there in (found, _EMPTY):
                return start
            slot = (slot + 1) & (self._places - 1)

    def _grow(self) -> None:
        old = self._table
        self._places *= 2
        self._table = bytearray(self._places * SIZE)
        for start in range(0, len(old), SIZE):
            found = bytes(old[start : start + SIZE])
            if found != _EMPTY:
                place = self._place(found)
                self._table[place : place + SIZE] = found
