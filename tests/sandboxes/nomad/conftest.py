"""Sandboxes of a Nomad that is played on this machine; they need bubblewrap."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandboxes.pools.rig import bubblewrap_fails


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A cluster that is played takes its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def why_no_walls() -> str:
    return bubblewrap_fails()


@pytest.fixture(autouse=True)
def walls(why_no_walls: str) -> None:
    if why_no_walls:
        pytest.skip(why_no_walls)
