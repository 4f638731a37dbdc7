"""Drawing, parting and remembering rows: exact, repeatable, and in little memory."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from corpus.digest_set import SIZE, DigestSet, digest
from corpus.selection import Quotas, part_of, shares_of, stratified


def test_every_part_gets_its_number_exactly() -> None:
    source = random.Random(1)
    for _ in range(200):
        numbers = [source.randrange(20) for _ in range(source.randrange(1, 6))]
        quotas = Quotas(numbers, random.Random(3))
        dealt = Counter(quotas.deal() for _ in range(sum(numbers)))
        assert [dealt[part] for part in range(len(numbers))] == numbers


def test_every_row_is_as_likely_as_any_other() -> None:
    hits: Counter[int] = Counter()
    for seed in range(4000):
        quotas = Quotas([2, 8], random.Random(seed))
        hits.update(row for row in range(10) if quotas.deal() == 0)
    assert all(abs(hits[row] - 800) < 130 for row in range(10)), hits


def test_more_rows_than_were_counted_are_dealt_all_the_same() -> None:
    quotas = Quotas([1, 1], random.Random(0))
    assert sorted(quotas.deal() for _ in range(2)) == [0, 1]
    assert quotas.deal() == 1


@pytest.mark.parametrize("shares", [[0.9, 0.1], [8, 1, 1], [1, 1, 1], [0.001, 0.999], [5]])
def test_shares_are_whole_and_add_up(shares: list[float]) -> None:
    for total in range(60):
        parts = shares_of(total, shares)
        assert sum(parts) == total
        assert all(
            abs(part - total * share / sum(shares)) < 1 for part, share in zip(parts, shares, strict=True)
        )


def test_a_stratified_draw_has_one_of_each_and_the_rest_in_proportion() -> None:
    sizes = {"a": 90, "b": 9, "c": 1}
    assert stratified(10, sizes) == {"a": 8, "b": 1, "c": 1}
    assert stratified(2, sizes) == {"a": 1, "b": 1, "c": 0}
    assert stratified(1000, sizes) == sizes
    assert stratified(3, sizes) == {"a": 1, "b": 1, "c": 1}
    for wanted in range(101):
        drawn = stratified(wanted, sizes)
        assert sum(drawn.values()) == wanted
        assert all(drawn[group] <= sizes[group] for group in sizes)
    assert stratified(5, {}) == {}


def test_a_stratified_draw_of_many_groups_has_one_of_each() -> None:
    sizes = {"large": 5000, "other": 4000, **{str(n): 1 for n in range(300)}}
    drawn = stratified(400, sizes)
    assert min(drawn.values()) == 1
    assert sum(drawn.values()) == 400
    assert abs(drawn["large"] - drawn["other"]) <= 1


def test_a_key_always_goes_to_the_same_part_and_shares_are_about_right() -> None:
    keys = [digest(str(n).encode()) for n in range(10_000)]
    parts = Counter(part_of(key, [0.9, 0.1], 7) for key in keys)
    assert abs(parts[1] - 1000) < 150
    assert all(part_of(key, [0.9, 0.1], 7) == part_of(key, [9, 1], 7) for key in keys[:100])
    assert any(part_of(key, [0.9, 0.1], 8) != part_of(key, [0.9, 0.1], 7) for key in keys[:100])


def test_a_digest_set_knows_what_was_added_as_a_set_does() -> None:
    source = random.Random(2)
    known, reference = DigestSet(), set()
    for _ in range(20_000):
        each = digest(source.randrange(9000).to_bytes(4, "big"))
        assert known.add(each) is (each not in reference)
        reference.add(each)
    assert len(known) == len(reference)


def test_a_digest_set_takes_few_bytes_a_digest() -> None:
    known = DigestSet()
    for n in range(50_000):
        known.add(digest(n.to_bytes(4, "big")))
    assert len(known) == 50_000
    assert len(known._table) <= 3.1 * SIZE * len(known)
