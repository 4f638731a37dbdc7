"""web_crawl on sites of loopback: breadth first, with manners and an end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.web.loopback_site import LoopbackSite, Served, loopback_site
from tests.tools.web.web_workshop import web_workshop
from tests.tools.workshop import Called
from tools.web.backend import Link, Page
from tools.web.crawl import Crawler
from tools.web.robots import Robots

pytest.importorskip("lxml")
pytest.importorskip("markdownify")


@pytest.fixture
def site() -> Iterator[LoopbackSite]:
    with loopback_site() as site:
        yield site


def links(*paths: str, text: str = "link") -> str:
    return "".join(f'<p><a href="{path}">{text}</a></p>' for path in paths)


def crawl(tmp_path: Path, url: str, *, settings: dict[str, Any] | None = None, **arguments: Any) -> Called:
    return web_workshop(tmp_path, **(settings or {})).call("web_crawl", url=url, **arguments)


def paths(called: Called) -> list[str]:
    return [re.sub(r"^http://[^/]*", "", page["url"]) for page in called.data["pages"]]


def test_a_site_is_read_breadth_first_and_no_page_twice(site: LoopbackSite, tmp_path: Path) -> None:
    site.html("/", "<h1>Home</h1>" + links("/a", "/b", "/a#top", "/a/", "/?utm_source=x"))
    site.html("/a", "A " + links("/a/deep", "/"))
    site.html("/b", "B " + links("/a", "/b/deep"))
    site.html("/a/deep", "AD")
    site.html("/b/deep", "BD")
    called = crawl(tmp_path, site.url("/"))
    assert called.status == "ok"
    assert called.data["untrusted"] == "web page"
    assert paths(called) == ["/", "/a", "/b", "/a/deep", "/b/deep"]
    assert sorted(site.asked) == sorted(["/robots.txt", "/", "/a", "/b", "/a/deep", "/b/deep"])


def test_it_stays_on_its_site(site: LoopbackSite, tmp_path: Path) -> None:
    with loopback_site() as other:
        other.html("/x", "elsewhere")
        site.html("/", "Home" + links(other.url("/x"), "/leaves", "mailto:a@b.example", "http://10.0.0.1/"))
        site.put("/leaves", "", "", status=302, headers={"Location": other.url("/x")})
        assert paths(crawl(tmp_path, site.url("/"))) == ["/"]
        assert other.asked == ["/x"]  # where the redirect led; it is not shown


def test_a_start_that_redirects_to_another_host_makes_that_the_site(
    site: LoopbackSite, tmp_path: Path
) -> None:
    with loopback_site() as other:
        site.put("/", "", "", status=301, headers={"Location": other.url("/home")})
        other.html("/home", "Home" + links("/more"))
        other.html("/more", "More")
        assert paths(crawl(tmp_path, site.url("/"))) == ["/home", "/more"]


def test_the_limit_holds_and_what_is_left_is_told(site: LoopbackSite, tmp_path: Path) -> None:
    site.html("/", "Home" + links(*(f"/page-{letter}" for letter in "abcdefgh")))
    for letter in "abcdefgh":
        site.html(f"/page-{letter}", letter)
    called = crawl(tmp_path, site.url("/"), limit=4)
    assert len(called.data["pages"]) == 4
    assert "5 more pages were found" in called.note
    assert len(site.asked) == 5


def test_links_that_share_words_with_the_instructions_come_first(site: LoopbackSite, tmp_path: Path) -> None:
    site.html(
        "/", "Home" + links("/a", "/b") + links("/c", text="Prices and plans") + links("/refund-policy")
    )
    for path in ("/a", "/b", "/c", "/refund-policy"):
        site.html(path, path)
    called = crawl(tmp_path, site.url("/"), limit=3, instructions="What are the prices, the refund?")
    assert paths(called) == ["/", "/c", "/refund-policy"]


def test_robots_txt_is_honoured_and_told(site: LoopbackSite, tmp_path: Path) -> None:
    site.put("/robots.txt", "User-agent: *\nDisallow: /private\nAllow: /private/open\n", "text/plain")
    site.html("/", "Home" + links("/private/a", "/private/open", "/b"))
    site.html("/private/open", "open")
    site.html("/b", "b")
    called = crawl(tmp_path, site.url("/"))
    assert paths(called) == ["/", "/private/open", "/b"]
    assert "1 pages were left alone, as robots.txt asks" in called.note
    assert "/private/a" not in site.asked


def test_a_site_that_wants_no_programs_is_not_read(site: LoopbackSite, tmp_path: Path) -> None:
    site.put("/robots.txt", "User-agent: hermes-agent\nDisallow: /\n", "text/plain")
    site.html("/", "Home")
    called = crawl(tmp_path, site.url("/"))
    assert called.status == "error"
    assert "robots.txt asks programs to leave it alone" in called.error
    assert site.asked == ["/robots.txt"]


def test_robots_txt_that_cannot_be_had_for_a_fault_is_a_no(site: LoopbackSite, tmp_path: Path) -> None:
    site.put("/robots.txt", "oops", "text/plain", status=500)
    site.html("/", "Home")
    assert crawl(tmp_path, site.url("/")).status == "error"


def test_a_person_may_turn_robots_txt_off(site: LoopbackSite, tmp_path: Path) -> None:
    site.put("/robots.txt", "User-agent: *\nDisallow: /\n", "text/plain")
    site.html("/", "Home")
    assert crawl(tmp_path, site.url("/"), settings={"obey_robots": False}).status == "ok"
    assert site.asked == ["/"]


def test_a_delay_that_is_asked_for_is_kept(site: LoopbackSite, tmp_path: Path) -> None:
    site.put("/robots.txt", "User-agent: *\nCrawl-delay: 0.3\n", "text/plain")
    site.html("/", "Home" + links("/a", "/b", "/c"))
    for path in ("/a", "/b", "/c"):
        site.html(path, path)
    began = time.monotonic()
    assert len(crawl(tmp_path, site.url("/")).data["pages"]) == 4
    assert time.monotonic() - began > 0.6
    assert site.most_at_once == 1


def test_at_most_three_pages_are_asked_for_at_once(site: LoopbackSite, tmp_path: Path) -> None:
    site.html("/", "Home" + links(*(f"/{letter}" for letter in "abcdef")))
    for letter in "abcdef":
        site.html(f"/{letter}", letter, delay=0.1, together=3)
    assert len(crawl(tmp_path, site.url("/")).data["pages"]) == 7
    assert site.most_at_once == 3


def test_a_calendar_without_end_does_not_use_up_the_crawl(site: LoopbackSite, tmp_path: Path) -> None:
    def calendar(path: str) -> Served | None:
        found = re.fullmatch(r"/cal/(\d+)", path)
        if not found:
            return None
        day = int(found[1])
        return Served(f"<p>Day {day}</p>{links(f'/cal/{day + 1}', f'/cal/{day + 2}')}".encode())

    site.made = calendar
    site.html("/", "Home" + links("/cal/1", "/cal/2") + links("/about"))
    site.html("/about", "About")
    called = crawl(tmp_path, site.url("/"), limit=20)
    assert "/about" in paths(called)
    assert sum(path.startswith("/cal/") for path in paths(called)) <= 10
    assert len(site.asked) < 20


def test_a_path_that_grows_in_circles_ends(site: LoopbackSite, tmp_path: Path) -> None:
    site.made = lambda path: (
        Served(f"<p>{path}</p><a href='{path}/more'>m</a>".encode()) if "x" in path else None
    )
    called = crawl(tmp_path, site.url("/x"), limit=50)
    assert len(called.data["pages"]) <= 5


def test_one_page_under_many_addresses_is_shown_once(site: LoopbackSite, tmp_path: Path) -> None:
    for letter in "abcdefghijklmnop":
        site.html(f"/same?{letter}=1", "Not found, but we say 200")
    site.html("/real", "Real")
    site.html("/", "Home" + links("/real", *(f"/same?{letter}=1" for letter in "abcdefghijklmnop")))
    assert paths(crawl(tmp_path, site.url("/"), limit=4)) == ["/", "/real", "/same?a=1"]
    assert len(site.asked) <= 2 * 4 + 5 + 2


def test_pages_that_fail_are_told_at_the_end(site: LoopbackSite, tmp_path: Path) -> None:
    site.html("/", "Home" + links("/gone", "/a", "/pic"))
    site.html("/a", "A")
    site.put("/pic", b"\x89PNG", "image/png")
    called = crawl(tmp_path, site.url("/"))
    assert paths(called) == ["/", "/a", "/gone", "/pic"]
    assert "404" in called.data["pages"][2]["error"]
    assert "picture" in called.data["pages"][3]["error"]


def test_a_start_that_cannot_be_read_is_an_error(site: LoopbackSite, tmp_path: Path) -> None:
    called = crawl(tmp_path, site.url("/none"))
    assert called.status == "error"
    assert "404" in called.error


def test_a_crawl_ends_with_what_there_is_when_its_time_is_over() -> None:
    asked: list[str] = []

    async def read(url: str) -> Page:
        asked.append(url)
        if len(asked) > 4:
            await asyncio.sleep(30)
        follow = tuple(Link(f"{url}{letter}") for letter in "abcdef")
        return Page(url, markdown=url, links=follow)

    async def robots(url: str) -> Robots:
        return Robots()

    crawler = Crawler(read, robots, limit=50, wanted="", seconds=0.4)
    found = asyncio.run(crawler.run("http://site.example/"))
    assert [page.url for page in found.pages] == [
        f"http://site.example/{name}" for name in ("", "a", "b", "c")
    ]
    assert found.note == "the time for a crawl is over; there are more pages"


def test_all_pages_together_are_bounded_and_each_is_whole_in_a_file(
    site: LoopbackSite, tmp_path: Path
) -> None:
    long = "<h1>Head</h1>" + "<p>" + "Some words of a paragraph. " * 40 + "</p>"
    site.html("/", long * 8 + links(*(f"/{letter}" for letter in "abcdefghijklmn")))
    for letter in "abcdefghijklmn":
        site.html(f"/{letter}", f"<p>{letter}</p>" + long * 8)
    workshop = web_workshop(tmp_path)

    async def crawled() -> Called:
        called = await workshop.acall("web_crawl", url=site.url("/"), limit=15)
        assert all(Path(page["file"]).stat().st_size == page["length"] for page in called.data["pages"])
        await workshop.runtime.aclose()
        return called

    called = asyncio.run(crawled())
    assert len(called.data["pages"]) == 15
    assert called.size < 50_000
