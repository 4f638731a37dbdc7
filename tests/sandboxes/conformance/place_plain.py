"""The machinery of hosts, without any confinement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandboxes.hosted import HostedSandbox
from tests.sandboxes.conformance.places import Place, emptied
from tests.sandboxes.conformance.plain_host import PlainHost


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    folder = tmp / "my wörk"
    folder.mkdir()
    spill = str(tmp / "spill")
    yield Place(
        "plain",
        lambda limit: HostedSandbox("task", PlainHost(str(folder)), output_limit=limit, spill_dir=spill),
        str(folder),
        emptied(folder),
    )
