"""What a browser needs, looked for and told with the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from configuration.tool_settings import BrowserSettings
from settings import ModelSettings, Settings
from tools.browser.programs import find_chromium
from tools.browser_tool import check_browser_requirements, check_browser_vision_requirements
from tools.surroundings import Surroundings


def around(
    tmp_path: Path, *programs: str, secrets: dict[str, str] | None = None, **settings: object
) -> Surroundings:
    folder = tmp_path / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in programs:
        executable(folder / name)
    known = Settings(browser=BrowserSettings(**settings))  # type: ignore[arg-type]
    return Surroundings(known, secrets or {}, {"PATH": str(folder), "HOME": str(tmp_path)}, str(tmp_path))


def executable(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


KEYS = {"BROWSERBASE_API_KEY": "k", "BROWSERBASE_PROJECT_ID": "p"}


def test_without_agent_browser_the_reason_names_the_fix(tmp_path: Path) -> None:
    assert "npm install -g agent-browser" in check_browser_requirements(around(tmp_path, "chromium"))


def test_without_a_chromium_the_reason_names_the_ways(tmp_path: Path) -> None:
    reason = check_browser_requirements(around(tmp_path, "agent-browser"))
    for way in ("apt install chromium", "agent-browser install", "browser.executable", "browser.cdp_url"):
        assert way in reason
    assert "\n" not in reason


def test_with_both_nothing_is_missing(tmp_path: Path) -> None:
    for name in ("chromium", "google-chrome"):
        assert check_browser_requirements(around(tmp_path / name, "agent-browser", name)) == ""


def test_a_chromium_that_was_unpacked_at_home_is_found(tmp_path: Path) -> None:
    env = {"PATH": "/nonexistent", "HOME": str(tmp_path)}
    playwright = tmp_path / ".cache/ms-playwright/chromium-1200/chrome-linux/chrome"
    executable(playwright)
    assert find_chromium("", env) == str(playwright)
    own = tmp_path / ".agent-browser/browsers/chrome-150.0/chrome-linux64/chrome"
    executable(own)
    assert find_chromium("", env) == str(own)


def test_the_executable_of_the_settings_is_the_only_one_looked_for(tmp_path: Path) -> None:
    other = tmp_path / "other/chrome"
    executable(other)
    given = around(tmp_path, "agent-browser", "chromium", executable=str(other))
    assert check_browser_requirements(given) == ""
    assert find_chromium(str(other), given.environ) == str(other)
    missing = around(tmp_path, "agent-browser", "chromium", executable="/none/chrome")
    assert "browser.executable: /none/chrome" in check_browser_requirements(missing)


def test_the_folder_one_works_in_brings_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "chromium")
    monkeypatch.chdir(tmp_path)
    assert find_chromium("", {"PATH": ".::", "HOME": "/none"}) == ""


@pytest.mark.parametrize(
    ("settings", "secrets", "missing"),
    [
        ({"cdp_url": "ws://127.0.0.1:9222/devtools/browser/x"}, {}, ""),
        ({"cdp_url": "9222"}, {}, ""),
        ({"cdp_url": "ftp://there"}, {}, "browser.cdp_url"),
        ({"backend": "cdp"}, {}, "browser.cdp_url is empty"),
        ({}, KEYS, ""),
        ({"backend": "browserbase"}, {}, "BROWSERBASE_PROJECT_ID"),
        ({"backend": "browserbase"}, {"BROWSERBASE_API_KEY": "k"}, "BROWSERBASE_PROJECT_ID"),
        ({"backend": "local"}, KEYS, "no Chromium"),
    ],
)
def test_a_browser_elsewhere_needs_its_address_or_keys(
    tmp_path: Path, settings: dict[str, str], secrets: dict[str, str], missing: str
) -> None:
    reason = check_browser_requirements(around(tmp_path, "agent-browser", secrets=secrets, **settings))
    assert missing in reason
    assert bool(reason) == bool(missing)


def test_looking_at_a_page_needs_a_model_that_sees(tmp_path: Path) -> None:
    from msgspec.structs import replace

    given = around(tmp_path, "agent-browser", "chromium", secrets={"OPENAI_API_KEY": "k"})
    blind = replace(given.settings, model=ModelSettings(base_url="http://127.0.0.1:9/v1", sees_images=False))
    sees = replace(given.settings, model=ModelSettings(base_url="http://127.0.0.1:9/v1", sees_images=True))
    for settings, works in ((blind, False), (sees, True)):
        asked = Surroundings(settings, given.secrets, given.environ, given.cwd)
        assert (check_browser_vision_requirements(asked) == "") is works
        assert check_browser_requirements(asked) == ""
