"""Commands as the person's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandboxes.local import LocalSandbox
from tests.sandboxes.conformance.places import Place, emptied


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    folder = tmp / "my wörk"
    folder.mkdir()
    yield Place(
        "local",
        lambda limit: LocalSandbox("task", str(folder), output_limit=limit, spill_dir=str(tmp / "spill")),
        str(folder),
        emptied(folder),
    )
