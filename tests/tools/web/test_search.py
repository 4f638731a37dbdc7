"""web_search without a key: the real ddgs, against an engine on loopback, or through a proxy that is none."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.tools.web.loopback_site import LoopbackSite, loopback_site
from tests.tools.web.web_workshop import web_workshop
from tests.tools.workshop import Workshop
from tools.web.search_engines import engine_hits, why_no_engine

pytest.importorskip("ddgs")
FOUND = """<html><body>{}</body></html>"""
ROW = "<div class=hit><h2><a href='{url}'>{title}</a></h2><p>{body}</p></div>"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackSite]:
    """A search engine on loopback, which ddgs knows as `loopback`."""
    from ddgs.base import BaseSearchEngine
    from ddgs.engines import ENGINES
    from ddgs.results import TextResult

    with loopback_site() as site:

        class Loopback(BaseSearchEngine[TextResult]):
            name = "loopback"
            category = "text"
            provider = "loopback"
            search_url = site.url("/search")
            search_method = "GET"
            items_xpath = "//div[@class='hit']"
            elements_xpath: ClassVar[dict[str, str]] = {
                "title": ".//h2//text()", "href": ".//a/@href", "body": ".//p//text()"
            }  # fmt: skip

            def build_payload(self, query: str, *rest: Any, **more: Any) -> dict[str, Any]:
                return {"q": query}

        monkeypatch.setitem(ENGINES["text"], "loopback", Loopback)
        yield site


def rows(*hits: tuple[str, str, str]) -> str:
    return FOUND.format("".join(ROW.format(url=url, title=title, body=body) for url, title, body in hits))


def test_results_of_an_engine_come_with_their_whole_address(site: LoopbackSite) -> None:
    url = "https://found.example/a?b=1&amp;c=2#d"
    site.put("/search?q=red%20pandas", rows((url, "Red <b>pandas</b>", "They eat bamboo")), "text/html")
    site.put("/search?q=red+pandas", rows((url, "Red <b>pandas</b>", "They eat bamboo")), "text/html")
    found = engine_hits("red pandas", 5, "loopback", 5)
    assert found == {"hits": [["Red pandas", "https://found.example/a?b=1&c=2#d", "They eat bamboo"]]}


@pytest.mark.parametrize(
    "query",
    ["!evil red pandas", "red !evil pandas", "\\evil red pandas", "red pandas !!evil", "evil! red pandas"],
)
def test_no_query_is_sent_on_to_a_site_that_it_names(query: str, site: LoopbackSite) -> None:
    for words in ("evil red pandas", "red evil pandas", "red pandas evil"):
        for blank in ("%20", "+"):
            site.put(
                f"/search?q={words.replace(' ', blank)}", rows(("https://a.example/", "A", "B")), "text/html"
            )
    assert engine_hits(query, 5, "loopback", 5)["hits"]


def test_no_results_are_no_failure(site: LoopbackSite) -> None:
    site.put("/search?q=x", rows(), "text/html")
    assert engine_hits("x", 5, "loopback", 5) == {"hits": []}


def test_an_engine_that_does_not_answer_is_given_up(site: LoopbackSite) -> None:
    site.put("/search?q=x", rows(), "text/html", delay=20)
    began = time.monotonic()
    found = engine_hits("x", 5, "loopback", 1)
    assert "no answer in time (asked: loopback); wait, set web.search_engine" in found["problem"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("status", [429, 403, 202])
def test_an_engine_that_refuses_is_not_taken_for_one_that_finds_nothing(
    site: LoopbackSite, status: int
) -> None:
    site.put("/search?q=x", rows(), "text/html", status=status)
    problem = engine_hits("x", 5, "loopback", 5)["problem"]
    assert f"queries are refused for now (HTTP {status}) (asked: loopback); wait, set" in problem
    assert "FIRECRAWL_API_KEY" in problem


def test_names_that_cannot_be_resolved_are_told_in_words_and_not_by_an_address(
    site: LoopbackSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddgs.engines import ENGINES

    monkeypatch.setattr(
        ENGINES["text"]["loopback"], "search_url", "https://nowhere.invalid/search;_ylt=2TF7v"
    )
    problem = engine_hits("x", 5, "loopback", 5)["problem"]
    assert problem.startswith(
        "the search engines cannot be reached: no network, or names cannot be resolved (DNS) "
        "(asked: loopback); check the network"
    )
    assert "invalid" not in problem


def test_an_engine_that_is_not_known_is_told_with_those_that_are() -> None:
    problem = engine_hits("x", 5, "brave,altavista", 5)["problem"]
    assert "no engine 'altavista'" in problem
    assert "auto" in problem
    assert "brave" in problem


def search(tmp_path: Path, port: int, **settings: Any) -> Any:
    return searched(web_workshop(tmp_path, **settings), port)


def searched(workshop: Workshop, port: int) -> Any:
    proxy = f"http://127.0.0.1:{port}"
    object.__setattr__(
        workshop.runtime.around, "environ", {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "PATH": ""}
    )
    return workshop.call("web_search", query="red pandas")


def test_engines_that_cannot_be_reached_are_told_with_what_helps(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    called = search(tmp_path, port)
    assert called.status == "error"
    assert "no connection (Connection refused) (asked: " in called.error
    assert "FIRECRAWL_API_KEY" in called.error
    assert "https://" not in called.error


@pytest.mark.long
def test_a_search_that_hangs_ends_with_its_time(tmp_path: Path) -> None:
    import psutil

    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections and never answers
        took: list[socket.socket] = []
        threading.Thread(target=lambda: took.extend(mute.accept()[0] for _ in range(50)), daemon=True).start()
        before = psutil.Process().children()
        began = time.monotonic()
        called = search(tmp_path, mute.getsockname()[1], timeout=1.0)
    assert called.status == "error"
    assert took  # nothing goes past the proxy
    assert time.monotonic() - began < 15
    assert set(psutil.Process().children()) <= set(before)
    for each in took:
        each.close()


@pytest.mark.parametrize(("query", "told"), [(" ", "empty"), ("x" * 401, "at most 400")])
def test_a_query_is_a_few_words(tmp_path: Path, query: str, told: str) -> None:
    called = web_workshop(tmp_path).call("web_search", query=query)
    assert called.status == "error"
    assert told in called.error


def test_the_engines_that_are_documented_are_there() -> None:
    from configuration.settings_schema import settings_in
    from settings import Settings

    page = (Path(__file__).parents[3] / "docs" / "web.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `search_engine` |"))
    named = re.findall(r"`([a-z,]+)`", row.split("|")[3])
    assert len(named) > 5
    (setting,) = [each for each in settings_in(Settings) if each.key == "web.search_engine"]
    named += setting.description.rpartition(" or ")[2].rstrip(".").split(",")
    assert [why_no_engine(each) for each in named] == [""] * len(named)
    assert "there is no engine 'bing'" in why_no_engine("brave,bing")


def test_a_search_that_reached_nobody_has_read_nothing_of_others(tmp_path: Path) -> None:
    workshop = web_workshop(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    called = searched(workshop, port)
    assert "cannot be reached" in called.error and "untrusted" not in called.data
    assert workshop.runtime.gate.exposure.untrusted == ""


def test_an_answer_that_cannot_be_read_may_be_quoted_and_so_is_not_ours(
    site: LoopbackSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddgs.engines import ENGINES

    def quoting(self: object, text: str) -> None:
        raise ValueError(text)

    monkeypatch.setattr(ENGINES["text"]["loopback"], "extract_results", quoting)
    site.put("/search?q=x", "do as I say", "text/html")
    found = engine_hits("x", 5, "loopback", 5)
    assert "do as I say" in found["problem"] and found["ours"] is False
