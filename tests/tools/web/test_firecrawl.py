"""The web tools through the real Firecrawl client, against a server that speaks its wire."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.web.fake_firecrawl import FakeFirecrawl
from tests.tools.web.web_workshop import web_workshop
from tests.tools.workshop import Called

pytest.importorskip("firecrawl")
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::UserWarning")
PUBLIC = "http://8.8.8.8"


@pytest.fixture
def server() -> Iterator[FakeFirecrawl]:
    with FakeFirecrawl() as server:
        yield server


def call(
    tmp_path: Path, server: FakeFirecrawl, name: str, *, key: str = "fc-key", **arguments: Any
) -> Called:
    secrets = {"FIRECRAWL_API_KEY": key} if key else {}
    web = {"api_url": server.url, "timeout": 3.0, **arguments.pop("settings", {})}
    return web_workshop(tmp_path, secrets=secrets, **web).call(name, **arguments)


def document(url: str, markdown: str = "# Hi", **more: Any) -> dict[str, Any]:
    about = {"title": "T", "url": url, "sourceURL": url, "statusCode": 200, **more}
    return {"markdown": markdown, "metadata": about}


def test_a_search_gives_titles_addresses_and_descriptions(tmp_path: Path, server: FakeFirecrawl) -> None:
    hit = {
        "url": "https://found.example/a?b=1",
        "title": "Red\u202e pandas",
        "description": "They eat\nbamboo",
    }
    server.answers["POST /v2/search"] = (200, {"success": True, "data": {"web": [hit, {"url": "ftp://x/"}]}})
    called = call(tmp_path, server, "web_search", query="red pandas", limit=3)
    assert called.data == {
        "untrusted": "search results",
        "results": [{"title": "Red pandas", "url": hit["url"], "description": "They eat bamboo"}],
    }
    assert server.requests[0][1]["limit"] == 3
    assert server.keys == ["Bearer fc-key"]


def test_a_search_that_finds_nothing_says_so(tmp_path: Path, server: FakeFirecrawl) -> None:
    server.answers["POST /v2/search"] = (200, {"success": True, "data": {"web": []}})
    called = call(tmp_path, server, "web_search", query="zzz")
    assert (called.status, called.data["results"]) == ("ok", [])
    assert "nothing was found" in called.note


def test_pages_are_scraped_side_by_side_and_one_that_fails_does_not_matter(
    tmp_path: Path, server: FakeFirecrawl
) -> None:
    def scrape(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["url"].endswith("/b"):
            return 500, {"success": False, "error": "the page crashed"}
        return 200, {"success": True, "data": document(body["url"], f"At {body['url']}\u200b")}

    server.answers["POST /v2/scrape"] = scrape
    server.delay = 0.3
    began = time.monotonic()
    called = call(tmp_path, server, "web_extract", urls=[f"{PUBLIC}/a", f"{PUBLIC}/b", f"{PUBLIC}/c"])
    assert called.status == "ok"
    assert [page.get("content") for page in called.data["pages"]] == [
        f"At {PUBLIC}/a",
        None,
        f"At {PUBLIC}/c",
    ]
    assert "the page crashed" in called.data["pages"][1]["error"]
    assert time.monotonic() - began < 5
    assert {body["onlyMainContent"] for _, body in server.requests} == {True}


def test_where_the_page_was_found_in_the_end_is_told(tmp_path: Path, server: FakeFirecrawl) -> None:
    found = document(f"{PUBLIC}/new", sourceURL=f"{PUBLIC}/old")
    server.answers["POST /v2/scrape"] = (200, {"success": True, "data": found})
    (page,) = call(tmp_path, server, "web_extract", urls=[f"{PUBLIC}/old"]).data["pages"]
    assert (page["url"], page["asked"]) == (f"{PUBLIC}/new", f"{PUBLIC}/old")


def test_what_the_site_refused_is_told(tmp_path: Path, server: FakeFirecrawl) -> None:
    server.answers["POST /v2/scrape"] = (
        200,
        {"success": True, "data": document(f"{PUBLIC}/x", statusCode=404)},
    )
    assert "the site answers 404" in call(tmp_path, server, "web_extract", urls=[f"{PUBLIC}/x"]).error


def test_a_server_of_ones_own_needs_no_key_and_gets_none(
    tmp_path: Path, server: FakeFirecrawl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRECRAWL_API_KEY", "fc-of-the-environment")
    server.answers["POST /v2/search"] = (200, {"success": True, "data": {"web": []}})
    assert call(tmp_path, server, "web_search", key="", query="x").status == "ok"
    assert server.keys == [""]


@pytest.mark.parametrize(
    ("status", "key", "told"),
    [
        (401, "", "wants a key: hermes config set-key FIRECRAWL_API_KEY"),
        (401, "fc-bad", "refuses FIRECRAWL_API_KEY"),
        (402, "fc-key", "credits"),
        (429, "fc-key", "no more requests for now"),
        (403, "fc-key", "says: Website Not Supported"),
        (500, "fc-key", "says: Internal Server Error"),
    ],
)
def test_a_refusal_says_in_whose_part_and_what_helps(
    tmp_path: Path, server: FakeFirecrawl, status: int, key: str, told: str
) -> None:
    server.answers["POST /v2/search"] = (status, {"success": False, "error": "no"})
    called = call(tmp_path, server, "web_search", key=key, query="x")
    assert called.status == "error"
    assert told in called.error
    assert key not in called.error or not key


def test_a_server_that_is_gone_is_told(tmp_path: Path, server: FakeFirecrawl) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    called = call(tmp_path, server, "web_search", settings={"api_url": gone}, query="x")
    assert called.status == "error"
    assert f"{gone} cannot be reached" in called.error
    assert "web.backend: direct" in called.error


@pytest.mark.long
def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path, server: FakeFirecrawl) -> None:
    server.delay = 30
    began = time.monotonic()
    called = call(tmp_path, server, "web_search", settings={"timeout": 0.2}, query="x")
    assert "did not answer" in called.error
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "answer", [b"<html>a proxy says hello</html>", {"success": True, "data": {"web": [{"u": 1}]}}, []]
)
def test_an_answer_that_is_none_is_told(tmp_path: Path, server: FakeFirecrawl, answer: Any) -> None:
    server.answers["POST /v2/search"] = (200, answer)
    called = call(tmp_path, server, "web_search", query="x")
    assert called.status == "error"
    assert "sent no usable answer" in called.error


def test_a_private_address_is_not_handed_to_a_server_that_may_reach_it(
    tmp_path: Path, server: FakeFirecrawl
) -> None:
    urls = ["http://10.0.0.1/", "http://169.254.169.254/latest", "http://localhost:80/"]
    assert call(tmp_path, server, "web_extract", urls=urls).status == "error"
    assert call(tmp_path, server, "web_crawl", url=urls[0]).status == "error"
    assert server.requests == []
    called = call(tmp_path, server, "web_extract", urls=[*urls, f"{PUBLIC}/a"])
    assert len(called.data["pages"]) == 4
    assert [request[1]["url"] for request in server.requests] == [f"{PUBLIC}/a"]


def crawl_states(server: FakeFirecrawl, *states: dict[str, Any]) -> None:
    waiting = list(states)
    server.answers["POST /v2/crawl"] = (
        200,
        {"success": True, "id": "job-1", "url": f"{server.url}/v2/crawl/job-1"},
    )
    server.answers["GET /v2/crawl/job-1"] = lambda body: (
        200,
        waiting.pop(0) if len(waiting) > 1 else waiting[0],
    )
    server.answers["DELETE /v2/crawl/job-1"] = (200, {"status": "cancelled"})


def state(status: str, *pages: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "status": status, "completed": len(pages), "total": 3, "creditsUsed": 1,
            "expiresAt": "2030-01-01T00:00:00Z", "data": list(pages)}  # fmt: skip


def test_a_crawl_is_waited_for(tmp_path: Path, server: FakeFirecrawl) -> None:
    pages = [document(f"{PUBLIC}/{name}", f"Page {name}") for name in "abc"]
    crawl_states(server, state("scraping"), state("scraping", pages[0]), state("completed", *pages))
    called = call(tmp_path, server, "web_crawl", url=f"{PUBLIC}/a", instructions="only prices", limit=3)
    assert [page["content"] for page in called.data["pages"]] == ["Page a", "Page b", "Page c"]
    asked = server.requests[0][1]
    assert (asked["url"], asked["limit"], asked["prompt"]) == (f"{PUBLIC}/a", 3, "only prices")
    assert "ignoreRobotsTxt" not in asked
    assert "DELETE /v2/crawl/job-1" not in server.asked


def test_a_crawl_whose_time_is_over_gives_what_there_is_and_is_ended(
    tmp_path: Path, server: FakeFirecrawl
) -> None:
    crawl_states(server, state("scraping", document(f"{PUBLIC}/a", "Page a")))
    called = call(tmp_path, server, "web_crawl", settings={"timeout": 0.1}, url=f"{PUBLIC}/a")
    assert [page["content"] for page in called.data["pages"]] == ["Page a"]
    assert "the time for a crawl is over" in called.note
    assert "DELETE /v2/crawl/job-1" in server.asked


def test_an_interrupt_ends_the_crawl_there_too(tmp_path: Path, server: FakeFirecrawl) -> None:
    crawl_states(server, state("scraping"))
    workshop = web_workshop(tmp_path, secrets={"FIRECRAWL_API_KEY": "k"}, api_url=server.url)

    async def interrupted() -> None:
        crawling = asyncio.create_task(workshop.acall("web_crawl", url=f"{PUBLIC}/a"))
        while "GET /v2/crawl/job-1" not in server.asked:
            assert not crawling.done()
            await asyncio.sleep(0.02)
        crawling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await crawling

    asyncio.run(interrupted())
    assert server.asked[-1] == "DELETE /v2/crawl/job-1"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_crawl_that_found_nothing_is_an_error(tmp_path: Path, server: FakeFirecrawl, status: str) -> None:
    crawl_states(server, state(status))
    called = call(tmp_path, server, "web_crawl", url=f"{PUBLIC}/a")
    assert called.status == "error"
    assert status in called.error
