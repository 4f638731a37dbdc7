"""Search engines that need no key. Runs in a child process (`tools.web.child`): ddgs has its own HTTP client
and its own threads."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

_ENGINE_SECONDS = 10
"""The most one engine may take; others are asked beside it."""
_BANG = re.compile(r"(?<!\S)[!\\]+|!+(?!\S)")
"""By such words engines send a query on to some other site (https://duckduckgo.com/bangs)."""
_ENCYCLOPEDIAS = ("wikipedia", "grokipedia")
"""ddgs asks these beside the engines; that they have no such article says little."""
_NO_NAMES = "no network, or names cannot be resolved (DNS)"
_LATE = "no answer in time"
_UNCONNECTED = "no connection"
_OTHERS = "set web.search_engine, or get a key: hermes config set-key FIRECRAWL_API_KEY"


def why_no_engine(engines: str) -> str:
    """Why `engines`, as `web.search_engine` names them, cannot be asked; "" if they can."""
    from ddgs.engines import ENGINES

    known = ENGINES["text"]
    unknown = [each for each in _named(engines) if each != "auto" and each not in known]
    if not unknown:
        return ""
    names = ", ".join(["auto", *sorted(known)])
    return f"web.search_engine: there is no engine {unknown[0]!r}; there are {names}"


def engine_hits(query: str, limit: int, engines: str, seconds: float) -> dict[str, Any]:
    """`hits` (title, url, description) of the `engines`, as `web.search_engine` names them; or `problem`,
    and whether it is `ours` (see `WebError`)."""
    from ddgs.ddgs import DDGS
    from ddgs.exceptions import DDGSException

    if problem := why_no_engine(engines):
        return {"problem": problem, "ours": True}
    tried: dict[str, str] = {}

    class Watched(DDGS):
        def _get_engines(self, category: str, backend: str) -> list[Any]:
            found: list[Any] = super()._get_engines(category, backend)
            for engine in found:
                engine.http_client.request = _noted(engine.name, engine.http_client.request, tried)
            return found

    asked = Watched(timeout=max(1, min(_ENGINE_SECONDS, round(seconds))))
    words = " ".join(_BANG.sub(" ", query).split())
    try:
        rows = asked.text(words, max_results=limit, backend=",".join(_named(engines)))
    except DDGSException as error:
        problem = _problem(tried, str(error))
        reached = not any(tried.values())
        return {"problem": problem, "ours": not reached} if problem else {"hits": []}
    return {"hits": [[row.get("title", ""), row.get("href", ""), row.get("body", "")] for row in rows]}


def _named(engines: str) -> list[str]:
    return [each.strip() for each in engines.split(",") if each.strip()] or ["auto"]


def _noted(name: str, request: Callable[..., Any], tried: dict[str, str]) -> Callable[..., Any]:
    """ddgs keeps one error of all, and takes an engine that refuses for one that finds nothing."""

    def noted(*given: Any, **more: Any) -> Any:
        try:
            response = request(*given, **more)
        except Exception as error:
            tried[name] = _reason(str(error))
            raise
        status = response.status_code
        tried[name] = "" if status == HTTPStatus.OK else f"queries are refused for now (HTTP {status})"
        return response

    return noted


def _reason(error: str) -> str:
    """What primp tells is a chain: `…request for url (…) > error resolving DNS > …`."""
    if "timed out" in error or "Timeout" in error:
        return _LATE
    if "DNS" in error:
        return _NO_NAMES
    return f"{_UNCONNECTED} ({error.rpartition(' > ')[2].partition(' (os')[0][:100]})"


def _problem(tried: dict[str, str], error: str) -> str:
    """Why there are no results; "" where engines looked and found none."""
    failed = {name: why for name, why in tried.items() if why}
    if not failed:
        return "" if "No results" in error else f"the search engines' answers cannot be read ({error[:200]})"
    if any(name not in failed and name not in _ENCYCLOPEDIAS for name in tried):
        return ""
    reasons = sorted(set(failed.values()))
    names = {why: ", ".join(sorted(each for each in failed if failed[each] == why)) for why in reasons}
    told = "; ".join(f"{why} (asked: {names[why]})" for why in reasons)
    lasting = all(why.startswith((_NO_NAMES, _UNCONNECTED)) for why in reasons)
    first = "check the network and HTTPS_PROXY" if lasting else "wait"
    return f"the search engines cannot be reached: {told}; {first}, {_OTHERS}"
