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


def engine_hits(query: str, limit: int, engines: str, seconds: float) -> dict[str, Any]:
    """`hits` (title, url, description) of the `engines`, as `web.search_engine` names them; or `problem`."""
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException

    if problem := why_no_engine(engines):
        return {"problem": problem}
    tried: dict[str, str] = {}

    class Watched(DDGS):  # type: ignore[misc, unused-ignore]
        def _get_engines(self, category: str, backend: str) -> list[Any]:
            engines: list[Any] = super()._get_engines(category, backend)
            for engine in engines:
                engine.http_client.request = _noted(engine.name, engine.http_client.request, tried)
            return engines

    asked = Watched(timeout=max(1, min(_ENGINE_SECONDS, round(seconds))))
    try:
        rows = asked.text(
            " ".join(_BANG.sub(" ", query).split()), max_results=limit, backend=",".join(wanted)
        )
    except DDGSException as error:
        problem = _problem(tried, str(error))
        return {"problem": problem} if problem else {"hits": []}
    return {"hits": [[row.get("title", ""), row.get("href", ""), row.get("body", "")] for row in rows]}


def _noted(name: str, request: Callable[..., Any], tried: dict[str, str]) -> Callable[..., Any]:
    """ddgs keeps one error of all, and takes an engine that refuses for one that finds nothing."""

    def noted(*given: Any, **more: Any) -> Any:
        try:
            response = request(*given, **more)
        except Exception as error:
            tried[name] = _reason(str(error))
            raise
        tried[name] = "" if response.status_code == HTTPStatus.OK else _refusal(response.status_code)
        return response

    return noted


def _reason(error: str) -> str:
    if "timed out" in error or "Timeout" in error:
        return _LATE
    if "DNS" in error:
        return _NO_NAMES
    return f"no connection ({error.rpartition(' > ')[2][:100].rstrip(chr(39) + '()')})"


def _refusal(status: int) -> str:
    return f"queries are refused for now (HTTP {status})"


def _problem(tried: dict[str, str], error: str) -> str:
    """Why there are no results; "" where engines looked and found none."""
    failed = {name: why for name, why in tried.items() if why}
    if not failed:
        return "" if "No results" in error else f"the search engines' answers cannot be read ({error[:200]})"
    if any(name not in failed and name not in _ENCYCLOPEDIAS for name in tried):
        return ""
    reasons = sorted(set(failed.values()))
    by_reason = [
        f"{', '.join(sorted(each for each in failed if failed[each] == why))}: {why}" for why in reasons
    ]
    told = "; ".join(by_reason)
    if reasons == [_NO_NAMES]:
        told = f"{_NO_NAMES} (asked were {', '.join(sorted(failed))})"
    lasting = all(why == _NO_NAMES or why.startswith("no connection") for why in reasons)
    first = "check the network and HTTPS_PROXY" if lasting else "wait"
    return f"the search engines cannot be reached: {told}; {first}, {_OTHERS}"


_NO_NAMES = "no network, or names cannot be resolved (DNS)"
_LATE = "no answer in time"
_ENCYCLOPEDIAS = ("wikipedia", "grokipedia")
"""ddgs asks these beside the engines; that they have no such article says little."""
_OTHERS = "set web.search_engine, or get a key: hermes config set-key FIRECRAWL_API_KEY"
