"""The proxy holds no more than is under way, no longer than it moves, and lets go of all at its end."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import suppress

import pytest

from tests.tools.network.proxy_client import connected, echo, hello, listening, proxying
from tests.tools.network.web_server import Connection, guard_for, serving
from tools.network.filtering_proxy import FilteringProxy
from tools.network.guard import Guard


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
