"""Distributions as data, and drawing from them."""

from __future__ import annotations

from collections import Counter

import pytest

from batches.distributions import (
    DistributionError,
    built_in_distributions,
    draw_toolsets,
    find_distribution,
    fixed_distribution,
)


def test_there_are_the_seventeen_known_ones_with_their_percentages() -> None:
    found = built_in_distributions()
    assert len(found) == 17
    assert found["development"].toolsets == {"terminal": 80, "file": 80, "moa": 60, "web": 30, "vision": 10}
    assert set(found["balanced"].toolsets.values()) == {50}
    assert all(0 < percent <= 100 for each in found.values() for percent in each.toolsets.values())


def test_each_of_them_can_be_drawn_from() -> None:
    for name, found in built_in_distributions().items():
        assert find_distribution(name, {}).toolsets == found.toolsets


def test_ones_own_come_before_those_of_the_same_name() -> None:
    assert find_distribution("default", {"default": {"todo": 30}}).toolsets == {"todo": 30.0}


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({"mine": {"filee": 50}}, "there is no toolset 'filee'; did you mean 'file'?"),
        ({"mine": {"file": 150}}, "file has 150 %; 0 to 100 it is"),
        ({"mine": {}}, "has no toolset above 0 %"),
        ({}, "there is no distribution 'mine'"),
    ],
)
def test_what_is_wrong_with_ones_own_is_said(own: dict[str, dict[str, float]], problem: str) -> None:
    with pytest.raises(DistributionError, match=problem.replace("?", r"\?")):
        find_distribution("mine", own)


def test_the_draw_depends_on_seed_index_and_name_alone() -> None:
    both = {"terminal": 50.0, "file": 50.0}
    turned = {"file": 50.0, "todo": 50.0, "terminal": 50.0}
    for index in range(50):
        drawn = draw_toolsets(both, 1, index)
        again = draw_toolsets(turned, 1, index)
        assert drawn == draw_toolsets(both, 1, index)
        if len(drawn) == 2:
            assert set(drawn) <= set(again)
    assert [draw_toolsets(both, 1, index) for index in range(50)] != [
        draw_toolsets(both, 2, index) for index in range(50)
    ]


def test_toolsets_are_drawn_as_often_as_they_should_be() -> None:
    counts = Counter(
        name for index in range(4000) for name in draw_toolsets({"a": 90.0, "b": 25.0}, 0, index)
    )
    assert counts["b"] / 4000 == pytest.approx(0.25, abs=0.03)
    assert counts["a"] / 4000 == pytest.approx(0.9 + 0.1 * 0.75, abs=0.03)  # a also stands in for none at all


def test_a_prompt_always_gets_the_likeliest_toolset_where_none_is_drawn() -> None:
    assert {tuple(draw_toolsets({"a": 1.0, "b": 2.0}, 0, index)) for index in range(20)} >= {("b",)}
    assert draw_toolsets(fixed_distribution(["x", "y"]).toolsets, 5, 3) == ["x", "y"]


def test_what_was_drawn_once_is_drawn_for_ever() -> None:
    """Else a run that was begun before an update would go on with other draws."""
    drawn = ["".join(draw_toolsets(dict.fromkeys("abc", 50.0), 42, index)) for index in range(8)]
    assert drawn == ["bc", "bc", "ab", "ac", "b", "bc", "ac", "abc"]
