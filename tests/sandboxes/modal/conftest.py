from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandboxes.modal.fake_modal import FakeModal


@pytest.fixture
def modal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeModal]:
    """Modal, played on loopback; the environment leads the client there. No sandbox may be left."""
    pytest.importorskip("modal", reason="the package modal is not installed")
    from tests.sandboxes.modal.fake_modal import FakeModal
    from tests.sandboxes.modal.played_sandbox import cannot_play

    if why := cannot_play():
        pytest.skip(why)
    with FakeModal(tmp_path / "modal").serving() as fake:
        for name, value in fake.environ.items():
            monkeypatch.setenv(name, value)
        yield fake
        assert fake.living == [], "a sandbox was left"
