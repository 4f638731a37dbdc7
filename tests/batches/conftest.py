"""A machine on which `hermes batch` is run as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.batches.batch_process import Batch
from tests.faults.hermes_process import Hermes


@pytest.fixture
def batch(home: Path, tmp_path: Path) -> Batch:
    folder = tmp_path / "work"
    folder.mkdir()
    return Batch(Hermes(home, folder))
