"""Which web addresses may be gone to: every spelling of a private one is known for what it is."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configuration.home import SettingsError
from safety.addresses import (
    AllowedHosts,
    RefusedAddress,
    read_address,
    why_private,
    why_refused,
)

HOSTILE = r"""
http://127.0.0.1/                               this machine
http://127.0.0.1:8080/admin                     this machine
http://127.255.255.254/                         this machine
http://127.1/                                   this machine
http://127.0.1/                                 this machine
http://0/                                       this machine
http://0.0.0.0/                                 this machine
http://0.0.0.0:80                               this machine
http://0x0/                                     this machine
http://2130706433/                              this machine
http://017700000001/                            this machine
http://0x7f000001/                              this machine
http://0X7F000001/                              this machine
http://0x7f.1                                   this machine
http://0x7f.0x0.0x0.0x1/                        this machine
http://0177.0.0.1/                              this machine
http://0177.0.0.01/                             this machine
http://00000177.0.0.1/                          this machine
http://127.0.0.1./                              this machine
http://127.0x1/                                 this machine
http://127.0.0x00000001/                        this machine
http://0x7f.0.1                                 this machine
http://localhost/                               this machine
http://localhost./                              this machine
http://LOCALHOST:3000/                          this machine
http://LocalHost                                this machine
http://app.localhost/                           this machine
http://a.b.localhost.:99/                       this machine
http://ｌｏｃａｌｈｏｓｔ/                        this machine
http://①②⑦.0.0.1                                this machine
http://①②⑦。⓪。⓪。①/                             this machine
http://１２７．０．０．１/                         this machine
http://127。0。0。1/                              this machine
http://127．0．0．1/                              this machine
http://127｡0｡0｡1/                                this machine
http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/                                this machine
http://0ⅹ7f.1/                                  this machine
http://[::1]/                                   this machine
http://[::]/                                    this machine
http://[0:0:0:0:0:0:0:1]:8080/                  this machine
http://[0000:0000:0000:0000:0000:0000:0000:0001]  this machine
http://[::ffff:127.0.0.1]                       this machine
http://[::FFFF:7F00:1]/                         this machine
http://[::127.0.0.1]/                           this machine
http://[::ffff:0:127.0.0.1]/                    this machine
http://[64:ff9b::127.0.0.1]/                    this machine
http://[2002:7f00:0001::]/                      this machine
http://127.0.0.1#@good.example                  this machine
http://127.0.0.1?@good.example                  this machine
http://127.0.0.1/@good.example                  this machine
http://10.0.0.1/                                a private network
http://10.1/                                    a private network
http://167772161/                               a private network
http://012.0.0.1/                               a private network
http://0xa.0.0.1/                               a private network
http://192.168.1.1/                             a private network
http://192.168.257/                             a private network
http://0xc0a80101/                              a private network
http://3232235777/                              a private network
http://172.16.0.1/                              a private network
http://172.31.255.255/                          a private network
http://[fc00::1]/                               a private network
http://[fd12:3456:789a::1]/                     a private network
http://[fec0::1]/                               a private network
http://[::ffff:10.0.0.1]/                       a private network
http://[64:ff9b::a00:1]/                        a private network
http://[64:ff9b:1::1]/                          a private network
http://[2002:c0a8:101::1]/                      a private network
http://[2001:0:808:808:0:0:f5ff:fffe]/          a private network
http://[2600::5efe:10.0.0.1]/                   a private network
http://100.64.0.1/                              a provider's inner network
http://100.127.255.255/                         a provider's inner network
http://169.254.0.1/                             a link-local address
http://[fe80::1]/                               a link-local address
http://169.254.169.254/latest/meta-data/        the metadata service
http://2852039166/                              the metadata service
http://0xa9fea9fe/                              the metadata service
http://0251.0376.0251.0376/                     the metadata service
http://169.254.43518/                           the metadata service
http://169.254.170.2/v2/credentials             the metadata service
http://100.100.100.200/                         the metadata service
http://168.63.129.16/                           the metadata service
http://192.0.0.192/                             the metadata service
http://[fd00:ec2::254]/                         the metadata service
http://[::ffff:169.254.169.254]/                the metadata service
http://metadata.google.internal/                the metadata service
http://METADATA.google.internal./               the metadata service
http://224.0.0.1/                               a multicast address
http://239.255.255.250:1900/                    a multicast address
http://[ff02::1]/                               a multicast address
http://240.0.0.1/                               a reserved range
http://255.255.255.255/                         a reserved range
http://192.0.0.1/                               a reserved range
http://[5f00::1]/                               a reserved range
http://[4000::1]/                               a reserved range
http://[100::1]/                                a reserved range
http://198.18.0.1/                              a range for benchmarks
http://198.19.255.255/                          a range for benchmarks
http://192.0.2.1/                               a range for documentation
http://198.51.100.1/                            a range for documentation
http://203.0.113.1/                             a range for documentation
http://[2001:db8::1]/                           a range for documentation
http://[3fff::1]/                               a range for documentation
http://evil@127.0.0.1                           a user name
http://user:pass@example.com/                   a user name
http://example.com@127.0.0.1/                   a user name
http://@example.com/                            a user name
http://127.0.0.1:80@example.com/                a user name
http://example.com:80:80/                       not a port
http:\\127.0.0.1                                a backslash
http://example.com\@127.0.0.1/                  a backslash
http:/\127.0.0.1/                               a backslash
http:127.0.0.1                                  not of the form
http:/127.0.0.1                                 not of the form
http://                                         no host
http:///127.0.0.1                               no host
http://:80/                                     no host
http://?x                                       no host
//127.0.0.1/                                    not of the form
127.0.0.1                                       not of the form
example.com                                     not of the form
example.com:80                                  only http and https
file:///etc/passwd                              only http and https
FILE:///etc/passwd                              only http and https
ftp://example.com/                              only http and https
gopher://127.0.0.1:6379/_INFO                   only http and https
javascript:alert(1)                             only http and https
data:text/html,hello                            only http and https
chrome://settings                               only http and https
view-source:http://127.0.0.1/                   only http and https
about:blank                                     only http and https
ws://example.com/                               only http and https
http+unix://%2Fvar%2Frun%2Fdocker.sock/info     only http and https
http://1.2.3.4.5/                               looks like an IPv4 address
http://1.2.3.4.0/                               looks like an IPv4 address
http://256.1.1.1/                               looks like an IPv4 address
http://127.0.0.256/                             looks like an IPv4 address
http://4294967296/                              looks like an IPv4 address
http://08.0.0.1/                                looks like an IPv4 address
http://0x100.1/                                 looks like an IPv4 address
http://1.2.3.0xg.9/                             looks like an IPv4 address
http://example.1/                               looks like an IPv4 address
http://999999999999999999999999999999999999/    looks like an IPv4 address
http://127.0.0.1../                             not the name of a host
http://a..b/                                    not the name of a host
http://.example.com/                            not the name of a host
http://127.0.0.1%2f@example.com/                a user name
http://127%2e0%2e0%2e1/                         not the name of a host
http://%31%32%37.0.0.1/                         not the name of a host
http://exa_mple!.com/                           not the name of a host
http://-a.com/                                  not the name of a host
http://a$(id).com/                              not the name of a host
http://[::1/                                    not the name of a host
http://::1/                                     not a port
http://[::1]x/                                  not the name of a host
http://[::1]:x/                                 not a port
http://[v1.fe80::1]/                            not an IPv6 address
http://[127.0.0.1]/                             not an IPv6 address
http://[::ffff:0x7f.1]/                         not an IPv6 address
http://[fe80::1%25eth0]/                        names a network interface
http://[fe80::1%eth0]/                          names a network interface
http://example.com:25/                          port 25 is not one of the web
https://8.8.8.8:22/                             port 22 is not one of the web
http://example.com:06667/                       port 6667 is not one of the web
http://example.com:0/                           not a port
http://example.com:65536/                       not a port
http://example.com:99999999999999999999/        not a port
http://example.com:-1/                          not a port
http://example.com:８０/                         not a port
http://example.com:0x50/                        not a port
"""
ROWS = [tuple(row.rsplit("  ", 1)) for row in HOSTILE.strip().splitlines()]


@pytest.mark.parametrize(("url", "reason"), [(url.strip(), reason.strip()) for url, reason in ROWS])
def test_a_hostile_url_is_refused_for_what_it_is(url: str, reason: str) -> None:
    assert reason in why_refused(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://exa mple.com/", "http://example.com/a b", "http://example.com/\r\nHost: x", "http://a\tb.com",
        "http://127.0.0.1\x00.example.com/", "http://example.com/\x7f", "http://exa\nmple.com", "http://\ud800.com/",
        "http://example.com /", "http://a\u00a0b.com/", "http://\u202eexample.com/", "http://a\u2028b.com/",
        "http://" + "a" * 64 + ".com/", "http://" + "a." * 130 + "com/", "http://example.com/" + "a" * 8_000,
        "", "   ",
    ],
)  # fmt: skip
def test_white_space_control_characters_and_lengths_no_host_has_are_refused(url: str) -> None:
    assert why_refused(url)


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u200d"])
def test_a_character_that_nobody_sees_hides_no_address(hidden: str) -> None:
    assert why_refused(f"http://127.0.{hidden}0.1/")
    assert why_refused(f"http://local{hidden}host/")


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("https://example.com", "https://example.com/"),
        ("  https://example.com/ \n", "https://example.com/"),
        ("HTTPS://EXAMPLE.COM./A?b=C#d", "https://example.com/A?b=C"),
        ("http://example.com:80/", "http://example.com/"),
        ("http://example.com:/", "http://example.com/"),
        ("https://example.com:8443?x", "https://example.com:8443/?x"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://134744072/", "http://8.8.8.8/"),
        ("http://[2606:4700:4700::1111]:81/", "http://[2606:4700:4700::1111]:81/"),
        ("http://[64:ff9b::8.8.8.8]/", "http://[64:ff9b::808:808]/"),
        ("https://münchen.de/straße?ö=ü#ä", "https://xn--mnchen-3ya.de/stra%C3%9Fe?%C3%B6=%C3%BC"),
        ("https://EXAMPLE。com/", "https://example.com/"),
        ("https://faß.de/", "https://xn--fa-hia.de/"),
        ("https://xn--mnchen-3ya.de/", "https://xn--mnchen-3ya.de/"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("https://a_b.example.com/%20%zz?q=\"<x>'", "https://a_b.example.com/%20%zz?q=%22%3Cx%3E'"),
        ("https://fa.wikipedia.org/wiki/می\u200cخواهم", "https://fa.wikipedia.org/wiki/"
         "%D9%85%DB%8C%E2%80%8C%D8%AE%D9%88%D8%A7%D9%87%D9%85"),
        ("https://example.com/a@b:c;d=e,f/../g", "https://example.com/a@b:c;d=e,f/../g"),
        ("https://localhost.example.com/", "https://localhost.example.com/"),
        ("https://127.0.0.1.example.com/", "https://127.0.0.1.example.com/"),
        ("https://0x7f.com/", "https://0x7f.com/"),
        ("https://3com.com/", "https://3com.com/"),
    ],
)  # fmt: skip
def test_a_public_url_is_spelled_in_one_way(url: str, spelled: str) -> None:
    assert why_refused(url) == ""
    assert read_address(url).url == spelled
    assert read_address(spelled).url == spelled


@pytest.mark.parametrize(
    "public",
    [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
        "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15",
        "2606:4700::1111", "2a00:1450:4001::1", "2620:fe::fe", "::ffff:8.8.8.8", "64:ff9b::1.1.1.1",
        "2002:808:808::1", "2001:200::1", "2003::1",
    ],
)  # fmt: skip
def test_an_address_next_to_a_private_range_is_public(public: str) -> None:
    assert why_private(public) == ""


def test_an_interface_behind_an_address_changes_nothing() -> None:
    assert why_private("fe80::1%eth0") == "a link-local address"
    assert why_private(ip_address("fe80::1%2")) == "a link-local address"


@settings(deadline=None)
@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_refused_as_well(ip: IPv4Address | IPv6Address) -> None:
    # It calls a few services public that lie inside of reserved ranges; those are refused all the same.
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local:
        carried = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
        assert why_private(ip) or (carried and not why_private(carried)) or str(ip).startswith("64:ff9b::")


PRIVATE_V4 = st.one_of(
    *(
        st.ip_addresses(network=network)
        for network in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                        "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
    )
)  # fmt: skip


@st.composite
def spellings(draw: st.DrawFn) -> tuple[IPv4Address, str]:
    """A private address, in one of the many ways in which C libraries and browsers read it."""
    ip = draw(PRIVATE_V4)
    assert isinstance(ip, IPv4Address)
    count = draw(st.integers(1, 4))
    octets = list(ip.packed)
    numbers = [*octets[: count - 1], int.from_bytes(bytes(octets[count - 1 :]), "big")]
    pieces = []
    for number in numbers:
        zeros = "0" * draw(st.integers(0, 6))
        pieces.append(
            draw(
                st.sampled_from([str(number), f"0{zeros}{number:o}", f"0x{zeros}{number:x}", f"0X{number:X}"])
            )
        )
    host = ".".join(pieces) + draw(st.sampled_from(["", "."]))
    if draw(st.booleans()):
        dot = draw(st.sampled_from("．。｡"))
        host = host.replace(".", dot).translate({ord("0") + n: chr(ord("０") + n) for n in range(10)})
    return ip, host


@settings(deadline=None)
@given(spellings())
def test_every_spelling_of_a_private_ipv4_address_is_known_for_it(spelled: tuple[IPv4Address, str]) -> None:
    ip, host = spelled
    assert read_address(f"http://{host}/").ip == ip
    assert why_refused(f"http://{host}/")


NUMBERS = st.one_of(
    st.text(alphabet="0123456789abcdefxX", max_size=10),
    st.builds(str.__mod__, st.sampled_from(["%d", "0%o", "0x%x", "0X%X", "000%o"]), st.integers(0, 255)),
    st.builds(str.__mod__, st.sampled_from(["%d", "0%o", "0x%x"]), st.integers(0, 2**33)),
)


@given(st.lists(NUMBERS, min_size=1, max_size=5).map(".".join))
@example("0x7f.1")
@example("127.0.0.1.")
@example("0x.0x.0x.0x")
@example("017700000001")
@settings(max_examples=400, deadline=None)
def test_what_the_c_library_takes_for_a_private_address_is_refused(host: str) -> None:
    """Without a name server: what the resolver itself reads as an address."""
    for spelled in (host, host.replace(".", "。"), host.translate({ord("1"): "１", ord("x"): "ｘ"})):
        try:
            found = socket.getaddrinfo(spelled, 80, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            continue
        if any(why_private(address[0]) for *_, address in found if isinstance(address[0], str)):
            assert why_refused(f"http://{spelled}/")


@settings(deadline=None)
@given(
    PRIVATE_V4, st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}", "::ffff:0:{}", "2600:1:2:3:0:5efe:{}"])
)
def test_a_private_address_inside_of_an_ipv6_address_is_found(ip: IPv4Address, form: str) -> None:
    assert why_private(form.format(ip))
    for spelled in (
        form.format(ip),
        str(IPv6Address(form.format(ip))),
        IPv6Address(form.format(ip)).exploded,
    ):
        assert why_refused(f"http://[{spelled}]:8080/")


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_is_too_strange_to_be_judged(text: str) -> None:
    for url in (text, f"http://{text}", f"http://{text}.example.com/{text}", f"http://[{text}]/"):
        why_refused(url)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_what_is_read_is_ascii_and_reads_the_same_again(text: str) -> None:
    try:
        address = read_address(f"https://{text}")
    except RefusedAddress:
        return
    assert address.url.isascii()
    assert not any(character <= " " for character in address.url)
    assert read_address(address.url) == address


def test_a_named_host_may_be_private_and_its_neighbours_may_not() -> None:
    allowed = AllowedHosts(["Wiki.Corp.", "10.0.0.5:8080", "localhost", "[::1]:9000", "fd00::7", "127.0.0.1"])
    for url in (
        "http://wiki.corp/", "https://WIKI.corp.:8443/x", "http://10.0.0.5:8080/", "http://0xa.0.0.5:8080/",
        "http://localhost:1234/", "http://[::1]:9000/", "http://[fd00::7]/", "http://2130706433/",
    ):  # fmt: skip
        assert why_refused(url, allowed) == "", url
    for url in (
        "http://10.0.0.5/",
        "http://10.0.0.6:8080/",
        "http://[::1]/",
        "http://app.localhost/",
        "http://[fd00::8]/",
    ):
        assert why_refused(url, allowed), url


def test_a_port_that_is_none_of_the_web_has_to_be_named_itself() -> None:
    assert why_refused("http://wiki:25/", AllowedHosts(["wiki"]))
    assert why_refused("http://wiki:25/", AllowedHosts(["wiki:25"])) == ""


def test_an_allowed_host_is_still_asked_for_in_a_proper_way() -> None:
    assert "user name" in why_refused("http://me@localhost/", AllowedHosts(["localhost"]))


@pytest.mark.parametrize(
    "entry", ["", "http://wiki.corp/", "wiki.corp/x", "*.corp", "10.0.0.0/8", "a b", "wiki:0", "me@wiki"]
)
def test_an_entry_that_is_no_host_is_named(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"web\.allowed_hosts: .*Write NAME or NAME:PORT") as error:
        AllowedHosts([entry])
    assert repr(entry) in str(error.value)
