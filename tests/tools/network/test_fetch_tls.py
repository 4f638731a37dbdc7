"""A page whose certificate cannot be trusted is not read, and what is wrong with it is said."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from pathlib import Path

import pytest

from safety.addresses import AllowedHosts
from tests.tools.network.certificates import Authority
from tests.tools.network.web_server import Connection, serving
from tools.network.failures import FetchError
from tools.network.fetch import Fetched, Limits, fetch
from tools.network.guard import Guard

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def hello(connection: Connection) -> None:
    await connection.answer(b"hello " + connection.headers["host"].encode())


def visit(
    serves: ssl.SSLContext | None, trusts: ssl.SSLContext | None, host: str = "site.example"
) -> Fetched:
    async def go() -> Fetched:
        async with serving(hello, serves) as server:
            guard = Guard(AllowedHosts([host]), lookup=lambda host, port: ["127.0.0.1"], tls=trusts)
            return await fetch(f"https://{host}:{server.port}/", guard=guard)

    return asyncio.run(go())


def failure(serves: ssl.SSLContext | None, trusts: ssl.SSLContext | None, host: str = "site.example") -> str:
    with pytest.raises(FetchError) as error:
        visit(serves, trusts, host)
    assert error.value.kind == "tls"
    return str(error.value)


def test_a_page_with_a_good_certificate_is_read(authority: Authority) -> None:
    assert visit(authority.serving("DNS:site.example"), authority.trusting).body.startswith(
        b"hello site.example"
    )


def test_an_address_with_a_good_certificate_is_read(authority: Authority) -> None:
    fetched = visit(authority.serving("IP:127.0.0.1"), authority.trusting, "127.0.0.1")
    assert fetched.body.startswith(b"hello 127.0.0.1")


def test_an_authority_that_the_environment_names_is_trusted(authority: Authority) -> None:
    async def go() -> Fetched:
        async with serving(hello, authority.serving("DNS:site.example")) as server:
            environ = {"SSL_CERT_FILE": str(authority.file)}
            guard = Guard(AllowedHosts(["site.example"]), environ=environ, lookup=lambda *_: ["127.0.0.1"])
            return await fetch(f"https://site.example:{server.port}/", guard=guard)

    assert asyncio.run(go()).status == 200


def test_a_certificate_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    guard = Guard(environ={"SSL_CERT_FILE": str(tmp_path / "gone.pem")}, lookup=lambda *_: ["8.8.8.8"])
    with pytest.raises(FetchError, match=r"SSL_CERT_FILE.*gone\.pem") as error:
        asyncio.run(fetch("https://example.com/", guard=guard))
    assert error.value.kind == "tls"


def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    said = failure(authority.serving("DNS:site.example"), None)
    assert said.startswith("the certificate of site.example cannot be trusted: ")
    assert "an authority that this machine does not know" in said


def test_a_certificate_that_vouches_for_itself_is_refused(authority: Authority) -> None:
    said = failure(authority.serving("DNS:site.example", self_signed=True), authority.trusting)
    assert "self-signed" in said


def test_a_certificate_that_has_expired_is_refused(authority: Authority) -> None:
    said = failure(authority.serving("DNS:site.example", days=-1), authority.trusting)
    assert "it has expired" in said


def test_a_certificate_of_another_host_is_refused(authority: Authority) -> None:
    assert "it belongs to another host" in failure(authority.serving("DNS:other.example"), authority.trusting)


def test_a_certificate_of_another_address_is_refused(authority: Authority) -> None:
    said = failure(authority.serving("IP:127.0.0.2"), authority.trusting, "127.0.0.1")
    assert "it belongs to another address" in said


def test_a_server_without_tls_is_said_to_be_one() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def go() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        try:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            await fetch(url, guard=Guard(AllowedHosts(["127.0.0.1"])))
        finally:
            server.close()

    with pytest.raises(FetchError, match="does not speak TLS; it may be an http:// address") as error:
        asyncio.run(go())
    assert error.value.kind == "tls"


def test_a_server_that_is_silent_in_the_handshake_is_given_up() -> None:
    async def go() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            guard = Guard(AllowedHosts(["127.0.0.1"]))
            url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
            await fetch(url, guard=guard, limits=Limits(first_byte=0.3))

    with pytest.raises(FetchError, match=r"gave no answer within 0\.3 s"):
        asyncio.run(go())


def test_a_redirect_away_from_https_is_followed_and_told(authority: Authority) -> None:
    async def go() -> Fetched:
        async with serving(hello) as plain:

            async def away(connection: Connection) -> None:
                await connection.redirect(f"http://site.example:{plain.port}/")

            async with serving(away, authority.serving("DNS:site.example")) as secure:
                guard = Guard(
                    AllowedHosts(["site.example"]), lookup=lambda *_: ["127.0.0.1"], tls=authority.trusting
                )
                return await fetch(f"https://site.example:{secure.port}/", guard=guard)

    fetched = asyncio.run(go())
    assert fetched.downgraded
    assert fetched.url.startswith("http://site.example:")
