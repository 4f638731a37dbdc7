"""Connections go to addresses that were checked, and to nothing else."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from safety.addresses import AllowedHosts
from tests.tools.network.web_server import Connection, guard_for, serving
from tools.network import guard as guard_module
from tools.network.failures import FetchError
from tools.network.fetch import fetch
from tools.network.guard import Guard, connect_to_one, look_up


async def hello(connection: Connection) -> None:
    await connection.answer(b"hello")


def refused_by(guard: Guard, host: str, port: int = 80) -> FetchError:
    with pytest.raises(FetchError) as error:
        asyncio.run(guard.open_connection(host, port))
    return error.value


def test_a_name_that_leads_to_a_private_address_is_refused_with_the_address() -> None:
    error = refused_by(Guard(lookup=lambda host, port: ["10.1.2.3"]), "intranet.example")
    assert error.kind == "refused"
    assert "intranet.example leads to 10.1.2.3: a private network" in str(error)
    assert "web.allowed_hosts" in str(error)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    guard = Guard(lookup=lambda host, port: ["8.8.8.8", "2606:4700::1", "169.254.169.254"])
    assert "the metadata service of a cloud" in str(refused_by(guard, "mixed.example"))


@pytest.mark.parametrize("name", ["localhost", "ip6-localhost", "127.0.0.1", "::1", "0.0.0.0"])
def test_this_machine_is_refused_by_all_of_its_names(name: str) -> None:
    try:
        look_up(name, 80)
    except OSError:
        pytest.skip(f"this machine has no {name}")
    assert refused_by(Guard(), name).kind == "refused"


def test_a_name_is_looked_up_once_so_that_a_second_answer_means_nothing() -> None:
    """DNS rebinding: public for the check, private for the connection."""
    answers = [["127.0.0.1"], ["8.8.8.8"]]
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers.pop()

    async def attack() -> None:
        async with serving(hello) as server:
            guard = Guard(lookup=rebinding)
            addresses = await guard.resolve("rebind.example", server.port)
            assert addresses == ["8.8.8.8"]  # what a connection would go to
            with pytest.raises(FetchError, match="this machine itself"):
                await guard.open_connection("rebind.example", server.port)
            assert asked == ["rebind.example"] * 2  # once for each, and what was found was used
            assert server.seen == []

    asyncio.run(attack())


def test_the_connection_goes_to_the_address_that_was_found() -> None:
    """No resolver knows the name: only the address that was given can have been used."""

    async def visit() -> None:
        async with serving(hello) as server:
            guard = Guard(AllowedHosts(["site.invalid"]), lookup=lambda host, port: ["127.0.0.1"])
            fetched = await fetch(f"http://site.invalid:{server.port}/", guard=guard)
            assert fetched.body == b"hello"
            assert server.seen[0].headers["host"] == f"site.invalid:{server.port}"

    asyncio.run(visit())


def test_an_allowed_host_is_reached_and_another_port_of_it_is_not() -> None:
    async def visit() -> None:
        async with serving(hello) as allowed, serving(hello) as other:
            guard = guard_for(f"localhost:{allowed.port}")
            assert (await fetch(f"http://localhost:{allowed.port}/", guard=guard)).body == b"hello"
            with pytest.raises(FetchError, match=f"adds localhost:{other.port} to web.allowed_hosts"):
                await fetch(f"http://localhost:{other.port}/", guard=guard)
            with pytest.raises(FetchError, match="this machine itself"):
                await fetch(f"http://127.0.0.1:{allowed.port}/", guard=guard)
            assert other.seen == []

    asyncio.run(visit())


def test_an_ipv6_address_is_connected_to_and_told_in_its_brackets() -> None:
    async def visit() -> None:
        told: list[bytes] = []

        async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            writer.close()

        try:
            server = await asyncio.start_server(page, "::1", 0)
        except OSError:
            pytest.skip("no IPv6 here")
        async with server:
            port = server.sockets[0].getsockname()[1]
            guard = guard_for(f"[::1]:{port}")
            assert (await fetch(f"http://[0:0::1]:{port}/", guard=guard)).body == b"hi"
            assert f"host: [::1]:{port}".encode() in told[0].lower()

    asyncio.run(visit())


def test_a_name_nobody_has_is_said_to_have_no_address() -> None:
    error = refused_by(Guard(), "nobody-has-this.invalid")
    assert error.kind == "dns"
    assert "no address was found for the name nobody-has-this.invalid" in str(error)


def test_a_silent_name_server_is_not_waited_for_and_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent(host: str, port: int) -> list[str]:
        time.sleep(5)
        return []

    monkeypatch.setattr(guard_module, "LOOKUP_TIME", 0.2)
    started = time.monotonic()
    error = refused_by(Guard(lookup=silent), "slow.example")
    assert error.kind == "dns"
    assert "took longer than 0.2 s" in str(error)
    assert time.monotonic() - started < 3


def test_a_lookup_that_breaks_is_told_as_it_is() -> None:
    def broken(host: str, port: int) -> list[str]:
        raise OSError("the resolver is on fire")

    assert "the resolver is on fire" in str(refused_by(Guard(lookup=broken), "a.example"))


def test_a_port_where_nobody_listens_is_told_in_words() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = refused_by(guard_for(), "127.0.0.1", port)
    assert error.kind == "connect"
    assert str(error) == f"127.0.0.1, port {port}, cannot be reached: connection refused"


def test_an_address_that_answers_is_found_behind_dead_ones() -> None:
    async def visit() -> None:
        async with serving(hello) as server:
            guard = Guard(
                AllowedHosts(["a.example"]), lookup=lambda host, port: ["127.0.0.2", "::1", "127.0.0.1"]
            )
            assert (await fetch(f"http://a.example:{server.port}/", guard=guard)).body == b"hello"

    asyncio.run(visit())


def test_an_address_that_keeps_silent_costs_a_moment_and_not_the_whole_time() -> None:
    """A listener whose queue is full takes no connection, and refuses none."""

    async def visit() -> float:
        with socket.socket() as full:
            full.bind(("127.0.0.2", 0))
            full.listen(0)
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.2", port))
            answering = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
            try:
                started = time.monotonic()
                _, writer = await connect_to_one(["127.0.0.2", "127.0.0.1"], port)
                writer.transport.abort()
                return time.monotonic() - started
            finally:
                answering.close()
                for filler in fillers:
                    filler.close()

    assert 0.2 < asyncio.run(visit()) < 5


def test_a_connection_that_is_given_up_leaves_no_socket_behind() -> None:
    async def give_up() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
            port = listening.getsockname()[1]
            for turns in range(40):
                opening = asyncio.ensure_future(guard_for().open_connection("127.0.0.1", port))
                for _ in range(turns % 8):
                    await asyncio.sleep(0)
                opening.cancel()
                for opened in await asyncio.gather(opening, return_exceptions=True):
                    if isinstance(opened, tuple):
                        opened[1].transport.abort()

    asyncio.run(give_up())  # an unclosed socket is a warning, and a warning is an error
