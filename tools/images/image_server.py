"""Requests to a server that draws: JSON to it, JSON and pictures from it, bounded in size."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

from models.chat_model import ModelError
from models.failure import FailureContext, bad_body, from_status, from_transport
from models.providers import Endpoint
from tools.pictures import MOST_BYTES
from tools.runtime import ToolRuntime

_MOST_JSON = 40_000_000
"""Bytes; a picture of 20 MB has 27 MB in base64."""
_MOST_ERROR = 64_000


class ImageServer:
    """One server for one picture; the key goes to its own host alone. All raise ModelError."""

    def __init__(self, endpoint: Endpoint, model: str, runtime: ToolRuntime) -> None:
        self.endpoint = endpoint
        self.model = model
        self.where = FailureContext(endpoint, model)
        self._runtime = runtime
        self._http: Any = None

    async def send(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON object. `url` may be relative to the base URL."""
        headers = self._key() if self.is_ours(url) else {}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        data = await self._read(method, self.absolute(url), headers, content, _MOST_JSON)
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise bad_body(self.where, "answered with something that is no JSON object")
        return answer

    async def download(self, url: str) -> bytes:
        """A picture that the answer names. From another host it comes by the way all pages come."""
        url = self.absolute(url)
        if self.is_ours(url):
            return await self._read("GET", url, {}, None, MOST_BYTES)
        from tools.network.failures import FetchError
        from tools.network.fetch import Limits, fetch
        from tools.network.guard import guard_of

        guard = guard_of(self._runtime.around)
        limits = Limits(max_bytes=MOST_BYTES, timeout=self._runtime.settings.images.timeout)
        try:
            fetched = await fetch(url, guard=guard, limits=limits, whole=True, headers={"Accept": "image/*"})
        except FetchError as error:
            raise bad_body(self.where, f"names a picture that cannot be had: {error}") from None
        if fetched.status >= 400:
            raise bad_body(self.where, f"names a picture whose server answers {fetched.status}")
        return fetched.body

    def absolute(self, url: str) -> str:
        return urljoin(self.endpoint.base_url + "/", url.lstrip("/") if "://" not in url else url)

    def is_ours(self, url: str) -> bool:
        """Scheme, host and port are the server's own."""
        mine, its = urlsplit(self.endpoint.base_url), urlsplit(self.absolute(url))
        return (mine.scheme, mine.netloc) == (its.scheme, its.netloc)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _key(self) -> dict[str, str]:
        key = self.endpoint.api_key
        if not key:
            return {}
        return {"Authorization": f"{'Key' if self.endpoint.name == 'FAL' else 'Bearer'} {key}"}

    async def _read(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, most: int
    ) -> bytes:
        async with self._response(method, url, headers, content) as response:
            failed = not response.is_success
            data = bytearray()
            async for piece in response.aiter_bytes():
                data += piece
                if failed and len(data) > _MOST_ERROR:
                    break
                if len(data) > most:
                    raise bad_body(self.where, f"sent more than {most // 1_000_000} MB")
            if failed:
                text = data.decode("utf-8", "replace")
                raise from_status(self.where, response.status_code, response.headers, text)
            return bytes(data)

    @asynccontextmanager
    async def _response(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> AsyncIterator[Any]:
        from models import sdk_client

        await self._connect()
        try:
            async with self._http.stream(method, url, headers=headers, content=content) as response:
                yield response
        except sdk_client.transport_errors() as error:
            raise from_transport(self.where, error, during_stream=False) from error

    async def _connect(self) -> None:
        import asyncio

        from models import sdk_client

        if self.endpoint.problem:
            raise ModelError("auth", self.endpoint.problem)
        if not (self.endpoint.api_key or "").isascii():
            raise ModelError("auth", f"the key in {self.endpoint.key_env} has characters that no key has")
        if self._http is None:
            settings = self._runtime.settings
            self._http = await asyncio.to_thread(
                sdk_client.http_client,
                self.endpoint,
                proxy=settings.model.proxy,
                ca_file=settings.model.ca_file,
                connect_timeout=settings.retry.connect_timeout,
            )
