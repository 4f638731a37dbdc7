"""One browser while it lives: started, taken through steps, ended without leaving anything."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safety.addresses import AllowedHosts, why_refused
from sandboxes.lifeline import Lifeline
from sandboxes.process_tree import MARKER, end_tree
from tools.browser.driver import AgentBrowser, Command, Result
from tools.browser.failures import STALE, BrowserError, BrowserGone
from tools.browser.private_folder import REMOVE, make_folder, remove_folder, remove_leftovers
from tools.browser.programs import find_driver
from tools.browser.snapshot import clean_text, framed_refs
from tools.browser.sources import BrowserSource, make_source
from tools.surroundings import Surroundings

_HERE = Path(__file__).parent
_SETTLE_MS = 6_000
_LEAVING_MS = 5_000
"""How long a server may take to answer a click before the page is told as it is."""
_FAILED = "chrome-error:"
"""What Chromium shows where a page could not be loaded."""
_PROXY_TITLE = "Not reached"
"""Of the page that `tools.network.filtering_proxy` shows."""
_MOST_TABS = 8
_MOST_MESSAGES = 200
_PASSED = (
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
)
_SCREEN = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""Passed for a window alone."""


@dataclass(frozen=True, slots=True)
class Page:
    """Where the browser is. `document` changes with each new document; `top`, `view`, `height` in pixels;
    `changes`: how often the document was changed since the step began.
    """

    url: str = "about:blank"
    title: str = ""
    document: str = ""
    settled: bool = True
    leaving: bool = False
    top: int = 0
    view: int = 0
    height: int = 0
    changes: int = 0
    tab: str = ""
    tabs: int = 1


@dataclass(slots=True)
class Step:
    """What a step did: its results, whether another document is shown now, and what else came up."""

    results: list[Result] = field(default_factory=list)
    failed: str = ""
    changed: bool = False
    notes: list[str] = field(default_factory=list)

    def value(self, index: int) -> dict[str, Any]:
        return self.results[index].value if index < len(self.results) else {}


