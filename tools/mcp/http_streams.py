"""A server that is spoken to over streamable HTTP, with bounds on what it may send."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from configuration.version import VERSION
from tools.mcp.launch import Launch
from tools.mcp.server_process import LONGEST_MESSAGE

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 15.0


@contextlib.asynccontextmanager
async def http_streams(launch: Launch, silence: float) -> AsyncIterator[tuple[Any, Any]]:
    """What is read from the server and written to it, as the SDK's session takes them.

    Its headers go to that server alone: the SDK follows redirects within its origin only. `silence` is how
    many seconds an answer may send nothing.
    """
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    headers = {"user-agent": f"hermes/{VERSION}", **launch.headers, "accept-encoding": "identity"}
    timeout = httpx2.Timeout(CONNECT_SECONDS, read=silence)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks={"response": [_bound]}) as client,
        streamable_http_client(launch.url, http_client=client, max_sse_event_size=LONGEST_MESSAGE) as streams,
    ):
        yield streams[0], streams[1]


async def _bound(response: httpx2.Response) -> None:
    """Let no answer grow without end: the SDK reads one that is JSON whole."""
    import httpx2

    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise httpx2.DecodingError("the server compresses its answers, though it was told not to")
    if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        whole = response.stream
        assert isinstance(whole, httpx2.AsyncByteStream)
        response.stream = _bounded_stream(whole)


def _bounded_stream(whole: httpx2.AsyncByteStream) -> httpx2.AsyncByteStream:
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            read = 0
            async for chunk in whole:
                read += len(chunk)
                if read > LONGEST_MESSAGE:
                    raise httpx2.StreamError(
                        f"the answer is longer than {LONGEST_MESSAGE // 1_000_000} MB; ask for less"
                    )
                yield chunk

        async def aclose(self) -> None:
            await whole.aclose()

    return Bounded()
