"""What goes through the proxy is checked connection by connection, and otherwise left as it is."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from safety.addresses import AllowedHosts
from tests.tools.network.proxy_client import connected, echo, hello, listening, proxying
from tests.tools.network.web_server import Connection, guard_for, serving
from tools.network.guard import Guard


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
