"""The tools of the toolset `browser`: one browser for each task, with its tabs and logins."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from safety.gate import EffectRequest
from tools.browser.failures import STALE, BrowserError
from tools.browser.sources import why_no_browser
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings, surroundings_here
from tools.tool import ArgumentError, cut_answer, error_reply, tool
from tools.untrusted import PICTURE, WEB_PAGE

if TYPE_CHECKING:
    from tools.browser.replies import PageReply
    from tools.browser.session import BrowserSession, Step
    from tools.browser.task_browser import TaskBrowser

Value = TypeVar("Value")
_REF = re.compile(r"[@\[]*(?:ref=)?(e\d+)\]?")
_LOADING = "the page is still loading; call browser_snapshot to look again"
_CHANGED = "the page has changed: browser_snapshot shows how"
_DOWNLOAD = "the page did not change: it may have begun a download, and downloads are refused"
_CHOICES = frozenset({"combobox", "listbox"})
_IN_PAGE = """(() => {
  const at = document.activeElement;
  if (at && /^i?frame$/i.test(at.tagName) && !at.contentDocument) throw new Error(
    "the focus is in a frame of another site, where no keys are pressed; browser_type types there");
})()"""
_PIXELS = "700"


def check_browser_requirements(around: Surroundings | None = None) -> str:
    """ "" if a browser can be had, else what is missing and the fix."""
    return why_no_browser(around or surroundings_here())


def check_browser_vision_requirements(around: Surroundings | None = None) -> str:
    """As `check_browser_requirements`, and a model must be able to look at pictures."""
    from tools.auxiliary import why_no_vision

    around = around or surroundings_here()
    return why_no_browser(around) or why_no_vision(around)


def cleanup_browser(task_id: str) -> None:
    """Close the browser of `task_id`, with all that is on it."""
    from tools.browser.task_browser import OPEN

    OPEN.close(task_id)


def describe_navigate(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    """Raises ArgumentError for an address that may not be opened."""
    from tools.network.guard import why_out_of_reach

    url = arguments["url"] = arguments["url"].strip()
    if "://" not in url and not re.match(r"[a-z][a-z0-9+.-]*:(?!\d)", url, re.IGNORECASE):
        url = arguments["url"] = f"https://{url}"
    if why := why_out_of_reach(url, runtime.around):
        raise ArgumentError(f"{url[:500]} cannot be opened: {why}")
    return EffectRequest(
        "browser_navigate", ("read", "net"), f"open {url}", grant=f"fetch from {_host(url)}", urls=(url,)
    )


def describe_look(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    """Nothing goes out that the page did not bring along."""
    url = _url(runtime)
    if not url.startswith("http"):
        return EffectRequest("browser", ("read",), f"look at {url}")
    runtime.gate.addresses.note(url)  # it was gone to: being there tells nobody more
    return EffectRequest("browser", ("read", "net"), f"look at {url}", urls=(url,))


def describe_click(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    what = f"click {_element(runtime, arguments)}"
    return _action(runtime, "browser_click", what, arguments["ref"])


def describe_type(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    where = _element(runtime, arguments)
    then = " and press Enter" if arguments.get("submit") else ""
    what = f"type into {where}{then}:\n{arguments['text']}\n"
    return _action(runtime, "browser_type", what, arguments["ref"])


def describe_press(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    return _action(runtime, "browser_press", f"press {arguments['key']}")


@tool(
    effects=("read", "net"), requires=check_browser_requirements, describe=describe_navigate, in_place=False
)
async def browser_navigate(runtime: ToolRuntime, url: str) -> ToolReply:
    """Open a page in a browser; gives its snapshot."""

    async def work(session: BrowserSession) -> PageReply:
        step = await session.step(["open", url], sure=False)
        if step.failed and not (step.changed and session.page.url.startswith("http")):
            raise BrowserError(_why_not_opened(runtime, url, step))
        if step.failed:
            step.notes.append(_LOADING)
        return await _shown(session, step, snapshot=True)

    return await _page_reply(runtime, work, start=True)


@tool(effects=("read", "net"), requires=check_browser_requirements, describe=describe_look, in_place=False)
async def browser_snapshot(runtime: ToolRuntime, full: bool = False) -> ToolReply:
    """The page as text with refs of its elements; full: with link addresses and structure."""

    async def work(session: BrowserSession) -> PageReply:
        return await _shown(session, await session.step(sure=False), snapshot=True, full=full)

    return await _page_reply(runtime, work)


@tool(effects=("net",), requires=check_browser_requirements, describe=describe_click, in_place=False)
async def browser_click(runtime: ToolRuntime, ref: str) -> ToolReply:
    """Click an element by its ref, as @e3."""
    return await _act(runtime, ["click", f"@{ref}"])


@tool(effects=("net",), requires=check_browser_requirements, describe=describe_type, in_place=False)
async def browser_type(runtime: ToolRuntime, ref: str, text: str, submit: bool = False) -> ToolReply:
    """Replace what a field holds, or choose an option; submit: then press Enter."""
    session = _browser(runtime).session
    role = session.refs.get(ref, ("", ""))[0] if session is not None else ""
    enter = [["press", "Enter"]] if submit else []

    async def work(session: BrowserSession) -> PageReply:
        step = None
        if role in _CHOICES:
            step = await session.step(["select", f"@{ref}", text], *enter)
        if step is None or step.failed:
            step = await session.step(["fill", f"@{ref}", text], *enter)
        return await _after_action(session, step)

    return await _page_reply(runtime, work)


@tool(effects=("net",), requires=check_browser_requirements, describe=describe_press, in_place=False)
async def browser_press(runtime: ToolRuntime, key: str) -> ToolReply:
    """Press a key: Enter, Tab, Escape, Control+a, …"""
    return await _act(runtime, ["eval", _IN_PAGE], ["press", key])


@tool(effects=("read", "net"), requires=check_browser_requirements, describe=describe_look, in_place=False)
async def browser_scroll(runtime: ToolRuntime, direction: Literal["up", "down"]) -> ToolReply:
    """Scroll the page."""

    async def work(session: BrowserSession) -> PageReply:
        step = await session.step(["scroll", direction, _PIXELS])
        page = session.page
        step.notes.append(f"pixels {page.top} to {page.top + page.view} of {page.height} are in view")
        return await _after_action(session, step)

    return await _page_reply(runtime, work)


@tool(effects=("read", "net"), requires=check_browser_requirements, describe=describe_look, in_place=False)
async def browser_back(runtime: ToolRuntime) -> ToolReply:
    """Go back."""

    async def work(session: BrowserSession) -> PageReply:
        return await _shown(session, await session.back(), snapshot=True)

    return await _page_reply(runtime, work)


@tool(effects=("read", "net"), requires=check_browser_requirements, describe=describe_look, in_place=False)
async def browser_get_images(runtime: ToolRuntime) -> ToolReply:
    """The page's pictures with their addresses."""

    async def work(session: BrowserSession) -> PageReply:
        step = await session.step(sure=False)
        found = await session.images()
        return await _shown(session, step, images=found["images"], total=found["total"])

    return await _page_reply(runtime, work)


