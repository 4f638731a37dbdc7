"""Commands in containers of podman."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sandboxes.conformance.place_of_engine import place_of_engine
from tests.sandboxes.conformance.places import Place
from tests.sandboxes.engine import podman_engine


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    with podman_engine() as engine, place_of_engine(engine, tmp) as place:
        yield place
