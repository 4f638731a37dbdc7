"""Where the programs lie that a browser needs: agent-browser and a Chromium."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

NO_DRIVER = "agent-browser is not on the PATH: npm install -g agent-browser"
NO_CHROMIUM = (
    "no Chromium is installed: apt install chromium, agent-browser install, or set browser.executable "
    "(or browser.cdp_url to a browser that runs)"
)
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "brave-browser", "chrome")
_APPS = ("Google Chrome", "Chromium", "Brave Browser", "Microsoft Edge")
# Below the folder where agent-browser, or Playwright, unpacks what it downloads.
_UNPACKED = (
    "chrome-linux/chrome", "chrome-linux64/chrome", "chrome",
    "chrome-mac/Chromium.app/Contents/MacOS/Chromium",
    "chrome-mac*/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
)  # fmt: skip


def find_driver(environ: Mapping[str, str]) -> str:
    """The agent-browser CLI, "" if there is none."""
    return shutil.which("agent-browser", path=_search_path(environ)) or ""


def find_chromium(executable: str, environ: Mapping[str, str]) -> str:
    """A Chromium, "" if there is none. `executable` is the person's word: nothing else is looked for then."""
    path = _search_path(environ)
    if executable:
        return shutil.which(os.path.expanduser(executable), path=path) or ""
    for name in _NAMES:
        if found := shutil.which(name, path=path):
            return found
    return next((str(each) for each in _elsewhere(environ) if os.access(each, os.X_OK)), "")


def _elsewhere(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "darwin":
        for folder in (Path("/Applications"), home / "Applications"):
            yield from (folder / f"{name}.app/Contents/MacOS/{name}" for name in _APPS)
    cache = home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ms-playwright"
    playwright = Path(environ.get("PLAYWRIGHT_BROWSERS_PATH") or cache)
    for pattern, folder in (("chrome-*", home / ".agent-browser/browsers"), ("chromium-*", playwright)):
        for version in sorted(folder.glob(pattern), reverse=True):
            for inside in _UNPACKED:
                yield from version.glob(inside)


def _search_path(environ: Mapping[str, str]) -> str:
    """As commands see it: not "." or an empty entry, which a folder of a stranger could fill."""
    entries = environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if os.path.isabs(entry))
