"""Commands in containers of docker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sandboxes.conformance.place_of_engine import place_of_engine
from tests.sandboxes.conformance.places import Place
from tests.sandboxes.engine import docker_engine


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    with docker_engine() as engine, place_of_engine(engine, tmp) as place:
        yield place
