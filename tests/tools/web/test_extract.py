"""web_extract on pages of a server on loopback, read from here."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.web.loopback_site import LoopbackSite, loopback_site
from tests.tools.web.web_workshop import web_workshop
from tests.tools.workshop import Called, Workshop
from tools.catalog import load_tool

pytest.importorskip("lxml")
pytest.importorskip("markdownify")
LONG = "<h1>Guide</h1>" + "".join(
    f"<h2>Part {number}</h2><p>{f'Words on topic{number} here. ' * 25}</p>" for number in range(40)
)


@pytest.fixture
def site() -> Iterator[LoopbackSite]:
    with loopback_site() as site:
        yield site


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return web_workshop(tmp_path)


def extract(workshop: Workshop, *urls: str, **more: str) -> Called:
    return workshop.call("web_extract", urls=list(urls), **more)


def test_a_page_comes_as_markdown_with_its_title_and_address(site: LoopbackSite, workshop: Workshop) -> None:
    url = site.html("/a", "<h1>Hello</h1><p>See <a href='/b'>B</a>.</p>", title="The title")
    called = extract(workshop, url)
    assert called.status == "ok"
    assert called.data == {
        "untrusted": "web page",
        "pages": [{"url": url, "title": "The title", "content": f"# Hello\n\nSee [B]({site.url('/b')})."}],
    }


def test_several_are_read_at_the_same_time_and_one_that_fails_does_not_matter(
    site: LoopbackSite, workshop: Workshop
) -> None:
    urls = [site.html(f"/{number}", f"<p>page {number}</p>", together=4) for number in range(4)]
    called = extract(workshop, *urls[:2], site.url("/gone"), *urls[2:])
    assert called.status == "ok"
    assert [page["url"] for page in called.data["pages"]] == [*urls[:2], site.url("/gone"), *urls[2:]]
    assert [page.get("content") for page in called.data["pages"]] == [
        "page 0",
        "page 1",
        None,
        "page 2",
        "page 3",
    ]
    assert "404 (Not Found)" in called.data["pages"][2]["error"]
    assert site.most_at_once >= 4


def test_a_redirect_is_followed_and_both_addresses_are_told(site: LoopbackSite, workshop: Workshop) -> None:
    new = site.html("/new", "<p>here</p>")
    site.put("/old", "", "", status=302, headers={"Location": "/new"})
    (page,) = extract(workshop, site.url("/old")).data["pages"]
    assert (page["url"], page["asked"], page["content"]) == (new, site.url("/old"), "here")


def test_a_long_page_is_cut_and_its_file_can_be_read_on(site: LoopbackSite, workshop: Workshop) -> None:
    url = site.html("/long", LONG)

    async def read() -> tuple[Called, Called, str]:
        called = await workshop.acall("web_extract", urls=[url])
        (page,) = called.data["pages"]
        told = page["content"].rpartition("[lines ")[2]
        first = int(told.partition("-")[0])
        rest = await workshop.acall("read_file", path=page["file"], offset=first, limit=5)
        await workshop.runtime.aclose()
        return called, rest, page["file"]

    called, rest, file = asyncio.run(read())
    (page,) = called.data["pages"]
    assert len(page["content"]) <= 8_000
    assert page["length"] > 20_000
    shown = page["content"].count("## Part")
    assert f"## Part {shown}" in rest.data["content"]
    assert not Path(file).exists()  # it goes with the task
    assert not Path(file).parent.exists()


def test_a_query_chooses_what_is_shown_of_a_long_page(site: LoopbackSite, workshop: Workshop) -> None:
    (page,) = extract(workshop, site.html("/long", LONG), query="topic31").data["pages"]
    assert "on topic31" in page["content"]
    assert len(page["content"]) <= 8_000


def test_where_no_file_can_be_written_it_says_so_and_shows_the_page(
    site: LoopbackSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/none")
    (page,) = extract(web_workshop(tmp_path), site.html("/long", LONG)).data["pages"]
    assert "could not be kept" in page["note"]
    assert page["content"].startswith("# Guide")
    assert "file" not in page


def test_nothing_that_a_page_says_unseen_reaches_the_model(site: LoopbackSite, workshop: Workshop) -> None:
    url = site.html(
        "/evil",
        "<p>Weather: sunny.</p><!-- CANARY1 --><p style='display:none'>CANARY2</p><p hidden>CANARY3</p>"
        "<p>fine\u200b</p><p>\U000e0049\U000e0067</p>",
        title="Weather\u202e",
    )
    content = json.dumps(extract(workshop, url).data)
    assert "CANARY" not in content
    assert "\\u200b" not in content
    assert "\\u202e" not in content
    assert "\\udb40" not in content


def test_the_text_of_strangers_is_marked_and_its_addresses_are_known(
    site: LoopbackSite, workshop: Workshop
) -> None:
    url = site.html(
        "/a", '<nav><a href="/hidden?in=nav">n</a></nav><p><a href="/b?q=1">b</a>, <i>and</i></p>' + LONG
    )
    gate = workshop.runtime.gate
    extract(workshop, url)
    assert gate.exposure.untrusted == "web page"
    assert gate.addresses.knows(site.url("/b?q=1"))
    assert gate.addresses.knows(site.url("/hidden?in=nav"))
    assert not gate.addresses.knows(site.url("/b?q=2"))


def test_an_address_the_model_made_up_after_reading_is_asked_about(
    site: LoopbackSite, tmp_path: Path
) -> None:
    workshop = web_workshop(tmp_path, "ask")
    first = extract(workshop, site.html("/a", '<a href="/b">b</a>'))
    assert first.status == "ok"
    site.html("/b", "<p>B</p>")
    assert extract(workshop, site.url("/b")).status == "ok"
    refused = extract(workshop, site.url("/b?stolen=secret"))
    assert refused.status == "denied"
    assert "made up the address" in refused.error
    assert not any("stolen" in path for path in site.asked)


def test_private_hosts_are_refused_also_behind_a_redirect(site: LoopbackSite, tmp_path: Path) -> None:
    site.put("/away", "", "", status=302, headers={"Location": "http://169.254.169.254/latest"})
    workshop = web_workshop(tmp_path, allowed_hosts=[site.host])
    called = extract(workshop, site.url("/away"), "http://localhost:1/x", "http://10.1.2.3/")
    assert called.status == "error"
    assert all("Only public addresses may be reached" in page["error"] for page in called.data["pages"])
    assert len(called.data["pages"]) == 3


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        ([], "1 to 5 URLs, not 0"),
        ([f"https://site.example/{number}" for number in range(6)], "1 to 5 URLs, not 6"),
        (["not an address"], "no address of a page"),
        (["https://"], "no address of a page"),
        (["http://site.example:99999/"], "no address of a page"),
        (["http://[::1/"], "no address of a page"),
    ],
)
def test_wrong_addresses_are_told_before_anything_is_done(
    workshop: Workshop, urls: list[str], told: str
) -> None:
    called = workshop.call("web_extract", urls=urls)
    assert called.status == "error"
    assert told in called.error


def test_a_server_that_is_gone_is_told(workshop: Workshop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    called = extract(workshop, f"http://127.0.0.1:{port}/")
    assert called.status == "error"
    assert f"127.0.0.1:{port}" in called.error


def test_a_page_that_does_not_come_is_given_up(site: LoopbackSite, tmp_path: Path) -> None:
    workshop = web_workshop(tmp_path, timeout=0.5)
    began = time.monotonic()
    called = extract(workshop, site.html("/slow", "<p>late</p>", delay=20))
    assert called.status == "error"
    assert time.monotonic() - began < 10


def test_of_a_page_that_is_too_large_the_beginning_is_read(site: LoopbackSite, tmp_path: Path) -> None:
    workshop = web_workshop(tmp_path, max_bytes=2_000)
    (page,) = extract(workshop, site.put("/big", "line\n" * 100_000, "text/plain")).data["pages"]
    assert page["content"].startswith("line\nline")
    assert len(page["content"]) < 2_100
    assert "the page is cut" in page["note"]


def test_an_interrupt_ends_the_reading_and_leaves_no_process(site: LoopbackSite, workshop: Workshop) -> None:
    import psutil

    url = site.html("/hard", "<ol>" + "<li>a<b>b</b>" * 200_000)
    before = psutil.Process().children()

    async def interrupted() -> None:
        reading = asyncio.create_task(workshop.acall("web_extract", urls=[url]))
        while set(psutil.Process().children()) <= set(before):
            assert not reading.done()
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await workshop.runtime.aclose()

    asyncio.run(interrupted())
    assert set(psutil.Process().children()) <= set(before)


def test_pages_of_a_search_that_need_scripts_say_so(site: LoopbackSite, workshop: Workshop) -> None:
    (page,) = extract(workshop, site.html("/app", "<div id=root></div><script>x()</script>")).data["pages"]
    assert page["content"] == ""
    assert page["note"] == "there is no text in it; perhaps it is made by scripts"


def test_a_tool_that_may_do_more_with_a_page_is_named_where_it_is_on(
    site: LoopbackSite, workshop: Workshop
) -> None:
    application = site.html("/app", "<div id=root></div><script>x()</script>")
    picture = site.put("/a.png", b"\x89PNG", "image/png")
    off = extract(workshop, application, picture).data["pages"]
    assert not any("browser_navigate" in str(page) or "vision_analyze" in str(page) for page in off)
    workshop.runtime.definitions = [
        load_tool(name).schema() for name in ("browser_navigate", "vision_analyze")
    ]
    first, second = extract(workshop, application, picture).data["pages"]
    assert first["note"].endswith("; browser_navigate runs scripts")
    assert second["error"].endswith("; vision_analyze looks at pictures")
