"""Whatever a server sends, a fetch ends with an answer or with an error of its own kind."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safety.addresses import AllowedHosts
from tests.tools.network.web_server import Connection, serving
from tools.network.charset import decode_text
from tools.network.failures import FetchError
from tools.network.fetch import Limits, fetch
from tools.network.filtering_proxy import FilteringProxy
from tools.network.guard import Guard

NAMES = st.sampled_from(
    [
        "Location", "Set-Cookie", "Content-Encoding", "Content-Type", "Content-Length", "Transfer-Encoding",
        "Connection", "Upgrade", "X",
    ]
)  # fmt: skip
LIKELY = st.sampled_from(
    [
        "gzip", "deflate", "chunked", "identity, gzip", "0", "5", "-1", "99999999999999999999", "/", "//",
        "///", "?", "http:", "http://", "http://[", "//[::1", "http://10.0.0.1/", "\\\\10.0.0.1", "=;=;",
        "a=b; Max-Age=x; Expires=y; Domain=.", "a=b; Path=/; Secure; Version=2", "text/html; charset=",
        "text/html; charset=\"", "close", "h2c",
    ]
)  # fmt: skip
VALUES = (
    LIKELY.map(str.encode) | st.binary(max_size=30) | st.text(max_size=20).map(lambda text: text.encode())
)
STATUS = st.sampled_from(
    [b"200 OK", b"302 Found", b"304 No", b"204 None", b"101 Other", b"103 Early", b"999 ", b"20", b""]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in fields)
    head = b"HTTP/1." + draw(st.sampled_from([b"1 ", b"0 ", b"2 "])) + draw(STATUS) + b"\r\n" + lines
    body = draw(
        st.binary(max_size=60) | st.just(b"5\r\nhello\r\n0\r\n\r\n") | st.just(b"\x1f\x8b\x08" + bytes(20))
    )
    return head + b"\r\n" + body


@given(answers() | st.binary(max_size=200))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_answer_is_too_strange(answer: bytes) -> None:
    async def page(connection: Connection) -> None:
        await connection.send(answer)
        connection.writer.write_eof()
        await asyncio.wait_for(connection.reader.read(), 5)

    async def visit() -> None:
        async with serving(page) as server:
            try:
                guard = Guard(AllowedHosts(["127.0.0.1"]), lookup=lambda host, port: ["10.0.0.1"])
                fetched = await fetch(server.url, guard=guard, limits=Limits(timeout=5))
            except FetchError as error:
                assert str(error)
                assert error.kind in ("protocol", "refused", "redirects", "connect")
            else:
                decode_text(fetched.body, fetched.content_type)

    asyncio.run(visit())


@given(
    answers() | st.binary(max_size=200),
    st.sampled_from(["GET", "HEAD", "POST", "CONNECT", "G\x00T"]),
    st.binary(max_size=80),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_neither_side_of_the_proxy_is_too_strange(answer: bytes, method: str, more: bytes) -> None:
    async def page(connection: Connection) -> None:
        await connection.send(answer)
        connection.writer.write_eof()
        await asyncio.wait_for(connection.reader.read(), 5)

    async def visit() -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, told: faults.append(told))
        proxy = FilteringProxy(Guard(AllowedHosts(["127.0.0.1"])), idle=5)
        async with serving(page) as server:
            port = int((await proxy.start()).rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            goal = f"127.0.0.1:{server.port}" if method == "CONNECT" else f"{server.url}/"
            writer.write(f"{method} {goal} HTTP/1.1\r\nHost: x\r\n".encode() + more + b"\r\n\r\n")
            with suppress(ConnectionError):
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 5)
            writer.transport.abort()
            await proxy.aclose()
        assert faults == []

    asyncio.run(visit())
