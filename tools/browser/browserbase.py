"""A browser at Browserbase: a session is made and released through its REST API.

Source: https://docs.browserbase.com/reference/api (sessions: create, update).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tools.browser.failures import BrowserError

API = "https://api.browserbase.com"
_SECONDS = 30.0
_FIXES = {
    401: "BROWSERBASE_API_KEY is not accepted: hermes config set-key BROWSERBASE_API_KEY",
    402: "the account's plan or credit does not allow it: see browserbase.com",
    403: "the key may not use the project of BROWSERBASE_PROJECT_ID",
    404: "there is no project with the id of BROWSERBASE_PROJECT_ID",
    429: "too many sessions run at once, or too many requests were made: close one, or try again later",
}


class Browserbase:
    """One session, which ends with the task; Browserbase ends it by itself when the connection is gone."""

    guarded = False
    shared = False
    group = 0
    ended = ""

    def __init__(self, key: str, project: str, api: str = "") -> None:
        self._key = key
        self._project = project
        self._api = (api or API).rstrip("/")
        self._id = ""

    async def open(self, folder: Path, environment: dict[str, str]) -> str:
        session = await self._post("/v1/sessions", {"projectId": self._project, "keepAlive": False})
        found, url = session.get("id"), session.get("connectUrl")
        if not isinstance(found, str) or not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
            raise BrowserError("Browserbase answered without a session's id and connectUrl")
        self._id = found
        return url

    def refusals(self) -> list[str]:
        return []

    async def close(self) -> None:
        """Raises BrowserError if it could not be released; it then ends by itself."""
        if self._id:
            released, self._id = self._id, ""
            await self._post(
                f"/v1/sessions/{released}", {"projectId": self._project, "status": "REQUEST_RELEASE"}
            )

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        import httpx2

        try:
            async with asyncio.timeout(_SECONDS), httpx2.AsyncClient(timeout=_SECONDS) as client:
                answer = await client.post(self._api + path, json=body, headers={"X-BB-API-Key": self._key})
            if answer.status_code >= 400:
                fix = _FIXES.get(answer.status_code, answer.text[:200])
                raise BrowserError(f"Browserbase answers {answer.status_code}: {fix}")
            told = answer.json()
        except (httpx2.HTTPError, TimeoutError) as error:
            raise BrowserError(f"Browserbase cannot be reached: {error or type(error).__name__}") from None
        except ValueError:
            raise BrowserError("Browserbase answered with something that is no JSON") from None
        return told if isinstance(told, dict) else {}