class BrowserSession:
    """Belongs to one event loop. Steps are taken one after the other."""

    def __init__(self, around: Surroundings) -> None:
        """Raises BrowserError."""
        self._around = around
        self._limit = around.settings.browser.timeout
        self._allowed = AllowedHosts(around.settings.web.allowed_hosts)
        self._source: BrowserSource = make_source(around)
        self.marker = secrets.token_hex(16)
        self._lifeline: Lifeline | None = None
        self._agent: AgentBrowser | None = None
        self._own_tabs: set[str] = set()
        self._errors_told = 0
        self.folder: Path | None = None
        self.page = Page()
        self.refs: dict[str, tuple[str, str]] = {}
        self.framed: set[str] = set()
        """Refs of elements in frames of the page, which may belong to another site."""
        self.messages: deque[tuple[str, str]] = deque(maxlen=_MOST_MESSAGES)

    async def start(self) -> None:
        """Raises BrowserError, and leaves nothing then."""
        try:
            await self._start()
        except BaseException:
            await self.end()
            raise

    @property
    def ended(self) -> str:
        """How the browser ended, "" while it lives."""
        return self._source.ended

    async def step(self, *commands: Command, sure: bool = True) -> Step:
        """Take a step, wait until the page is quiet, look where it is.

        Args:
            sure: only on the document that the model saw last.

        Raises:
            BrowserError: the document is another (`STALE`), or the page went where it may not.
            BrowserGone: the browser is of no use any more.
        """
        before = self.page
        first = [self._still_there()] if sure and before.document else []
        looks = _observation(_LEAVING_MS if first else 0)
        results = await self._run(*first, *commands, *looks)
        failed = next((each for each in results if not each.ok), None)
        if failed is not None and first and not results[0].ok:
            await self._observe()
            raise BrowserError(STALE)
        done = results[len(first) : len(first) + len(commands)]
        step = Step(done, next((each.error for each in done if not each.ok), ""))
        seen = results[len(first) + len(commands) :]
        if failed is not None or len(seen) < len(looks):
            seen = await self._observe()
        await self._note(seen, before, step)
        return step

    async def snapshot(self, *, full: bool) -> str:
        """The accessibility tree; its refs are the known ones from now on. Raises BrowserError."""
        value = await self._look(["snapshot", "-u"] if full else ["snapshot"])
        tree, refs = value.get("snapshot"), value.get("refs")
        if not isinstance(tree, str) or not isinstance(refs, dict):
            raise BrowserGone("agent-browser gives no snapshot that is known: install another version of it")
        where = str(value.get("origin", ""))  # its address, whole; the page may have gone on in this moment
        if where.startswith("http") and (why := why_refused(where, self._allowed)):
            raise BrowserError(f"the page went on to {clean_text(where)[:500]}, which cannot be read: {why}")
        self.refs = {
            str(ref): (clean_text(str(each.get("role", ""))), clean_text(str(each.get("name", "")))[:200])
            for ref, each in refs.items() if isinstance(each, dict)
        }  # fmt: skip
        self.framed = framed_refs(tree)
        return "" if tree.strip() == "(empty page)" else tree

    async def back(self) -> Step:
        """To the page before; where a tab has none, it is closed and the one before it shown."""
        before = self.page
        step = await self.step(["eval", "void history.back()"])
        if step.changed or self.page.url != before.url:
            if self.page.url == "about:blank":
                step.notes.append("there is nothing before the first page: the browser shows none now")
            return step
        if before.tabs < 2 or self._source.shared:
            raise BrowserError("there is no page to go back to")
        step = await self.step(["tab", "close"], sure=False)
        step.notes.append("this tab had no page before: it was closed, and another is shown")
        return step

    async def images(self) -> dict[str, Any]:
        """`images`: src, alt, width, height of the largest; `total`: how many there are."""
        value = await self._look(["eval", _script("images.js")])
        found = value.get("result")
        if not isinstance(found, dict) or not isinstance(found.get("images"), list):
            raise BrowserError("the page does not say what pictures it has")
        images = [
            {key: clean_text(text)[:2000] if isinstance(text, str) else text for key, text in each.items()}
            for each in found["images"] if isinstance(each, dict)
        ]  # fmt: skip
        return {"images": images, "total": _whole(found.get("total"))}

    async def screenshot(self) -> bytes:
        """What is in view, as a PNG."""
        assert self.folder is not None
        path = self.folder / f"{secrets.token_hex(4)}.png"
        await self._look(["screenshot", str(path)])
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise BrowserError(f"no picture could be taken: {error.strerror or error}") from None
        finally:
            path.unlink(missing_ok=True)

    async def take_messages(self) -> list[str]:
        """What the page said since the last call, then the errors it did not catch."""
        told = [f"{kind}: {text}" for kind, text in self.messages]
        self.messages.clear()
        errors = (await self._look(["errors"])).get("errors")
        rows = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
        fresh = rows[self._errors_told if self._errors_told <= len(rows) else 0 :]
        self._errors_told = len(rows)
        return told + [f"uncaught: {clean_text(str(each.get('text', '')))[:500]}" for each in fresh[-50:]]

    async def _look(self, command: Command) -> dict[str, Any]:
        result = (await self._run(command))[0]
        if not result.ok:
            raise BrowserError(f"the page cannot be looked at: {clean_text(result.error)[:300]}")
        return result.value

    async def end(self) -> None:
        """Close what is ours; processes, folder and proxy are gone then."""
        problem = ""
        if self._source.shared and self._agent is not None and self._own_tabs:
            try:
                await self._agent.run(*(["tab", "close", each] for each in sorted(self._own_tabs)), limit=5)
            except BrowserError as error:
                problem = str(error)
        if self.folder is not None:
            await end_tree(self.marker, [self._source.group] if self._source.group else [], 1.0)
        try:
            await self._source.close()
        finally:
            if self.folder is not None:
                await asyncio.to_thread(remove_folder, self.folder)
            if self._lifeline is not None:
                self._lifeline.close()
        if problem:
            raise BrowserError(f"a tab of ours may be left in the browser: {problem}")

    async def _start(self) -> None:
        driver = find_driver(self._around.environ)
        await asyncio.to_thread(remove_leftovers)
        try:
            self.folder = make_folder()
        except OSError as error:
            raise BrowserError(f"no folder can be made for the browser: {error.strerror or error}") from None
        environment = self._environment(self._around.environ)
        bash = shutil.which("bash", path=environment["PATH"])
        if bash is not None:
            on_death = [bash, "-c", REMOVE, "bash", str(self.folder)]
            self._lifeline = Lifeline(bash, self.marker, environment["PATH"], on_death)
            await asyncio.to_thread(self._lifeline.start)
        self._agent = AgentBrowser(driver, self.folder, environment)
        await self._agent.find_version()
        self._agent.environment["AGENT_BROWSER_CDP"] = await self._source.open(self.folder, environment)
        if self._lifeline is not None and self._source.group:
            self._lifeline.watch(self._source.group)
        # Its view for onlookers listens on a port, which nobody needs here; not each version has one.
        opening = [["stream", "disable"], ["tab", "new"] if self._source.shared else ["tab"]]
        _, reached, *seen = await self._agent.run(*opening, *_observation(0), limit=self._limit, bail=False)
        if not reached.ok:
            raise BrowserGone(f"agent-browser cannot reach the browser: {reached.error}")
        self.page = self._read_page(seen if all(each.ok for each in seen) else await self._observe())
        if self._source.shared:
            self._own_tabs.add(self.page.tab)

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """An allow-list: neither a page nor a program that drives one needs our keys."""
        folder = str(self.folder)
        passed = (*_PASSED, *(_SCREEN if self._around.settings.browser.headed else ()))
        own = {name: environ[name] for name in passed if environ.get(name)}
        entries = own.get("PATH", os.defpath).split(os.pathsep)
        own["PATH"] = os.pathsep.join(each for each in entries if os.path.isabs(each)) or os.defpath
        return own | {
            MARKER: f"{self.marker}.", "HOME": f"{folder}/home", "TMPDIR": folder,
            "AGENT_BROWSER_SOCKET_DIR": f"{folder}/s", "AGENT_BROWSER_SESSION": "s",
            "AGENT_BROWSER_INIT_SCRIPTS": str(_HERE / "dialogs.js"), "NO_COLOR": "1",
        }  # fmt: skip

    async def _run(self, *commands: Command) -> list[Result]:
        assert self._agent is not None
        try:
            return await self._agent.run(*commands, limit=self._limit)
        except BrowserGone as gone:
            if ended := self.ended:
                raise BrowserGone(f"the browser has ended ({ended})") from None
            raise gone

    def _still_there(self) -> Command:
        script, dialogs = _script("still_there.js"), _script("dialogs.js")
        origin = "/".join(self.page.url.split("/")[:3]) if self.page.url.startswith("http") else "null"
        script = script.replace("__ORIGIN__", json.dumps(origin))
        document = json.dumps(self.page.document)
        return ["eval", script.replace("__DOCUMENT__", document).replace("__DIALOGS__", dialogs)]

    async def _observe(self) -> list[Result]:
        """Again where the page left in between, which takes its answer along."""
        looks = _observation(0)
        for _ in range(4):
            seen = await self._run(*looks)
            if len(seen) == len(looks) and all(each.ok for each in seen):
                return seen
        if ended := self.ended:
            raise BrowserGone(f"the browser has ended ({ended})")
        raise BrowserGone(f"the browser cannot be asked where it is: {seen[-1].error}")

    async def _note(self, seen: list[Result], before: Page, step: Step) -> None:
        self.page = page = self._read_page(seen)
        step.changed = page.document != before.document
        if step.changed:
            self.refs = {}
        self._hear(seen[1].value, step)
        refusals = self._source.refusals()
        if page.tabs > before.tabs:
            step.notes.append(f"a new tab was opened and is shown now; {page.tabs} are open")
            await self._tidy_tabs(seen[3].value, step)
        if self._source.shared:
            self._own_tabs.add(page.tab)
        if not (step.failed and page.url.startswith(_FAILED)):
            await self._check_place(page, refusals)
        step.notes += [f"the page could not reach {clean_text(each)[:200]}" for each in refusals[-3:]]

    async def _check_place(self, page: Page, refusals: list[str]) -> None:
        """Raises BrowserError where the page is none that may be read."""
        url = clean_text(page.url)[:500]
        if page.url.startswith(_FAILED):
            why = f": {refusals[-1]}" if refusals else ""
            raise BrowserError(f"the page could not be loaded{why}")
        if page.url.startswith(("http://", "https://")):
            why = why_refused(page.url, self._allowed) or _main_refusal(page, refusals)
        else:
            why = "" if page.url in ("", "about:blank") else "only http and https are read"
        if why:
            await self._run(["open", "about:blank"])
            self.page, self.refs = self._read_page(await self._observe()), {}
            raise BrowserError(f"the page led to {url}, which cannot be opened: {why}. It was left")

    def _hear(self, value: Mapping[str, Any], step: Step) -> None:
        """What the page said in its console, with the dialogs it would have shown."""
        messages = value.get("messages")
        for each in messages if isinstance(messages, list) else []:
            if not isinstance(each, dict):
                continue
            text = clean_text(str(each.get("text", "")))[:500]
            self.messages.append((str(each.get("type", "log")), text))
            if text.startswith("[dialog] ") and len(step.notes) < 5:
                step.notes.append(f"a dialog was shown and closed: {text.removeprefix('[dialog] ')}")

    async def _tidy_tabs(self, value: Mapping[str, Any], step: Step) -> None:
        """A page that opens tabs without end gets no more than a few."""
        tabs = [each for each in value.get("tabs", []) if isinstance(each, dict) and not each.get("active")]
        surplus = [str(each.get("tabId", "")) for each in tabs][: max(0, self.page.tabs - _MOST_TABS)]
        if surplus and not self._source.shared:
            await self._run(*(["tab", "close", each] for each in surplus))
            step.notes.append(f"{len(surplus)} tabs were closed: there were too many")

    def _read_page(self, seen: list[Result]) -> Page:
        told = seen[0].value.get("result")
        tabs = seen[3].value.get("tabs")
        url = seen[4].value.get("result")
        if not isinstance(told, dict) or not isinstance(tabs, list) or not isinstance(url, str):
            raise BrowserGone(
                "agent-browser does not say where the browser is: install another version of it"
            )
        active = next((each for each in tabs if isinstance(each, dict) and each.get("active")), {})
        return Page(
            url=url,
            title=clean_text(str(told.get("title", ""))),
            document=str(told.get("document", "")),
            settled=bool(told.get("settled")),
            leaving=bool(told.get("leaving")),
            top=_whole(told.get("top")),
            view=_whole(told.get("view")),
            height=_whole(told.get("height")),
            changes=_whole(told.get("changes")),
            tab=str(active.get("tabId", "")),
            tabs=len(tabs),
        )


def _script(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _observation(leaving: int) -> list[Command]:
    """Where the page is, what it said, which tabs there are. A page that leaves is given `leaving` ms."""
    script = _script("arrived.js").replace("__LIMIT__", str(_SETTLE_MS)).replace("__LEAVING__", str(leaving))
    # A script of ours runs among the page's own, which may change what it says; but not this one word.
    return [["eval", script], ["console"], ["console", "--clear"], ["tab"], ["eval", "location.href"]]


def _main_refusal(page: Page, refusals: list[str]) -> str:
    """Why the page itself was not reached, where what is shown is what the proxy says of it."""
    from urllib.parse import urlsplit

    if page.title != _PROXY_TITLE:
        return ""
    try:
        parts = urlsplit(page.url)
        place = f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}"
    except ValueError:
        return ""
    found = next((each for each in refusals if each.startswith(f"{place}: ")), "")
    return found.removeprefix(f"{place}: ")


def _whole(value: object) -> int:
    return round(value) if isinstance(value, int | float) else 0
