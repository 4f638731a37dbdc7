"""What tools need to reach the web: a browser, a backend for search and pages, and the tool servers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from commands.checks.finding import Finding, Scene, by_settings, off, ok, problem, warning
from commands.checks.reach import reach
from models.providers import shown_url
from settings import SettingsError

SECONDS = 2.0


@by_settings("browser")
def check_browser(scene: Scene) -> Iterator[Finding]:
    from tools.browser.programs import find_chromium, find_driver
    from tools.browser.remote import why_no_cdp_url
    from tools.browser.sources import backend_of, why_no_browser

    settings, backend = scene.settings.browser, backend_of(scene.around)
    driver = find_driver(scene.environ)
    if driver:
        yield _program(scene, "agent-browser", driver)
    told = why_no_browser(scene.around)
    if backend == "cdp" and (wrong := why_no_cdp_url(settings.cdp_url)):
        yield problem("browser", wrong, "hermes config set browser.cdp_url URL, or unset it")
    elif told:
        what, fix = _split(told)
        named = settings.executable or settings.cdp_url or settings.backend != "auto"
        yield problem("browser", what, fix) if named else off("browser", what, fix)
    elif backend == "local":
        yield _program(scene, "Chromium", find_chromium(settings.executable, scene.environ))
    elif backend == "cdp":
        url = settings.cdp_url
        address = f"http://127.0.0.1:{url}" if url.isdigit() else url
        yield reach(
            scene,
            "browser",
            "browser.cdp_url",
            address,
            "http://127.0.0.1:9222",
            "a browser elsewhere (browser.cdp_url)",
        )
    elif url := settings.browserbase_url:
        yield reach(
            scene,
            "browser",
            "browser.browserbase_url",
            url,
            "https://HOST",
            f"Browserbase at {shown_url(url)}",
        )
    else:
        yield ok("browser", "Browserbase")


@by_settings("pages")
def check_web(scene: Scene) -> Iterator[Finding]:
    from tools.web.choice import backend_name, why_unusable

    name, told = backend_name(scene.around), why_unusable(scene.around)
    if told:
        chosen = scene.settings.web.backend != "auto"
        yield (problem if chosen else warning)("pages", *_split(told))
    elif name == "direct":
        yield ok("pages", "they are fetched from here, and searches go to public engines")
        if engines := _engines_problem(scene.settings.web.search_engine):
            yield problem("search", engines, "hermes config set web.search_engine auto")
    elif url := scene.settings.web.api_url:
        yield reach(
            scene,
            "pages",
            "web.api_url",
            url,
            "http://127.0.0.1:3002",
            f"Firecrawl at {shown_url(url)} (web.api_url)",
        )
    else:
        yield ok("pages", "Firecrawl")
    if hosts := scene.settings.web.allowed_hosts:
        yield _allowed_hosts(hosts)


@by_settings("tool servers")
def check_tool_servers(scene: Scene) -> Iterator[Finding]:
    """Nothing is started: `hermes mcp test NAME` does that."""
    servers = scene.settings.mcp
    if not servers:
        yield off("tool servers", "none are set; `hermes mcp add` adds one")
        return
    from tools.mcp.launch import launch_problem
    from tools.mcp.server_tools import check_mcp_requirements, server_problem

    if told := check_mcp_requirements(scene.around):
        yield problem("tool servers", *_split(told))
        return
    for name, server in servers.items():
        told = launch_problem(server, scene.around) or server_problem(name, scene.around)
        if not server.enabled:
            yield off(f"mcp {name}", "enabled: false")
        elif told:
            yield problem(f"mcp {name}", *_split(told, f"hermes mcp test {name}"))
        else:
            yield ok(f"mcp {name}", f"approved; to see whether it answers: hermes mcp test {name}")


def _engines_problem(engines: str) -> str:
    if engines == "auto":
        return ""  # known without ddgs, which takes a moment to load
    from tools.web.search_engines import why_no_engine

    return why_no_engine(engines)


def _allowed_hosts(hosts: list[str]) -> Finding:
    from safety.addresses import AllowedHosts

    try:
        AllowedHosts(hosts)
    except SettingsError as error:
        return problem("private hosts", str(error), "hermes config edit")
    return ok("private hosts", f"tools may reach {', '.join(hosts)} (web.allowed_hosts)")


def _program(scene: Scene, name: str, path: str) -> Finding:
    """A program that is asked for its version: one that cannot say it does not run."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=SECONDS, errors="replace",
            stdin=subprocess.DEVNULL, env=_plain(scene),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return warning(
            name, f"{path} does not say its version within {SECONDS:g} s", f"try: {path} --version"
        )
    except OSError as error:
        return problem(name, f"{path} does not run: {error.strerror or error}", "install it anew")
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    if done.returncode:
        reason = said[-1] if said else f"exit code {done.returncode}"
        return problem(name, f"{path} does not run: {reason}", "install it anew")
    version = re.search(r"\d+(\.\d+)+", said[0]) if said else None
    return ok(name, f"{version[0]}, {path}" if version else path)


def _plain(scene: Scene) -> dict[str, str]:
    from sandboxes.child_environment import child_environment

    return child_environment(scene.environ)


def _split(told: str, fix: str = "") -> tuple[str, str]:
    """A reason in one line, `what: how to mend it` or `what; how`, in its two parts."""
    for mark in (": ", "; "):
        what, found, how = told.partition(mark)
        if found and not re.match(r"\w+\.\w+$", what):
            return what, how
    return told, fix
