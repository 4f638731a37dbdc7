"""Which addresses are one site, one page, one endless kind of page."""

from __future__ import annotations

import pytest

from tools.web.site import may_be_page, page_key, shape, site_of


def test_www_and_the_usual_port_do_not_make_another_site() -> None:
    assert site_of("https://www.Site.example:443/a") == site_of("http://site.example./b") == "site.example"
    assert site_of("https://site.example:8443/") != site_of("https://site.example/")
    assert site_of("https://docs.site.example/") != site_of("https://site.example/")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://site.example/a/", "https://www.site.example/a"),
        ("http://site.example/a?b=1&c=2", "http://site.example/a?c=2&b=1"),
        ("http://site.example/a?utm_source=x&gclid=1", "http://site.example/a"),
        ("http://site.example/a;jsessionid=12AB?b=1", "http://site.example/a?b=1"),
        ("http://site.example", "http://site.example/"),
    ],
)
def test_spellings_of_one_page(one: str, other: str) -> None:
    assert page_key(one) == page_key(other)


def test_different_pages_stay_different() -> None:
    assert (
        len({page_key(f"http://site.example{path}") for path in ("/a", "/A", "/a?b=1", "/a?b=2", "/b")}) == 5
    )


def test_pages_that_a_script_makes_have_one_shape() -> None:
    assert shape("http://s.example/cal/2024/05?day=3") == shape("http://s.example/cal/2031/12?day=9")
    assert shape("http://s.example/cal/2024") != shape("http://s.example/news/2024")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/guide", True), ("/guide.html", True), ("/paper.pdf", True), ("/a/b/a/b/a/b", True),
        ("/logo.PNG", False), ("/a/b/a/b/a/b/a/b", False), ("/release.tar.gz", False),
        ("/" + "x" * 1_001, False),
    ],
)  # fmt: skip
def test_what_may_be_a_page(path: str, answer: bool) -> None:
    assert may_be_page(f"http://site.example{path}") is answer
