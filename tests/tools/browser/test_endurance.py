"""More ways to end, and pages that take long to be given up."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import psutil
import pytest

from configuration.tool_settings import BrowserSettings
from tests.tools.browser.driven import Driven, needs_browser
from tests.tools.browser.ending import gone, hermes_that_ends, kill_chromium, opened
from tests.tools.browser.site import Site
from tools.browser_tool import cleanup_browser

pytestmark = [pytest.mark.thorough, needs_browser]


def test_a_page_that_never_stops_loading_can_be_read_all_the_same(driven: Driven, site: Site) -> None:
    opened = driven.call("navigate", url=f"{site.url}/endless")
    assert "It never ends" in opened.data["snapshot"]
    assert "still loading" in opened.note
    assert len(opened.data["snapshot"]) <= driven.runtime.settings.browser.snapshot_limit


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "exit"])
def test_nothing_is_left_when_hermes_goes_without_a_word(site: Site, tmp_path: Path, how: str) -> None:
    assert gone(*hermes_that_ends(site, tmp_path, how))


def test_cleanup_browser_works_from_inside_an_event_loop(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host], task="cleanup-inside")

    async def use() -> tuple[Path, str]:
        await driven.acall("navigate", url=f"{site.url}/form")
        assert driven.session.folder is not None
        found = driven.session.folder, driven.session.marker
        cleanup_browser("cleanup-inside")
        return found

    assert gone(*asyncio.run(use()), seconds=0.5)


def test_a_chromium_that_crashes_is_replaced(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])
    try:
        opened(driven, f"{site.url}/form")
        kill_chromium(driven, signal.SIGSEGV)
        again = driven.call("navigate", url=f"{site.url}/form")
        assert again.status == "ok"
        assert "a new one was started" in again.note
    finally:
        driven.close()


def test_a_page_that_crashes_is_told_and_another_opened(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host], settings=BrowserSettings(timeout=6))
    try:
        opened(driven, f"{site.url}/form")
        for each in map(psutil.Process, driven.processes()):
            if "--type=renderer" in " ".join(each.cmdline()):
                each.kill()
        first = driven.call("snapshot")
        again = driven.call("navigate", url=f"{site.url}/form")
        assert first.status == "error"
        assert again.status == "ok", again.data
    finally:
        driven.close()


def test_a_step_that_is_cancelled_leaves_a_browser_that_works(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])

    async def cancel() -> None:
        step = asyncio.create_task(driven.acall("navigate", url=f"{site.url}/slow"))
        await asyncio.sleep(0.3)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step

    try:
        folder, marker = opened(driven, f"{site.url}/form")
        asyncio.run(cancel())
        assert driven.call("navigate", url=f"{site.url}/login").data["title"] == "Login"
    finally:
        driven.close()
    assert gone(folder, marker)
