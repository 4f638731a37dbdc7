"""A temporary folder of their own for pools, which has to be empty of them in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandboxes.pools.rig import Executor, bubblewrap_fails, executor


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Executors and what runs in them take their time; the pool itself is for every run."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name not in (
            "test_slot_pool.py",
            "test_load.py",
        ):
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def why_no_walls() -> str:
    return bubblewrap_fails()


@pytest.fixture(autouse=True)
def walls(why_no_walls: str) -> None:
    if why_no_walls:
        pytest.skip(why_no_walls)


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield path
    left = [str(each) for each in path.glob("hermes-*/*") if "pool-" in each.name]
    assert left == [], "files of pools are left"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Executor]:
    """An executor with two slots."""
    with executor(tmp_path) as started:
        yield started
