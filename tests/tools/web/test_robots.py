"""robots.txt, by the examples and rules of RFC 9309."""

from __future__ import annotations

import time

import pytest

from tools.web.robots import read_robots

RFC_EXAMPLE = """
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: Hermes-Agent/1.0
Disallow: /example/page.html

User-Agent: quxbot
EOF
"""


def allowed(text: str, path: str) -> bool:
    return read_robots(text).allows(f"https://site.example{path}")


def test_the_group_of_our_name_counts_and_the_one_for_all_does_not() -> None:
    assert not allowed(RFC_EXAMPLE, "/example/page.html")
    assert allowed(RFC_EXAMPLE, "/example/other.gif")


@pytest.mark.parametrize(
    ("path", "answer"),
    [("/a.gif", False), ("/a.gif?x", True), ("/example/x", False), ("/publications/", True), ("/", True)],
)
def test_without_one_the_group_for_all_counts(path: str, answer: bool) -> None:
    assert allowed(RFC_EXAMPLE.replace("Hermes-Agent", "another"), path) is answer


@pytest.mark.parametrize(
    ("rules", "path", "answer"),
    [
        ("Disallow: /\nAllow: /p", "/page", True),  # the longest decides
        ("Allow: /page\nDisallow: /page", "/page", True),  # of two as long, the one that allows
        ("Disallow: /*?", "/a?b=1", False),
        ("Disallow: /*?", "/a", True),
        ("Disallow: /*/x$", "/a/b/x", False),
        ("Disallow: /*/x$", "/a/b/xy", True),
        ("Disallow: /a$", "/a", False),
        ("Disallow: /a$", "/ab", True),
        ("Disallow: /ä", "/%C3%A4", False),
        ("Disallow: /%61", "/a", False),
        ("Disallow:", "/a", True),
        ("Disallow: /x # not y", "/x", False),
        ("Noise\nDisallow : /x", "/x", False),
        ("", "/x", True),
    ],
)
def test_rules(rules: str, path: str, answer: bool) -> None:
    assert allowed(f"User-agent: *\r\n{rules}", path) is answer


def test_groups_of_one_name_are_one_group() -> None:
    text = "User-agent: *\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\nUser-agent: *\nDisallow: /b"
    assert not allowed(text, "/a")
    assert not allowed(text, "/b")


@pytest.mark.parametrize(
    ("value", "delay"), [("2", 2.0), ("0.5", 0.5), ("9999", 10.0), ("-1", 0.0), ("soon", 0.0)]
)
def test_a_delay_is_kept_within_reason(value: str, delay: float) -> None:
    assert read_robots(f"User-agent: *\nCrawl-delay: {value}").delay == delay


def test_a_hostile_pattern_takes_no_time() -> None:
    robots = read_robots("User-agent: *\nDisallow: /" + "*a" * 5_000 + "$")
    began = time.process_time()
    assert robots.allows("https://site.example/" + "a" * 4_000)
    assert time.process_time() - began < 0.5
