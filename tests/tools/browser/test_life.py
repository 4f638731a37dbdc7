"""A browser from its start to its end, whatever ends it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from configuration.tool_settings import BrowserSettings
from sandboxes.process_tree import find_tree
from tests.tools.browser.driven import Driven, environ, needs_browser
from tests.tools.browser.site import Site
from tools.browser.private_folder import make_folder, remove_leftovers
from tools.browser.programs import find_chromium
from tools.browser_tool import cleanup_browser

pytestmark = [pytest.mark.long, needs_browser]
ROOT = Path(__file__).parents[3]


def gone(folder: Path, marker: str, seconds: float = 15) -> bool:
    """Whether nothing is left of a browser, now or within `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := find_tree(marker)) or folder.exists():
        if time.monotonic() > deadline:
            raise AssertionError(f"left: {left}, {folder if folder.exists() else 'no folder'}")
        time.sleep(0.05)
    return True


def opened(driven: Driven, url: str) -> tuple[Path, str]:
    assert driven.call("navigate", url=url).status == "ok"
    assert driven.session.folder is not None
    assert driven.session.folder.stat().st_mode & 0o777 == 0o700
    assert len(driven.processes()) >= 3
    return driven.session.folder, driven.session.marker


def test_nothing_is_left_when_the_task_ends(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])
    folder, marker = opened(driven, f"{site.url}/form")
    driven.close()
    assert not find_tree(marker)
    assert not folder.exists()


def test_cleanup_browser_ends_the_browser_of_a_task_by_its_id(site: Site, tmp_path: Path) -> None:
    one, other = (Driven(tmp_path, [site.host], task=f"cleanup-{each}") for each in range(2))
    try:
        folder, marker = opened(one, f"{site.url}/form")
        opened(other, f"{site.url}/form")
        cleanup_browser("cleanup-0")
        assert not find_tree(marker)
        assert not folder.exists()
        assert other.call("snapshot").status == "ok"
        cleanup_browser("cleanup-0")
        assert "browser_navigate" in one.call("snapshot").error
    finally:
        one.close()
        other.close()


def test_cleanup_browser_works_from_inside_an_event_loop(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host], task="cleanup-inside")

    async def use() -> tuple[Path, str]:
        await driven.acall("navigate", url=f"{site.url}/form")
        assert driven.session.folder is not None
        found = driven.session.folder, driven.session.marker
        cleanup_browser("cleanup-inside")
        return found

    assert gone(*asyncio.run(use()), seconds=0.5)


def test_two_tasks_at_once_share_nothing(site: Site, tmp_path: Path) -> None:
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
        assert one.session.folder != other.session.folder
        assert not one.processes() & other.processes()
    finally:
        one.close()
        other.close()


def test_a_browser_nobody_uses_is_closed_and_the_model_is_told(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host], settings=BrowserSettings(idle=1.0))
    try:
        folder, marker = opened(driven, f"{site.url}/form")
        assert gone(folder, marker)
        assert "closed after 1 s without a step" in driven.call("snapshot").error
        again = driven.call("navigate", url=f"{site.url}/form")
        assert "a new one was started" in again.note
    finally:
        driven.close()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV"])
def test_a_chromium_that_dies_is_noticed_and_another_started(site: Site, tmp_path: Path, name: str) -> None:
    driven = Driven(tmp_path, [site.host])
    try:
        folder, marker = opened(driven, f"{site.url}/form")
        ref = driven.ref("button", "Send order")
        chromium = next(
            each for each in map(psutil.Process, driven.processes())
            if "--remote-debugging-port=0" in each.cmdline() and "--type=" not in " ".join(each.cmdline())
        )  # fmt: skip
        os.kill(chromium.pid, signal.Signals[name])
        psutil.wait_procs([chromium], 10)
        assert "browser_navigate" in driven.call("click", ref=ref).error
        assert gone(folder, marker)
        again = driven.call("navigate", url=f"{site.url}/form")
        assert again.status == "ok"
        assert "has ended" in again.note or "a new one" in again.note
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


def test_a_driver_that_is_killed_comes_back_to_the_same_page(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])
    try:
        opened(driven, f"{site.url}/form")
        for each in map(psutil.Process, driven.processes()):
            if "agent-browser" in each.cmdline()[0]:
                each.kill()
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


def test_a_start_that_is_cancelled_leaves_nothing(site: Site, tmp_path: Path) -> None:
    driven = Driven(tmp_path, [site.host])
    before = set(Path(make_and_remove().parent).glob("browser-*"))

    async def cancel() -> None:
        step = asyncio.create_task(driven.acall("navigate", url=f"{site.url}/form"))
        await asyncio.sleep(0.5)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step

    asyncio.run(cancel())
    driven.close()
    assert set(Path(make_and_remove().parent).glob("browser-*")) <= before


def make_and_remove() -> Path:
    folder = make_folder()
    shutil.rmtree(folder)
    return folder


HOST = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.tools.browser.driven import Driven
driven = Driven(Path(sys.argv[2]), [sys.argv[3]])
driven.call("navigate", url=f"http://{sys.argv[3]}/form")
session = driven.session
print(json.dumps([str(session.folder), session.marker, sorted(driven.processes())]), flush=True)
if sys.argv[4] == "wait":
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM", "exit"])
def test_nothing_is_left_when_hermes_is_killed_or_just_exits(site: Site, tmp_path: Path, end: str) -> None:
    how = "exit" if end == "exit" else "wait"
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, str(ROOT), str(tmp_path), site.host, how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        folder, marker, pids = json.loads(process.stdout.readline())
        assert len(pids) >= 3
        if end != "exit":
            process.send_signal(signal.Signals[end])
        process.wait(15)
    assert gone(Path(folder), marker)
    assert not any(psutil.pid_exists(pid) and marker in str(_environ(pid)) for pid in pids)


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


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
