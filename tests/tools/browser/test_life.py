"""A browser from its start to its end, whatever ends it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from configuration.tool_settings import BrowserSettings
from sandboxes.process_tree import find_tree
from tests.tools.browser.driven import Driven, environ, needs_browser
from tests.tools.browser.ending import gone, hermes_that_ends, kill_chromium, opened
from tests.tools.browser.site import Site
from tools.browser.private_folder import make_folder, remove_leftovers
from tools.browser.programs import find_chromium
from tools.browser_tool import cleanup_browser

pytestmark = [pytest.mark.long, needs_browser]


def test_nothing_is_left_when_the_task_ends(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])
    folder, marker = opened(driven, f"{site.url}/form")
    driven.close()
    assert not find_tree(marker)
    assert not folder.exists()


def test_two_tasks_at_once_share_nothing_and_one_is_ended_by_its_id(site: Site, tmp_path: Path) -> None:
    one, other = (Driven(tmp_path, [site.host], task=f"pair-{each}") for each in range(2))

    async def both() -> None:
        pages = await asyncio.gather(
            *(each.acall("navigate", url=f"{site.url}/login") for each in (one, other))
        )
        assert [each.status for each in pages] == ["ok", "ok"]
        await one.acall("type", ref=one.ref("textbox", "User"), text="ada")
        await one.acall("type", ref=one.ref("textbox", "Password"), text="open sesame", submit=True)

    try:
        asyncio.run(both())
        assert "Welcome, ada" in one.call("snapshot").data["snapshot"]
        assert "Please log in" in other.call("navigate", url=f"{site.url}/account").data["snapshot"]
        assert not one.processes() & other.processes()
        folder, marker = one.session.folder, one.session.marker
        cleanup_browser("pair-0")
        assert not find_tree(marker)
        assert folder is not None
        assert not folder.exists()
        assert other.call("snapshot").status == "ok"
        assert "browser_navigate" in one.call("snapshot").error
    finally:
        one.close()
        other.close()


def test_a_browser_nobody_uses_is_closed_and_the_model_is_told(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host], settings=BrowserSettings(idle=1.0))
    try:
        folder, marker = opened(driven, f"{site.url}/form")
        assert gone(folder, marker)
        assert "closed after 1 s without a step" in driven.call("snapshot").error
    finally:
        driven.close()


def test_a_chromium_that_dies_is_noticed_and_another_started(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])
    try:
        folder, marker = opened(driven, f"{site.url}/form")
        ref = driven.ref("button", "Send order")
        kill_chromium(driven, signal.SIGKILL)
        assert "browser_navigate" in driven.call("click", ref=ref).error
        assert gone(folder, marker)
        again = driven.call("navigate", url=f"{site.url}/form")
        assert again.status == "ok"
        assert "has ended (killed by signal 9); a new one was started" in again.note
    finally:
        driven.close()


def test_nothing_is_left_when_hermes_is_killed(site: Site, tmp_path: Path) -> None:
    assert gone(*hermes_that_ends(site, tmp_path, "SIGKILL"))


def test_a_driver_that_is_killed_comes_back_to_the_same_page(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])
    try:
        opened(driven, f"{site.url}/form")
        for each in map(psutil.Process, driven.processes()):
            if "agent-browser" in each.cmdline()[0]:
                each.kill()
                each.wait(10)
        assert "Order a cake" in driven.call("snapshot").data["snapshot"]
        sent = driven.call("click", ref=driven.ref("button", "Send order"))
        assert "Thank you" in sent.data["snapshot"]
    finally:
        driven.close()


def test_a_page_that_hangs_is_given_up_after_the_limit(site: Site, tmp_path: Path) -> None:
    site.texts["/hang"] = "<title>Hang</title><button onclick='while (true) {}'>Think</button>"
    driven = Driven(tmp_path, [site.host], settings=BrowserSettings(timeout=4))
    try:
        folder, marker = opened(driven, f"{site.url}/hang")
        started = time.monotonic()
        hung = driven.call("click", ref=driven.ref("button", "Think"))
        assert "did not answer within 4 s" in hung.error
        assert "browser_navigate" in hung.error
        assert time.monotonic() - started < 12
        assert gone(folder, marker)
    finally:
        driven.close()


def test_a_start_that_is_cancelled_leaves_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as own:  # other tests have browsers too
        monkeypatch.setattr(tempfile, "tempdir", own)
        driven = Driven(tmp_path, [site.host])

        async def cancel() -> None:
            step = asyncio.create_task(driven.acall("navigate", url=f"{site.url}/form"))
            await asyncio.sleep(0.5)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step

        asyncio.run(cancel())
        driven.close()
        assert not [*Path(own).glob("*/browser-*")]


def test_folders_of_a_dead_hermes_are_removed_and_no_others() -> None:
    mine, dead = make_folder(), make_folder()
    fields = (dead / "owner").read_text().split(".")
    fields[5] = "1"  # its process began at another time: the number went to somebody else since
    (dead / "owner").write_text(".".join(fields))
    remove_leftovers()
    assert mine.exists()
    assert not dead.exists()
    shutil.rmtree(mine)


def test_a_chromium_that_cannot_start_is_told_with_its_words(site: Site, tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho 'cannot open shared object file' >&2\nexit 127\n")
    broken.chmod(0o755)
    driven = Driven(tmp_path, [site.host], settings=BrowserSettings(executable=str(broken)))
    try:
        called = driven.call("navigate", url=f"{site.url}/form")
        assert "cannot open shared object file" in called.error
    finally:
        driven.close()


def test_the_browser_looked_for_is_the_one_on_the_path() -> None:
    assert find_chromium("", environ()) == find_chromium("", os.environ)
