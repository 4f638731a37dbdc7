"""Search engines that need no key. Runs in a child process (`tools.web.child`): ddgs has its own HTTP client
and its own threads."""

from __future__ import annotations

import re
from typing import Any

_ENGINE_SECONDS = 10
"""The most one engine may take; others are asked beside it."""
_BANG = re.compile(r"(?<!\S)[!\\]+|!+(?!\S)")
"""By such words engines send a query on to some other site (https://duckduckgo.com/bangs)."""


def engine_hits(query: str, limit: int, engines: str, seconds: float) -> dict[str, Any]:
    """`hits` (title, url, description) of the `engines`, as `web.search_engine` names them; or `problem`."""
    from ddgs import DDGS
    from ddgs.engines import ENGINES
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

    known = ENGINES["text"]
    wanted = [each.strip() for each in engines.split(",") if each.strip()] or ["auto"]
    unknown = [each for each in wanted if each != "auto" and each not in known]
    if unknown:
        names = ", ".join(["auto", *sorted(known)])
        return {"problem": f"web.search_engine: there is no engine {unknown[0]!r}; there are {names}"}
    asked = DDGS(timeout=max(1, min(_ENGINE_SECONDS, round(seconds))))
    try:
        rows = asked.text(
            " ".join(_BANG.sub(" ", query).split()), max_results=limit, backend=",".join(wanted)
        )
    except TimeoutException:
        return {"problem": "the search engines did not answer in time; try again, or other words"}
    except RatelimitException:
        return {"problem": f"the search engines refuse more queries for now; {_OTHERS}"}
    except DDGSException as error:
        if "No results" in str(error):
            return {"hits": []}
        return {"problem": f"the search engines cannot be reached ({str(error)[:200]}); {_OTHERS}"}
    return {"hits": [[row.get("title", ""), row.get("href", ""), row.get("body", "")] for row in rows]}


_OTHERS = "wait, set web.search_engine, or get a key: hermes config set-key FIRECRAWL_API_KEY"
