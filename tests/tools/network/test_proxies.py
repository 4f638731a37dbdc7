"""The proxy of an environment is used as other programs use it, and what may be reached stays the same."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from safety.addresses import AllowedHosts, read_address
from tests.tools.network.certificates import Authority
from tests.tools.network.web_server import Connection, Server, serving
from tools.network.failures import FetchError
from tools.network.fetch import Fetched, fetch
from tools.network.filtering_proxy import FilteringProxy
from tools.network.guard import Guard
from tools.network.proxies import Proxy, proxy_for


def proxy_of(url: str, environ: Mapping[str, str]) -> str:
    proxy = proxy_for(read_address(url), environ)
    return f"{proxy.scheme}://{proxy.host}:{proxy.port}" if proxy else ""


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("http://a.com/", {}, ""),
        ("http://a.com/", {"http_proxy": "http://p:3128"}, "http://p:3128"),
        ("http://a.com/", {"HTTP_PROXY": "http://p:3128/"}, "http://p:3128"),
        ("http://a.com/", {"HTTP_PROXY": "p:3128"}, "http://p:3128"),
        ("http://a.com/", {"HTTP_PROXY": "http://up", "http_proxy": "http://low"}, "http://low:80"),
        ("http://a.com/", {"HTTPS_PROXY": "http://p"}, ""),
        ("https://a.com/", {"HTTPS_PROXY": "http://p", "HTTP_PROXY": "http://q"}, "http://p:80"),
        ("https://a.com/", {"ALL_PROXY": "socks5h://p"}, "socks5h://p:1080"),
        ("https://a.com/", {"HTTPS_PROXY": "https://[::1]:9"}, "https://::1:9"),
        ("http://a.com/", {"HTTP_PROXY": "http://p", "NO_PROXY": "a.com"}, ""),
        ("http://b.a.com/", {"HTTP_PROXY": "http://p", "no_proxy": "x, .a.com"}, ""),
        ("http://b.a.com/", {"HTTP_PROXY": "http://p", "NO_PROXY": "*.a.com"}, ""),
        ("http://ba.com/", {"HTTP_PROXY": "http://p", "NO_PROXY": "a.com"}, "http://p:80"),
        ("http://a.com/", {"HTTP_PROXY": "http://p", "NO_PROXY": "*"}, ""),
        ("http://a.com:81/", {"HTTP_PROXY": "http://p", "NO_PROXY": "a.com:81"}, ""),
        ("http://a.com/", {"HTTP_PROXY": "http://p", "NO_PROXY": "a.com:81"}, "http://p:80"),
        ("http://10.1.2.3/", {"HTTP_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, ""),
        ("http://[fd00::1]/", {"HTTP_PROXY": "http://p", "NO_PROXY": "fd00::/8"}, ""),
        ("http://11.1.2.3/", {"HTTP_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, "http://p:80"),
        ("http://localhost:1/", {"HTTP_PROXY": "http://p"}, ""),
        ("http://127.9.9.9/", {"HTTP_PROXY": "http://p"}, ""),
    ],
)  # fmt: skip
def test_the_variables_mean_what_they_mean_elsewhere(
    url: str, environ: Mapping[str, str], proxy: str
) -> None:
    assert proxy_of(url, environ) == proxy


@pytest.mark.parametrize("value", ["ftp://p", "http://", "http://p:x", "://"])
def test_a_variable_that_names_no_proxy_is_told_by_its_name(value: str) -> None:
    with pytest.raises(FetchError, match="HTTP_PROXY holds no URL of a proxy"):
        proxy_of("http://a.com/", {"HTTP_PROXY": value})


def test_user_and_password_are_unquoted() -> None:
    proxy = proxy_for(read_address("http://a.com/"), {"HTTP_PROXY": "http://me:p%40ss@p:1"})
    assert proxy == Proxy("http", "p", 1, "me", "p@ss")


def by_way_of(handler_url: str, environ: Mapping[str, str], *allowed: str) -> Fetched:
    def lookup(host: str, port: int) -> list[str]:
        pytest.fail("a name was looked up here, where the proxy does it")

    guard = Guard(AllowedHosts(allowed), environ=environ, lookup=lookup)
    return asyncio.run(fetch(handler_url, guard=guard))


def test_a_page_is_asked_of_the_proxy_with_its_whole_address() -> None:
    async def visit() -> tuple[Fetched, Server]:
        async def proxy(connection: Connection) -> None:
            await connection.answer(b"by proxy")

        async with serving(proxy) as server:
            environ = {"HTTP_PROXY": server.url.replace("//", "//me:secret@")}
            return await fetch("http://site.invalid/a?b", guard=Guard(environ=environ)), server

    fetched, server = asyncio.run(visit())
    assert fetched.body == b"by proxy"
    assert server.seen[0].target == "http://site.invalid/a?b"
    assert server.seen[0].headers["host"] == "site.invalid"
    login = base64.b64encode(b"me:secret").decode()
    assert server.seen[0].headers["proxy-authorization"] == f"Basic {login}"


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://0xa9fea9fe/", "http://metadata.google.internal/", "http://app.localhost/"],
)
def test_an_address_that_is_private_for_certain_is_not_asked_of_a_proxy(url: str) -> None:
    with pytest.raises(FetchError) as error:
        by_way_of(url, {"HTTP_PROXY": "http://127.0.0.1:9"})
    assert error.value.kind == "refused"


def test_a_redirect_by_way_of_a_proxy_is_checked_as_well() -> None:
    async def visit() -> None:
        async def proxy(connection: Connection) -> None:
            await connection.redirect("http://169.254.169.254/")

        async with serving(proxy) as server:
            await fetch("http://site.invalid/", guard=Guard(environ={"HTTP_PROXY": server.url}))

    with pytest.raises(FetchError, match="the metadata service of a cloud") as error:
        asyncio.run(visit())
    assert error.value.kind == "refused"


def test_a_proxy_that_is_gone_is_named() -> None:
    with pytest.raises(
        FetchError, match=r"the proxy 127\.0\.0\.1:9 of your environment cannot be reached"
    ) as error:
        by_way_of("http://site.invalid/", {"HTTP_PROXY": "http://127.0.0.1:9"})
    assert error.value.kind == "connect"


def test_a_proxy_that_refuses_a_tunnel_is_told() -> None:
    async def visit() -> None:
        async def proxy(connection: Connection) -> None:
            await connection.answer(b"", "407 Proxy Authentication Required")

        async with serving(proxy) as server:
            await fetch("https://site.invalid/", guard=Guard(environ={"HTTPS_PROXY": server.url}))

    with pytest.raises(FetchError, match="the proxy of your environment refused: 407") as error:
        asyncio.run(visit())
    assert error.value.kind == "connect"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_a_page_with_tls_is_read_through_a_tunnel_and_its_certificate_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")

    async def hello(connection: Connection) -> None:
        await connection.answer(b"hello")

    async def visit() -> None:
        async with serving(hello, authority.serving("DNS:site.example")) as server:
            known = AllowedHosts(["site.example", "other.example"])
            proxy = FilteringProxy(Guard(known, lookup=lambda *_: ["127.0.0.1"]))
            environ = {"HTTPS_PROXY": await proxy.start()}
            guard = Guard(environ=environ, tls=authority.trusting)
            assert (await fetch(f"https://site.example:{server.port}/", guard=guard)).body == b"hello"
            with pytest.raises(FetchError, match="it belongs to another host"):
                await fetch(f"https://other.example:{server.port}/", guard=guard)
            await proxy.aclose()

    asyncio.run(visit())
