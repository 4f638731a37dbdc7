"""Sandboxes of a Nomad that is played on this machine; they need bubblewrap."""

from __future__ import annotations

import pytest

from tests.sandboxes.pools.rig import bubblewrap_fails


@pytest.fixture(scope="session")
def why_no_walls() -> str:
    return bubblewrap_fails()


@pytest.fixture(autouse=True)
def walls(why_no_walls: str) -> None:
    if why_no_walls:
        pytest.skip(why_no_walls)