@tool(
    effects=("read", "net"),
    requires=check_browser_vision_requirements,
    describe=describe_look,
    in_place=False,
)
async def browser_vision(runtime: ToolRuntime, question: str) -> ToolReply:
    """Have a model look at the page and answer."""
    from models.chat_model import ModelError
    from tools.auxiliary import ask_model
    from tools.vision_tools import MOST_ANSWER

    async def work(session: BrowserSession) -> tuple[bytes, PageReply]:
        step = await session.step(sure=False)
        return await session.screenshot(), await _shown(session, step)

    try:
        (picture, page), told = await _use(runtime, work)
        choice = runtime.settings.auxiliary.vision
        prompt = (Path(__file__).parent / "browser" / "vision_prompt.md").read_text(encoding="utf-8")
        answer = await ask_model(runtime, choice, question, system=prompt, images=[("image/png", picture)])
    except BrowserError as error:
        return _failure(runtime, error)
    except ModelError as error:
        return error_reply(f"the model could not look at the page: {error}. {error.hint}".rstrip())
    # A model was told what to look for: an address in its answer may be one that was made up.
    return (await page.reply(runtime, told, **cut_answer(answer, MOST_ANSWER))).by(
        f"{PICTURE} of a {WEB_PAGE}"
    )


@tool(effects=("read", "net"), requires=check_browser_requirements, describe=describe_look, in_place=False)
async def browser_console(runtime: ToolRuntime) -> ToolReply:
    """Messages and errors of the page since the last look."""

    async def work(session: BrowserSession) -> PageReply:
        step = await session.step(sure=False)
        messages = await session.take_messages()
        return await _shown(session, step, messages=messages)

    return await _page_reply(runtime, work)


@tool(effects=("read",), requires=check_browser_requirements)
async def browser_close(runtime: ToolRuntime) -> ToolReply:
    """Close the browser."""
    await _browser(runtime).aclose()
    return ToolReply('{"closed": true}')


def _browser(runtime: ToolRuntime) -> TaskBrowser:
    from tools.browser.task_browser import TaskBrowser

    return runtime.store(TaskBrowser)


async def _shown(session: BrowserSession, step: Step, **more: Any) -> PageReply:
    """See `tools.browser.replies.shown_page`."""
    from tools.browser.replies import shown_page

    return await shown_page(session, step, **more)


