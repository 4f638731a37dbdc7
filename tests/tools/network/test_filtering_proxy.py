"""What goes through the proxy is checked connection by connection, and otherwise left as it is."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from safety.addresses import AllowedHosts
from tests.tools.network.web_server import Connection, guard_for, serving
from tools.network.filtering_proxy import FilteringProxy
from tools.network.guard import Guard


class Client:
    """A connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def head(self) -> str:
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)


@asynccontextmanager
async def connected(proxy_url: str) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy_url.rpartition(":")[2]))
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def proxying(guard: Guard, idle: float = 30.0) -> AsyncIterator[tuple[FilteringProxy, str]]:
    proxy = FilteringProxy(guard, idle=idle)
    try:
        yield proxy, await proxy.start()
    finally:
        await proxy.aclose()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends everything back, and its own end after the end of the other side."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write(b"<end>")
    writer.close()


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def hello(connection: Connection) -> None:
    size = int(connection.headers.get("content-length", "0"))
    body = await connection.reader.readexactly(size)
    told = " ".join(sorted(f"{name}={value}" for name, value in connection.headers.items()))
    await connection.answer(f"{connection.method} {connection.target} {told} ".encode() + body)


def test_a_request_is_passed_on_in_the_form_a_server_takes() -> None:
    async def go() -> None:
        async with serving(hello) as server, proxying(guard_for()) as (_, url), connected(url) as client:
            await client.say(
                f"POST {server.url}/a?b HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 4\r\nX-Own: 1\r\n"
                "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nConnection: X-Hop\r\n"
                "X-Hop: 2\r\n\r\nbody"
            )
            head = await client.head()
            assert head.startswith("HTTP/1.1 200")
            assert "connection: close" in head.lower()
            said = f"POST /a?b connection=close content-length=4 host=127.0.0.1:{server.port} x-own=1 body"
            assert (await client.rest()).decode() == said

    asyncio.run(go())


