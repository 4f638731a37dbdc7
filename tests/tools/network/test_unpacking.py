"""What was packed comes out the same in whatever pieces it arrives, and never in large ones."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.network.failures import FetchError
from tools.network.unpacking import PIECE, Unpacker

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    " Deflate ": lambda data: zlib.compress(data, wbits=-15),
    "identity, gzip": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    "": bytes,
}


def unpacked(packing: str, pieces: list[bytes]) -> tuple[bytes, bool]:
    unpacker = Unpacker(packing)
    out = [piece for each in pieces for piece in unpacker.feed(each)]
    assert all(len(piece) <= PIECE or not packing for piece in out)
    return b"".join(out), unpacker.complete


def split(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@settings(deadline=None)
@given(st.sampled_from(list(PACKERS)), st.binary(max_size=300), st.lists(st.integers(0, 40), max_size=12))
def test_any_way_of_arriving_gives_the_same(packing: str, data: bytes, sizes: list[int]) -> None:
    packed = PACKERS[packing](data)
    assert unpacked(packing, split(packed, sizes)) == (data, True)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 3_000_000), st.integers(1, 100_000))
def test_much_from_little_comes_in_bounded_pieces(size: int, step: int) -> None:
    packed = gzip.compress(bytes(size), 1)
    pieces = [packed[at : at + step] for at in range(0, len(packed), step)]
    assert unpacked("gzip", pieces) == (bytes(size), True)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(1, 20))
def test_what_breaks_off_is_not_complete(data: bytes, missing: int) -> None:
    packed = gzip.compress(data)
    out, complete = unpacked("gzip", [packed[:-missing]])
    assert data.startswith(out)
    assert not complete


@settings(deadline=None)
@given(st.sampled_from(["gzip", "deflate"]), st.lists(st.binary(max_size=60), max_size=4))
def test_what_is_not_packed_is_an_error_or_nothing(packing: str, pieces: list[bytes]) -> None:
    try:
        unpacked(packing, pieces)
    except FetchError as error:
        assert error.kind == "protocol"


@pytest.mark.parametrize(
    "packing", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "x" * 1_000, "gzip;q=1"]
)
def test_other_packings_are_refused_by_name(packing: str) -> None:
    with pytest.raises(FetchError, match="which it was not asked to do"):
        Unpacker(packing)
