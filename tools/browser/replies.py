"""What a model is told of a page."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from sandboxes.sandbox import SandboxError
from tools.browser.session import BrowserSession, Step
from tools.browser.snapshot import clean_text, compact, excerpt, plain
from tools.kept_files import KeptFiles
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import ok_reply
from tools.untrusted import WEB_PAGE

log = logging.getLogger("hermes.browser")

_MOST_KEPT = 2_000_000
"""Characters of a snapshot that are kept in a file."""
_EMPTY = "(the page shows nothing)"


@dataclass(frozen=True, slots=True)
class PageReply:
    """`snapshot` is None where none was asked for; it is cut to the limit when it is told."""

    url: str
    title: str
    snapshot: str | None = None
    notes: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    async def reply(self, runtime: ToolRuntime, told: str, **more: Any) -> ToolReply:
        """`told` is what happened to an earlier browser."""
        values: dict[str, Any] = {"url": self.url}
        if self.title and self.snapshot is not None:
            values["title"] = self.title
        values |= self.more | more
        notes = [*filter(None, (told, *self.notes, values.pop("note", "")))]
        if self.snapshot is not None:
            shown = excerpt(self.snapshot, runtime.settings.browser.snapshot_limit)
            values["snapshot"] = shown.text or _EMPTY
            if shown.left_out:
                notes.append(f"the snapshot goes on: {shown.left_out}")
                if path := await _keep(self.url, self.snapshot, runtime):
                    values["file"] = path
        if notes:
            values["note"] = "; ".join(notes)
        return ok_reply(**values).by(WEB_PAGE)


async def shown_page(
    session: BrowserSession, step: Step, *, snapshot: bool = False, full: bool = False, **more: Any
) -> PageReply:
    """The page as it is now. A snapshot gives new refs."""
    text = None
    if snapshot:
        tree = await session.snapshot(full=full)
        text = plain(tree) if full else compact(tree)
    page = session.page
    return PageReply(clean_text(page.url)[:2000], page.title, text, tuple(step.notes), more)


async def _keep(url: str, text: str, runtime: ToolRuntime) -> str:
    """Where the tools of this task can read it; "" if it cannot be written."""
    try:
        return await runtime.store(KeptFiles).keep_page(runtime.sandbox, url, text[:_MOST_KEPT])
    except (OSError, SandboxError) as error:
        log.warning("a long snapshot is not kept: %s", error)
        return ""
