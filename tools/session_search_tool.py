"""What was said in earlier conversations."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import error_reply, ok_reply, tool
from tools.untrusted import EARLIER

if TYPE_CHECKING:
    from trajectories.session_search import Found, FoundSession

_MOST = 20
_SECONDS = 20.0
"""Time for bringing the index up to date; the first time, thousands of sessions may have to be read."""


def check_session_search_requirements(around: Surroundings | None = None) -> str:
    if around is not None and around.impersonal:
        return "earlier sessions are the person's own: not in batches and rollouts"
    return ""


@tool(effects=("read",), requires=check_session_search_requirements)
async def session_search(runtime: ToolRuntime, query: str = "", limit: int = 5) -> ToolReply:
    """Find earlier sessions by words that were said in them; the latest ones without words."""
    from trajectories.session_index import SessionIndexError

    if reason := check_session_search_requirements(runtime.around):
        return error_reply(reason)
    try:
        found = await _search(runtime, query, max(1, min(limit, _MOST)))
    except SessionIndexError as error:
        return error_reply(str(error))
    reply: dict[str, Any] = {"sessions": [_told(each) for each in found.sessions]}
    if found.behind:
        reply["note"] = (
            f"{found.behind} sessions are not searched yet: {found.problem or 'search again soon'}"
        )
    if not found.sessions:
        return ok_reply(**reply)
    runtime.gate.note_private(EARLIER)
    return ok_reply(**reply).by(EARLIER)


async def _search(runtime: ToolRuntime, query: str, limit: int) -> Found:
    """In a thread, which ends soon after the call was interrupted."""
    from trajectories.session_search import search_sessions

    stop = threading.Event()
    try:
        return await asyncio.to_thread(
            search_sessions, runtime.around.logs, query, limit,
            without=runtime.session_id, seconds=_SECONDS, stopped=stop.is_set,
        )  # fmt: skip
    finally:
        stop.set()


def _told(session: FoundSession) -> dict[str, Any]:
    told: dict[str, Any] = {"id": session.id, "title": session.title, "date": session.started[:10]}
    if session.cwd:
        told["folder"] = session.cwd
    if session.passages:
        told["passages"] = [f"{each.speaker}: {each.plain}" for each in session.passages]
    return told