async def _act(runtime: ToolRuntime, *commands: list[str]) -> ToolReply:
    async def work(session: BrowserSession) -> PageReply:
        return await _after_action(session, await session.step(*commands))

    return await _page_reply(runtime, work)


async def _after_action(session: BrowserSession, step: Step) -> PageReply:
    """With the new page where the action led to one."""
    if step.failed:
        raise BrowserError(_why_not_done(step))
    if not step.changed and session.page.leaving:
        step.notes.append(_DOWNLOAD)
    elif not session.page.settled:
        step.notes.append(_LOADING)
    elif not step.changed and session.page.changes:
        step.notes.append(_CHANGED)
    return await _shown(session, step, snapshot=step.changed)


async def _page_reply(
    runtime: ToolRuntime, work: Callable[[BrowserSession], Awaitable[PageReply]], *, start: bool = False
) -> ToolReply:
    try:
        page, told = await _use(runtime, work, start=start)
    except BrowserError as error:
        return _failure(runtime, error)
    return await page.reply(runtime, told)


async def _use(
    runtime: ToolRuntime, work: Callable[[BrowserSession], Awaitable[Value]], *, start: bool = False
) -> tuple[Value, str]:
    browser = _browser(runtime)
    return await browser.use(runtime.around, runtime.task_id, work, start=start)


def _failure(runtime: ToolRuntime, error: BrowserError) -> ToolReply:
    reply = error_reply(str(error))
    if _browser(runtime).session is None:
        return reply
    return reply.by(WEB_PAGE)  # it may quote the page


def _action(runtime: ToolRuntime, name: str, what: str, ref: str = "") -> EffectRequest:
    """What a page gets that it did not have: the person decides on all of it.

    A frame may be of another site than its page, which is all that a word for the session covers.
    """
    from urllib.parse import urlsplit

    url = _url(runtime)
    host = urlsplit(url).netloc or "this page"
    session = _browser(runtime).session
    if session is not None and ref in session.framed:
        return EffectRequest(
            name, ("net",), f"{what.rstrip()}\nin a frame, which may be of another site, on the page {url}",
            deed=f"it acts in a frame, which may be of another site, on a page of {host}",
        )  # fmt: skip
    return EffectRequest(
        name,
        ("net",),
        f"{what.rstrip()}\non the page {url}",
        grant=f"act on {host} in the browser",
        deed=f"it acts on a page of {host}",
    )


def _host(url: str) -> str:
    from safety.addresses import read_address

    return read_address(url).host


def _url(runtime: ToolRuntime) -> str:
    """Where the browser is, without asking it. Raises ArgumentError if there is none."""
    session = _browser(runtime).session
    if session is None or not session.page.document:
        raise ArgumentError(_browser(runtime).why_none())
    return session.page.url


def _element(runtime: ToolRuntime, arguments: dict[str, Any]) -> str:
    """The element of `ref`, which is put into the form that agent-browser takes. Raises ArgumentError."""
    _url(runtime)
    session = _browser(runtime).session
    found = _REF.fullmatch(arguments["ref"].strip())
    if session is None or found is None:
        raise ArgumentError(f"{arguments['ref'][:50]!r} is no ref: refs stand in the snapshot, as ref=e3")
    ref = arguments["ref"] = found.group(1)
    if ref not in session.refs:
        raise ArgumentError(f"no ref {ref} was shown: call browser_snapshot" if session.refs else STALE)
    role, name = session.refs[ref]
    return f'{role} "{name}" (@{ref})' if name else f"{role} (@{ref})"


def _told(step: Step) -> str:
    from tools.browser.snapshot import clean_text

    return clean_text(step.failed)[:300]


def _why_not_opened(runtime: ToolRuntime, url: str, step: Step) -> str:
    told = _told(step)
    if "ERR_ABORTED" in told:
        other = ". web_extract may read it" if runtime.has_tool("web_extract") else ""
        return f"{url} shows no page: a download, which is refused, or an empty answer{other}"
    if "ERR_INVALID_AUTH" in told or "ERR_TOO_MANY_RETRIES" in told:
        return f"{url} asks for a user name and a password by HTTP, which this browser does not answer"
    why = f" ({step.notes[-1]})" if step.notes else ""
    return f"{url} could not be opened: {told.removeprefix('Navigation failed: ')}{why}"


def _why_not_done(step: Step) -> str:
    told = _told(step)
    if re.search(r"unknown ref|not found|no node|stale|detached", told, re.IGNORECASE):
        return f"the element is not there any more ({told}): call browser_snapshot"
    if "box model" in told.lower() or "not visible" in told.lower():
        return (
            f"the element is not visible ({told}). To choose an option, browser_type its text into its list"
        )
    return f"it could not be done: {told}"
