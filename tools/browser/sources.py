"""Where a browser comes from. Whatever it is, agent-browser speaks to it through a CDP address."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tools.browser.failures import BrowserError
from tools.browser.programs import NO_CHROMIUM, NO_DRIVER, find_chromium, find_driver
from tools.surroundings import Surroundings

_NO_KEYS = "two keys are needed, BROWSERBASE_API_KEY and BROWSERBASE_PROJECT_ID: hermes config set-key NAME"


class BrowserSource(Protocol):
    """Opens one browser and closes it.

    `guarded`: every connection it makes is checked; else only the addresses it is told to go to are.
    `shared`: others use it too, so a session has a tab of its own.
    """

    guarded: bool
    shared: bool

    async def open(self, folder: Path, environment: dict[str, str]) -> str:
        """Have it run; its CDP address. Raises BrowserError."""
        ...

    @property
    def group(self) -> int:
        """The process group of a browser on this machine; 0 where there is none."""
        ...

    @property
    def ended(self) -> str:
        """How it ended, "" while it runs or where nobody can know."""
        ...

    def refusals(self) -> list[str]:
        """Connections that were not made since the last call: HOST:PORT: reason."""
        ...

    async def close(self) -> None: ...


def backend_of(around: Surroundings) -> str:
    """local, cdp or browserbase."""
    wanted = around.settings.browser.backend
    if wanted != "auto":
        return wanted
    if around.settings.browser.cdp_url:
        return "cdp"
    return "browserbase" if _keys(around) else "local"


def why_no_browser(around: Surroundings) -> str:
    """ "" if a browser can be had, as far as a look tells, else the reason and the fix in one line."""
    if not find_driver(around.environ):
        return NO_DRIVER
    settings, backend = around.settings.browser, backend_of(around)
    if backend == "cdp":
        from tools.browser.remote import why_no_cdp_url

        return why_no_cdp_url(settings.cdp_url)
    if backend == "browserbase":
        return "" if _keys(around) else _NO_KEYS
    if find_chromium(settings.executable, around.environ):
        return ""
    if settings.executable:
        return f"browser.executable: {settings.executable} is no program; set another, or leave it empty"
    return NO_CHROMIUM


def make_source(around: Surroundings) -> BrowserSource:
    """The browser that settings and keys ask for, not yet open. Raises BrowserError."""
    if problem := why_no_browser(around):
        raise BrowserError(problem)
    settings, backend = around.settings.browser, backend_of(around)
    if backend == "cdp":
        from tools.browser.remote import RemoteBrowser

        return RemoteBrowser(settings.cdp_url)
    if keys := _keys(around) if backend == "browserbase" else None:
        from tools.browser.browserbase import Browserbase

        return Browserbase(*keys, settings.browserbase_url)
    from tools.browser.chromium import LocalChromium

    program = find_chromium(settings.executable, around.environ)
    return LocalChromium(program, around.settings.web.allowed_hosts, around.environ, headed=settings.headed)


def _keys(around: Surroundings) -> tuple[str, str] | None:
    key = around.secrets.get("BROWSERBASE_API_KEY", "")
    project = around.secrets.get("BROWSERBASE_PROJECT_ID", "")
    return (key, project) if key and project else None