def test_a_tunnel_carries_both_ways_and_a_half_that_ends_is_passed_on() -> None:
    async def go() -> None:
        async with listening(echo) as port, proxying(guard_for()) as (_, url), connected(url) as client:
            await client.say(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\nearly ")
            assert (await client.head()).startswith("HTTP/1.1 200")
            await client.say("words")
            assert await client.reader.readexactly(11) == b"early words"
            client.writer.write_eof()
            assert await client.rest() == b"<end>"

    asyncio.run(go())


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://2130706433:{port}/", "http://10.0.0.1/",
        "http://169.254.169.254/latest/", "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
        "127.0.0.1:{port}", "localhost:{port}", "0x7f.1:{port}", "[::1]:{port}", "10.0.0.1:443",
        "inside.example:443",
    ],
)  # fmt: skip
def test_what_is_private_is_refused_with_a_page_that_says_why(target: str) -> None:
    async def go() -> None:
        guard = Guard(lookup=lambda host, port: ["192.168.7.7"])
        async with serving(hello) as server, proxying(guard) as (proxy, url), connected(url) as client:
            goal = target.format(port=server.port)
            method = "GET" if "/" in goal else "CONNECT"
            await client.say(f"{method} {goal} HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.head()).startswith("HTTP/1.1 403")
            page = (await client.rest()).decode()
            assert "Only public addresses may be reached" in page
            (refused,) = proxy.refused
            assert refused.split(": ", 1)[1] in page
            assert server.seen == []

    asyncio.run(go())


@pytest.mark.parametrize(
    "request_line",
    [
        "GET / HTTP/1.1", "GET https://example.com/ HTTP/1.1", "GET ftp://example.com/ HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "CONNECT example.com HTTP/1.1", "CONNECT http://example.com:80 HTTP/1.1", "GET http:///x HTTP/1.1",
        "CONNECT me@example.com:443 HTTP/1.1", "GET http://me@127.0.0.1/ HTTP/1.1",
        "GET http://127.0.0.1\\@x/ HTTP/1.1",
    ],
)  # fmt: skip
def test_what_a_browser_would_not_ask_a_proxy_is_refused(request_line: str) -> None:
    async def go() -> None:
        async with proxying(guard_for()) as (_, url), connected(url) as client:
            await client.say(f"{request_line}\r\nHost: example.com\r\n\r\n")
            assert (await client.head()).split()[1] in ("403", "502")

    asyncio.run(go())


@pytest.mark.parametrize(
    "said", ["", "nonsense\r\n\r\n", "GET http://", "\x16\x03\x01\x02\r\n\r\n", "G" * 300_000]
)
def test_what_is_no_request_ends_the_connection_and_nothing_else(said: str) -> None:
    async def go() -> None:
        async with serving(hello) as server, proxying(guard_for()) as (_, url):
            async with connected(url) as client:
                await client.say(said)
                if client.writer.can_write_eof():
                    client.writer.write_eof()
                with suppress(ConnectionResetError):
                    assert b"HTTP/1.1 2" not in await client.rest()
            async with connected(url) as client:
                await client.say(f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await client.head()).startswith("HTTP/1.1 200")

    asyncio.run(go())


def test_a_name_is_resolved_by_the_guard_and_the_connection_goes_where_it_said() -> None:
    async def go() -> None:
        guard = Guard(AllowedHosts(["site.invalid"]), lookup=lambda host, port: ["127.0.0.1"])
        async with serving(hello) as server, proxying(guard) as (_, url):
            for ask in ("GET http://site.invalid:{}/x HTTP/1.1", "CONNECT site.invalid:{} HTTP/1.1"):
                async with connected(url) as client:
                    await client.say(ask.format(server.port) + "\r\nHost: x\r\n\r\n")
                    assert (await client.head()).startswith("HTTP/1.1 200")

    asyncio.run(go())


def test_a_server_that_goes_on_after_its_answer_is_never_taken_for_another() -> None:
    """It keeps the connection against what it was told, and has an answer ready for the next request."""

    async def greedy(connection: Connection) -> None:
        forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        await connection.answer(b"mine", connection="keep-alive")
        await connection.send(forged)
        assert b"secret" not in await connection.reader.read()

    async def go() -> None:
        async with serving(greedy) as server, proxying(guard_for()) as (_, url), connected(url) as client:
            await client.say(f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.say(
                "GET http://bank.example/ HTTP/1.1\r\nHost: bank.example\r\nCookie: secret\r\n\r\n"
            )
            assert "keep-alive" not in await client.head()
            assert await client.rest() == b"mine"

    asyncio.run(go())


def test_a_websocket_goes_through_by_upgrade() -> None:
    async def upgrade(connection: Connection) -> None:
        assert connection.headers["upgrade"] == "websocket"
        await connection.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi "
        )
        while data := await connection.reader.read(100):
            await connection.send(data)

    async def go() -> None:
        async with serving(upgrade) as server, proxying(guard_for()) as (_, url), connected(url) as client:
            await client.say(
                f"GET {server.url}/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Key: dGVzdA==\r\n\r\n"
            )
            head = await client.head()
            assert head.startswith("HTTP/1.1 101")
            assert "upgrade: websocket" in head.lower()
            await client.say("there")
            assert await client.reader.readexactly(8) == b"hi there"

    asyncio.run(go())


def test_an_upgrade_that_the_server_does_not_take_is_an_answer_like_others() -> None:
    async def go() -> None:
        async with serving(hello) as server, proxying(guard_for()) as (_, url), connected(url) as client:
            await client.say(
                f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            )
            assert (await client.head()).startswith("HTTP/1.1 200")
            assert b"upgrade=h2c" in await client.rest()

    asyncio.run(go())


def test_early_hints_chunks_and_an_answer_without_a_length_come_through() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        if connection.target == "/chunks":
            await connection.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
            )
        else:
            await connection.send(b"HTTP/1.0 200 OK\r\n\r\nonetwo")

    async def go() -> None:
        async with serving(page) as server, proxying(guard_for()) as (_, url):
            for path in ("/chunks", "/plain"):
                async with connected(url) as client:
                    await client.say(f"GET {server.url}{path} HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert (await client.head()).startswith("HTTP/1.1 103")
                    assert (await client.head()).startswith("HTTP/1.1 200")
                    rest = await client.rest()
                    assert b"one" in rest
                    assert b"two" in rest

    asyncio.run(go())


@pytest.mark.parametrize("tunnel", [True, False])
def test_megabytes_come_through_unharmed_in_both_directions(tunnel: bool) -> None:
    data = bytes(range(256)) * 8_000

    async def mirror(connection: Connection) -> None:
        await connection.answer(await connection.reader.readexactly(len(data)))

    async def go() -> None:
        async with serving(mirror) as server, proxying(guard_for()) as (_, url), connected(url) as client:
            goal = server.url
            if tunnel:
                await client.say(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: x\r\n\r\n")
                await client.head()
                goal = ""
            await client.say(f"PUT {goal}/ HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n")
            client.writer.write(data)
            await client.head()
            back = await client.reader.readexactly(len(data))
            assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()

    asyncio.run(go())


def test_a_client_that_does_not_read_stops_the_server_from_sending() -> None:
    """Memory: what is under way stays bounded, however much a server has to say."""
    sent = [0]

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(65_536))
            await writer.drain()
            sent[0] += 65_536

    async def go() -> None:
        async with listening(pour) as port, proxying(guard_for()) as (_, url), connected(url) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.say(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n")
            before = -1
            while sent[0] != before:
                before = sent[0]
                await asyncio.sleep(0.3)

    asyncio.run(go())
    assert sent[0] < 30_000_000  # the buffers of the kernel, and a little


@pytest.mark.parametrize("tunnel", [True, False])
def test_a_connection_on_which_nothing_moves_is_closed(tunnel: bool) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        await reader.read(100)
        writer.close()

    async def go() -> None:
        async with (
            listening(silent) as port,
            proxying(guard_for(), idle=0.3) as (_, url),
            connected(url) as client,
        ):
            started = time.monotonic()
            ask = f"CONNECT 127.0.0.1:{port}" if tunnel else f"GET http://127.0.0.1:{port}/"
            await client.say(f"{ask} HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await client.head()
            assert head.split()[1] == ("200" if tunnel else "502")
            await client.rest()
            assert time.monotonic() - started < 5

    asyncio.run(go())


@pytest.mark.parametrize("tunnel", [True, False])
def test_a_connection_that_goes_on_is_kept_however_long_it_takes(tunnel: bool) -> None:
    async def drip(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.25)
            await connection.send(b"x")

    async def go() -> None:
        async with (
            serving(drip) as server,
            proxying(guard_for(), idle=1.2) as (_, url),
            connected(url) as client,
        ):
            goal = server.url
            if tunnel:
                await client.say(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: x\r\n\r\n")
                await client.head()
                goal = ""
            await client.say(f"GET {goal}/ HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.head()
            assert await client.reader.readexactly(8) == b"xxxxxxxx"

    asyncio.run(go())


@pytest.mark.parametrize(("kind", "tunnel"), [("http", "200"), ("socks5", "502")])
def test_behind_the_proxy_of_an_environment_the_same_is_refused(kind: str, tunnel: str) -> None:
    async def go() -> None:
        async with serving(hello) as upstream:
            spelled = upstream.url.replace("//", "//me:pw@")
            environ = {"HTTP_PROXY": spelled, "HTTPS_PROXY": spelled.replace("http", kind)}
            guard = Guard(environ=environ)
            async with proxying(guard) as (_, url):
                for ask, status in (
                    ("GET http://10.0.0.1/", "403"), ("CONNECT localhost:443", "403"),
                    ("GET http://site.invalid/x", "200"), ("CONNECT 8.8.8.8:443", tunnel),
                ):  # fmt: skip
                    async with connected(url) as client:
                        await client.say(f"{ask} HTTP/1.1\r\nHost: x\r\n\r\n")
                        assert (await client.head()).split()[1] == status, ask
            asked = ["http://site.invalid/x", "8.8.8.8:443"]
            assert [each.target for each in upstream.seen] == asked[: 2 if tunnel == "200" else 1]
            assert all(each.headers["proxy-authorization"] == "Basic bWU6cHc=" for each in upstream.seen)

    asyncio.run(go())


def test_a_client_that_leaves_lets_go_of_the_server() -> None:
    async def page(connection: Connection) -> None:
        assert (
            await connection.reader.read() == b""
        )  # comes when the proxy closes, long before any time is up

    async def go() -> None:
        async with serving(page) as server, proxying(guard_for()) as (proxy, url):
            async with connected(url) as client:
                await client.say(f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\n\r\n")
                while not server.seen:
                    await asyncio.sleep(0.01)
            await asyncio.wait_for(asyncio.gather(*server.tasks, return_exceptions=True), 5)
            assert proxy.refused == []

    asyncio.run(go())


@pytest.mark.parametrize("tunnel", [True, False])
def test_a_server_that_resets_ends_the_connection(tunnel: bool) -> None:
    async def reset(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        connection.writer.transport.abort()

    async def go() -> None:
        async with serving(reset) as server, proxying(guard_for()) as (_, url), connected(url) as client:
            goal = server.url
            if tunnel:
                await client.say(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: x\r\n\r\n")
                await client.head()
                goal = ""
            await client.say(f"GET {goal}/ HTTP/1.1\r\nHost: x\r\n\r\n")
            with suppress(ConnectionResetError):
                await client.rest()

    asyncio.run(go())


def test_a_port_where_nobody_listens_is_told() -> None:
    async def go() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            async with proxying(guard_for()) as (proxy, url), connected(url) as client:
                await client.say(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await client.head()).startswith("HTTP/1.1 502")
                assert b"connection refused" in await client.rest()
                assert proxy.refused[-1].startswith(f"127.0.0.1:{port}: ")

    asyncio.run(go())


def test_what_the_page_of_a_refusal_repeats_is_no_markup() -> None:
    async def go() -> None:
        async with proxying(Guard()) as (_, url), connected(url) as client:
            await client.say("GET http://<script>alert(1)</script>/ HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.head()
            assert b"<script" not in await client.rest()

    asyncio.run(go())


@pytest.mark.skipif(os.getuid() != 0 or not Path("/proc/net/tcp").exists(), reason="no root, or no Linux")
def test_another_user_of_the_machine_is_turned_away() -> None:
    async def ask_as(user: int, port: int, goal: str) -> str:
        asked = f"GET {goal}/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
        script = f"exec 3<>/dev/tcp/127.0.0.1/{port}; printf '{asked}' >&3; cat <&3"
        asking = await asyncio.create_subprocess_exec("bash", "-c", script, stdout=-1, user=user, cwd="/")
        return (await asking.communicate())[0].decode()

    async def go() -> None:
        async with serving(hello) as server, proxying(guard_for()) as (_, url):
            port = int(url.rpartition(":")[2])
            assert "belongs to another user" in await ask_as(65_534, port, server.url)
            assert server.seen == []
            assert "GET / " in await ask_as(0, port, server.url)

    asyncio.run(go())


def test_only_the_last_refusals_are_remembered() -> None:
    async def go() -> None:
        async with proxying(Guard()) as (proxy, url):
            for number in range(60):
                async with connected(url) as client:
                    await client.say(f"CONNECT 10.0.0.{number}:443 HTTP/1.1\r\nHost: x\r\n\r\n")
                    await client.head()
            assert len(proxy.refused) == 50
            assert proxy.refused[-1].startswith("10.0.0.59:443: 10.0.0.59 is a private network")
            assert proxy.reason_for("https://10.0.0.59/x").startswith("10.0.0.59 is a private network")
            assert proxy.reason_for("https://10.0.0.1/") == proxy.reason_for("https://8.8.8.8/") == ""
            assert "user name" in proxy.reason_for("https://me@10.0.0.59/")

    asyncio.run(go())


def test_closing_ends_what_is_under_way_and_leaves_no_task() -> None:
    async def go() -> None:
        async with listening(echo) as port:
            proxy = FilteringProxy(guard_for())
            url = await proxy.start()
            async with connected(url) as one, connected(url) as other, connected(url):
                for client in (one, other):
                    await client.say(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n")
                    await client.head()
                started = time.monotonic()
                await proxy.aclose()
                await proxy.aclose()
                assert time.monotonic() - started < 2
                with suppress(ConnectionResetError):
                    assert await one.rest() == b""
            with pytest.raises(OSError, match="Connect call failed"):
                await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            left = [task for task in asyncio.all_tasks() if "network" in str(task.get_coro())]
            assert left == []

    asyncio.run(go())


def test_many_connections_at_once_are_all_served() -> None:
    async def one(url: str, goal: str) -> bytes:
        async with connected(url) as client:
            await client.say(f"GET {goal}/ HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.head()
            return await client.rest()

    async def go() -> None:
        async with serving(hello) as server, proxying(guard_for()) as (_, url):
            pages = await asyncio.gather(*(one(url, server.url) for _ in range(60)))
            assert len(pages) == 60
            assert all(page.startswith(b"GET / ") for page in pages)

    asyncio.run(go())
