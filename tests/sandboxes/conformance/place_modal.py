"""A sandbox at a Modal that is played on this machine; its client is the real one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from configuration.sandbox_settings import ModalSettings
from sandboxes.hosted import HostedSandbox
from sandboxes.modal.modal_host import make_modal_host
from sandboxes.sandbox import Sandbox
from settings import Settings, TerminalSettings
from tests.sandboxes.conformance.places import Place


@contextmanager
def open_place(tmp: Path) -> Iterator[Place]:
    pytest.importorskip("modal", reason="the package modal is not installed")
    from tests.sandboxes.modal.fake_modal import FakeModal
    from tests.sandboxes.modal.played_sandbox import cannot_play

    if why := cannot_play():
        pytest.skip(why)
    keys = tmp / "keys"
    keys.write_text("sk-canary-1234567890")
    keys.chmod(0o600)
    settings = Settings(
        terminal=TerminalSettings(backend="modal"), modal=ModalSettings(image="debian:12-slim")
    )
    with FakeModal(tmp / "modal").serving() as modal, pytest.MonkeyPatch.context() as patch:
        for name, value in modal.environ.items():
            patch.setenv(name, value)

        def make(limit: int) -> Sandbox:
            host = make_modal_host(settings, "task", os.environ)
            return HostedSandbox("task", host, output_limit=limit, spill_dir=str(tmp / "spill"))

        def kill(_: Sandbox) -> None:
            for each in modal.living:
                modal.vanish(each.id)

        yield Place("modal", make, "/root", kill=kill, keys=str(keys))
        assert modal.living == [], "a sandbox was left"
