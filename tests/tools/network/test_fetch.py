"""One page is fetched as a browser would fetch it, and every step on the way is checked."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from contextlib import suppress

import pytest

from safety.addresses import AllowedHosts
from tests.tools.network.web_server import Connection, Handler, Server, guard_for, serving
from tools.network.failures import FetchError
from tools.network.fetch import Fetched, Limits, fetch
from tools.network.guard import Guard

SHORT = Limits(timeout=10)


def fetched_from(
    handler: Handler,
    path: str = "/",
    *,
    limits: Limits = SHORT,
    headers: Mapping[str, str] | None = None,
    whole: bool = False,
) -> tuple[Fetched, Server]:
    async def visit() -> tuple[Fetched, Server]:
        async with serving(handler) as server:
            guard = guard_for("127.0.0.1", "localhost")
            url = server.url + path
            return await fetch(url, guard=guard, limits=limits, headers=headers, whole=whole), server

    return asyncio.run(visit())


def failure_of(handler: Handler, path: str = "/", *, limits: Limits = SHORT) -> FetchError:
    with pytest.raises(FetchError) as error:
        fetched_from(handler, path, limits=limits)
    return error.value


def test_a_page_comes_with_its_status_headers_and_address() -> None:
    async def page(connection: Connection) -> None:
        await connection.answer("grüß dich".encode(), x_Twice="1", X_twice="2")

    fetched, server = fetched_from(page, "/a%20b?c=d#e")
    assert (fetched.status, fetched.body.decode()) == (200, "grüß dich")
    assert fetched.url == f"{server.url}/a%20b?c=d"
    assert fetched.content_type == "text/plain; charset=utf-8"
    assert fetched.headers["x-twice"] == "1, 2"
    assert (fetched.cut, fetched.truncated, fetched.redirects, fetched.downgraded) == ("", False, [], False)
    assert server.seen[0].target == "/a%20b?c=d"


def test_the_server_is_told_who_asks_and_what_can_be_unpacked() -> None:
    async def page(connection: Connection) -> None:
        await connection.answer()

    _, server = fetched_from(page, headers={"Accept": "image/png", "Host": "evil", "Accept-Encoding": "br"})
    sent = server.seen[0].headers
    assert sent["host"] == f"127.0.0.1:{server.port}"
    assert "hermes-agent/" in sent["user-agent"]
    assert sent["accept"] == "image/png"
    assert sent["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b"])
def test_a_header_that_breaks_out_of_its_line_is_not_sent(value: str) -> None:
    async def page(connection: Connection) -> None:
        await connection.answer()

    with pytest.raises(FetchError, match="cannot be sent"):
        fetched_from(page, headers={"X-Thing": value})


@pytest.mark.parametrize(
    "status", ["404 Not Found", "500 Oops", "418 I'm a teapot", "299 ", "304 Not Modified"]
)
def test_an_answer_is_one_whatever_its_status(status: str) -> None:
    async def page(connection: Connection) -> None:
        await connection.answer(b"" if status.startswith("304") else b"so it is", status)

    fetched, _ = fetched_from(page)
    assert fetched.status == int(status[:3])
    assert fetched.body in (b"so it is", b"")


def test_only_the_head_is_asked_for_where_that_is_enough() -> None:
    async def page(connection: Connection) -> None:
        assert connection.method == "HEAD"
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")

    async def look() -> Fetched:
        async with serving(page) as server:
            return await fetch(server.url, guard=guard_for(), method="HEAD")

    fetched = asyncio.run(look())
    assert fetched.headers["content-length"] == "5000000000"
    assert fetched.body == b""


@pytest.mark.parametrize(
    ("packing", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", bytes),
        ("", bytes),
        ("gzip", lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:])),
        ("gzip", lambda data: gzip.compress(data) + b"padding"),
    ],
)  # fmt: skip
def test_what_the_server_packed_is_unpacked(packing: str, pack: type[bytes]) -> None:
    text = b"".join(b"%d bottles\n" % n for n in range(50_000))

    async def page(connection: Connection) -> None:
        await connection.answer(pack(text), content_encoding=packing)

    assert fetched_from(page)[0].body == text


def test_a_packing_that_was_not_asked_for_is_named() -> None:
    async def page(connection: Connection) -> None:
        await connection.answer(b"...", content_encoding="br")

    error = failure_of(page)
    assert error.kind == "protocol"
    assert "packed the page as 'br'" in str(error)


def test_what_is_not_packed_as_it_is_said_to_be_is_an_error() -> None:
    async def page(connection: Connection) -> None:
        await connection.answer(b"plain text", content_encoding="gzip")

    error = failure_of(page)
    assert error.kind == "protocol"
    assert "packed wrongly" in str(error)


def test_chunks_are_joined() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"one ", b"two ", b"three"):
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await connection.send(b"0\r\n\r\n")

    assert fetched_from(page)[0].body == b"one two three"


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_a_redirect_is_followed(status: str) -> None:
    async def page(connection: Connection) -> None:
        if connection.target == "/there?x=ü%C3%BC".replace("ü", "%C3%BC"):
            await connection.answer(b"arrived")
        else:
            await connection.redirect("there?x=ü%C3%BC#part", status)

    fetched, server = fetched_from(page, "/here")
    assert fetched.body == b"arrived"
    assert fetched.url == f"{server.url}/there?x=%C3%BC%C3%BC"
    assert fetched.redirects == [f"{server.url}/here"]


def test_a_redirect_to_nowhere_is_an_answer_like_others() -> None:
    async def page(connection: Connection) -> None:
        await connection.answer(b"choose", "302 Found")

    assert fetched_from(page)[0].status == 302


FORBIDDEN = [
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.2/", "//10.0.0.1/x", "http://[::1]/",
    "http://2130706434/", "https://192.168.0.1:8443/", "http://localhost.localdomain.localhost/",
    "http://[::ffff:10.0.0.1]/", "http://metadata.google.internal/computeMetadata/v1/",
]  # fmt: skip


@pytest.mark.parametrize("location", FORBIDDEN)
def test_a_redirect_to_a_private_address_is_refused(location: str) -> None:
    async def page(connection: Connection) -> None:
        await connection.redirect(location)

    error = failure_of(page)
    assert error.kind == "refused"
    assert "redirects to" in str(error)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://a:b@example.com/",
        "http://[",
        "http:\\\\10.0.0.1/",
    ],
)
def test_a_redirect_to_something_that_is_no_web_address_is_refused(location: str) -> None:
    async def page(connection: Connection) -> None:
        await connection.redirect(location)

    assert failure_of(page).kind == "refused"


def test_a_redirect_to_a_name_that_leads_to_a_private_address_is_refused() -> None:
    async def page(connection: Connection) -> None:
        await connection.redirect("http://innocent.example/")

    async def visit() -> None:
        async with serving(page) as server:
            guard = Guard(AllowedHosts(["127.0.0.1"]), lookup=lambda host, port: ["192.168.1.1"])
            with pytest.raises(FetchError, match=r"innocent\.example leads to 192\.168\.1\.1"):
                await fetch(server.url, guard=guard)

    asyncio.run(visit())


def test_redirects_in_a_circle_are_named() -> None:
    async def page(connection: Connection) -> None:
        await connection.redirect({"/a": "/b", "/b": "/c", "/c": "/a"}[connection.target])

    error = failure_of(page, "/a")
    assert error.kind == "redirects"
    assert "go in a circle" in str(error)
    assert "/b → " in str(error)


def test_redirects_without_an_end_are_given_up() -> None:
    async def page(connection: Connection) -> None:
        await connection.redirect(f"/{int(connection.target[1:] or 0) + 1}")

    error = failure_of(page)
    assert error.kind == "redirects"
    assert "redirects more than 10 times" in str(error)


def test_a_cookie_that_was_set_on_the_way_is_sent_back_to_its_host_alone() -> None:
    async def page(connection: Connection) -> None:
        if "seen=1" in connection.headers.get("cookie", ""):
            await connection.redirect(f"http://localhost:{server_port[0]}/other")
        elif connection.target == "/other":
            await connection.answer(connection.headers.get("cookie", "none").encode())
        else:
            await connection.redirect("/", set_cookie="seen=1; Path=/")

    server_port = [0]

    async def visit() -> Fetched:
        async with serving(page) as server:
            server_port[0] = server.port
            return await fetch(server.url, guard=guard_for("127.0.0.1", "localhost"))

    fetched = asyncio.run(visit())
    assert fetched.body == b"none"
    assert len(fetched.redirects) == 2


def test_what_was_meant_for_one_host_is_not_told_to_another() -> None:
    async def visit() -> None:
        async def second(connection: Connection) -> None:
            await connection.answer()

        async with serving(second) as other:

            async def first(connection: Connection) -> None:
                await connection.redirect("/again" if connection.target == "/" else f"{other.url}/x")

            async with serving(first) as one:
                sent = {"Authorization": "Bearer key", "X-Secret": "s", "Cookie": "a=b", "Accept": "text/*"}
                await fetch(one.url, guard=guard_for(), headers=sent)
                assert [each.headers.get("authorization") for each in one.seen] == ["Bearer key"] * 2
        told = other.seen[0].headers
        assert told["accept"] == "text/*"
        assert not {"authorization", "x-secret", "cookie", "referer"} & set(told)

    asyncio.run(visit())


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"", "protocol", "without sending a response"),
        (b"HTTP/1.1 200 OK\r\n", "protocol", "did not answer as a web server does"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "protocol", "did not answer as a web server does"),
        (b"\x16\x03\x01\x00\x00" * 100 + b"\r\n\r\n", "protocol", "did not answer as a web server does"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n", "protocol", "web server"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "protocol", "web server"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "protocol", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n", "protocol", "web server"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n", "protocol", "web server"),
    ],
)  # fmt: skip
def test_what_is_no_proper_answer_is_an_error(answer: bytes, kind: str, words: str) -> None:
    async def page(connection: Connection) -> None:
        await connection.send(answer)
        connection.writer.write_eof()
        await connection.reader.read()

    error = failure_of(page)
    assert error.kind == kind
    assert words in str(error)


def test_a_page_that_breaks_off_is_given_as_far_as_it_came_unless_it_must_be_whole() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning")

    fetched, _ = fetched_from(page)
    assert fetched.body == b"the beginning"
    assert fetched.truncated
    assert fetched.cut == "the page breaks off before its end"
    with pytest.raises(FetchError, match="the page breaks off before its end") as error:
        fetched_from(page, whole=True)
    assert error.value.kind == "protocol"


def test_a_packed_page_that_breaks_off_is_unpacked_as_far_as_it_came() -> None:
    packed = gzip.compress(b"".join(b"%d bottles\n" % n for n in range(50_000)))

    async def page(connection: Connection) -> None:
        await connection.answer(packed[: len(packed) // 2], content_encoding="gzip")

    fetched, _ = fetched_from(page)
    assert fetched.body.startswith(b"0 bottles\n1 bottles\n")
    assert fetched.cut == "the packed page ends early"


def test_a_reset_connection_is_told() -> None:
    async def page(connection: Connection) -> None:
        import socket
        import struct

        sock = connection.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.writer.transport.abort()

    error = failure_of(page)
    assert error.kind in ("connect", "protocol")
    assert "127.0.0.1" in str(error)


def test_what_follows_a_page_is_not_read_as_a_part_of_it() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npageHTTP/1.1 200 OK\r\n\r\nsmuggled"
        )

    assert fetched_from(page)[0].body == b"page"


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://me@example.com/", "nonsense", "http://10.0.0.1/"]
)
def test_an_address_that_must_not_be_gone_to_is_refused_before_anything_else(url: str) -> None:
    with pytest.raises(FetchError) as error:
        asyncio.run(fetch(url, guard=Guard(lookup=lambda host, port: pytest.fail("looked up"))))
    assert error.value.kind == "refused"


def test_a_fetch_that_is_called_off_leaves_nothing_open() -> None:
    async def page(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nbegun")
        await asyncio.sleep(30)

    async def call_off() -> None:
        async with serving(page) as server:
            visit = asyncio.ensure_future(fetch(server.url, guard=guard_for()))
            while not server.seen:
                await asyncio.sleep(0.01)
            visit.cancel()
            with pytest.raises(asyncio.CancelledError):
                await visit
            with suppress(ConnectionResetError):  # the server sees that the client has gone
                assert await asyncio.wait_for(server.seen[0].reader.read(), 5) == b""
            assert asyncio.all_tasks() - {asyncio.current_task()} == server.tasks

    asyncio.run(call_off())
