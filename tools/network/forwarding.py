"""A plain HTTP request that a proxy passes on, and its answer.

Both are parsed and written anew by a library, one request for each connection: a server that goes on talking
after its answer, or keeps the connection open against what it was told, is never taken for another.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from tools.network.splice import PIECE, splice

if TYPE_CHECKING:
    from collections.abc import Iterable

    import h11

Headers: TypeAlias = list[tuple[bytes, bytes]]

_OF_ONE_HOP = {
    b"connection", b"proxy-connection", b"keep-alive", b"proxy-authorization", b"proxy-authenticate",
    b"te", b"trailer", b"upgrade", b"host",
}  # fmt: skip
"""RFC 9110, section 7.6.1; transfer-encoding is left to the library, and host is written anew."""


class ClientLeft(ConnectionError):
    """Nobody waits for the answer any more."""


class Peer:
    """One side: the connection, and what the library knows of it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: h11.Connection
    ) -> None:
        self.reader, self.writer, self.state = reader, writer, state

    async def next_event(self) -> Any:
        """The next event of the library. Raises h11.RemoteProtocolError or OSError."""
        import h11

        while (event := self.state.next_event()) is h11.NEED_DATA:
            self.state.receive_data(await self.reader.read(PIECE))
        return event

    async def send(self, event: h11.Event) -> None:
        if data := self.state.send(event):
            self.writer.write(data)
            await self.writer.drain()


class Forwarding:
    """One request on its way from `client` to `origin`. Silence of `idle` seconds ends it."""

    def __init__(self, client: Peer, origin: Peer, idle: float) -> None:
        self._client, self._origin, self._idle = client, origin, idle
        self._clock = asyncio.timeout(idle)

    async def run(self, request: h11.Request, target: bytes, host: bytes, extra: Headers) -> None:
        """Passes on `request`, its body and the answer; an upgrade that is agreed to joins the connections.

        `target` and `host` are what the server is told; `extra` are headers for the next hop alone.

        Raises:
            h11.ProtocolError, OSError: one of the two broke; TimeoutError: both were silent.
        """
        import h11

        wanted = _upgrade(request.headers)
        headers = [(b"host", host), *_passed_on(request.headers), *extra, *_hop(wanted)]
        async with self._clock:
            await self._origin.send(h11.Request(method=request.method, target=target, headers=headers))
            asked = asyncio.ensure_future(self._pass_body(watch=not wanted))
            answered = asyncio.ensure_future(self._pass_answer())
            try:
                await asyncio.wait({asked, answered}, return_when=asyncio.FIRST_COMPLETED)
                if not answered.done():
                    asked.result()  # raises where the client has gone
                upgraded = await answered
            finally:
                asked.cancel()
                answered.cancel()
                await asyncio.gather(asked, answered, return_exceptions=True)
        if upgraded:
            await self._join()

    async def _pass_body(self, *, watch: bool) -> None:
        """What follows the head of the request. With `watch` it then raises when the client leaves."""
        import h11

        while not isinstance(event := await self._client.next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise ClientLeft
            self._go_on()
            await self._origin.send(h11.Data(data=event.data))
        await self._origin.send(h11.EndOfMessage(headers=event.headers))
        while watch:
            if not await self._client.reader.read(PIECE):
                raise ClientLeft

    async def _pass_answer(self) -> bool:
        """Passes on the answer; True if it is that the protocol changes."""
        import h11

        while not isinstance(event := await self._origin.next_event(), h11.EndOfMessage):
            self._go_on()
            match event:
                case h11.InformationalResponse(status_code=101):
                    headers = [*_passed_on(event.headers), *_hop(_upgrade(event.headers))]
                    await self._client.send(h11.InformationalResponse(status_code=101, headers=headers))
                    return True
                case h11.InformationalResponse():
                    early = _passed_on(event.headers)
                    await self._client.send(
                        h11.InformationalResponse(status_code=event.status_code, headers=early)
                    )
                case h11.Response():
                    headers = [*_passed_on(event.headers), *_hop(b"")]
                    await self._client.send(
                        h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
                    )
                case h11.Data():
                    await self._client.send(h11.Data(data=event.data))
                case _:
                    raise ConnectionResetError("the server left")
        await self._client.send(h11.EndOfMessage(headers=event.headers))
        return False

    async def _join(self) -> None:
        client, origin = self._client, self._origin
        client.writer.write(origin.state.trailing_data[0])
        origin.writer.write(client.state.trailing_data[0])
        await splice((client.reader, client.writer), (origin.reader, origin.writer), self._idle)

    def _go_on(self) -> None:
        self._clock.reschedule(asyncio.get_running_loop().time() + self._idle)


def _upgrade(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return next((value for name, value in headers if name == b"upgrade"), b"")


def _hop(upgrade: bytes) -> Headers:
    return [(b"connection", b"upgrade"), (b"upgrade", upgrade)] if upgrade else [(b"connection", b"close")]


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Without what is meant for one hop, and without what `Connection` names as such."""
    pairs = list(headers)
    named = {
        name.strip().lower() for key, value in pairs if key == b"connection" for name in value.split(b",")
    }
    return [(name, value) for name, value in pairs if name not in _OF_ONE_HOP | named]
