"""A real Chromium that looks at pages, and notes everything it asks for or complains about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Look:
    """Opens pages in one window. `requests` are all addresses asked for, `complaints` errors and refusals."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text))

    def at(self, path: Path, part: str = "") -> Page:
        """Opens the page and waits until its list stands."""
        self.page.goto(path.as_uri() + part)
        self.page.wait_for_function("() => document.getElementById('counts').textContent !== 'Loading…'")
        return self.page

    def press(self, keys: str) -> None:
        for key in keys.split():
            self.page.keyboard.press(key)

    def titles(self) -> list[str]:
        return self.page.locator(".item .title").all_text_contents()

    def counts(self, begins: str) -> str:
        """Waits until the line of counts begins so, and gives all of it."""
        self.page.wait_for_function(
            "begins => { const text = document.getElementById('counts').textContent;"
            " return text.startsWith(begins) && !text.includes('searching'); }",
            arg=begins,
        )
        return str(self.page.text_content("#counts"))

    def row(self, number: int) -> None:
        """Waits until this row is the open one."""
        self.page.locator(f".facts a.number[href='#row={number}']").wait_for()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("chromium is not installed")
    home = str(tmp_path_factory.mktemp("chromium"))
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=program, args=list(FLAGS), env={**os.environ, "HOME": home}
        )
        yield browser
        browser.close()


@pytest.fixture
def new_look(chromium: Browser) -> Iterator[Callable[..., Look]]:
    """Makes windows; the arguments are those of a playwright context, such as `color_scheme`."""
    contexts = []

    def make(**context: Any) -> Look:
        contexts.append(chromium.new_context(**{"viewport": {"width": 1400, "height": 900}, **context}))
        return Look(contexts[-1].new_page())

    yield make
    for each in contexts:
        each.close()


@pytest.fixture
def look(new_look: Callable[..., Look]) -> Look:
    return new_look()
