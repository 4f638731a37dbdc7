"""What the web tools need, what they cost, what the gate is told, and the doors for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safety.gate import EffectRequest, PermissionAnswer
from settings import Settings
from tests.tools.web.fake_firecrawl import FakeFirecrawl
from tests.tools.web.loopback_site import loopback_site
from tests.tools.web.web_workshop import web_settings, web_workshop
from tools.surroundings import Surroundings
from tools.web_tools import (
    check_firecrawl_api_key,
    check_web_requirements,
    web_crawl,
    web_crawl_tool,
    web_extract,
    web_extract_tool,
    web_search,
    web_search_tool,
)


def around(secrets: dict[str, str] | None = None, **web: Any) -> Surroundings:
    return Surroundings(Settings(web=web_settings(**web)), secrets or {})


def test_the_three_cost_at_most_260_tokens() -> None:
    schemas = [json.dumps(tool.schema()) for tool in (web_search, web_extract, web_crawl)]
    assert sum(map(len, schemas)) / 4 <= 260


def test_loading_them_loads_nothing_of_the_web() -> None:
    look = (
        "import sys, tools.web_tools as t; from tools.surroundings import Surroundings\n"
        "t.check_web_requirements(Surroundings())\n"
        "heavy = 'httpx httpcore2 lxml bs4 markdownify pypdf ddgs primp firecrawl requests'.split()\n"
        "print(*set(heavy) & set(sys.modules))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", look], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_they_can_be_used_without_any_key() -> None:
    pytest.importorskip("ddgs")
    assert check_web_requirements(around()) == ""


def test_firecrawl_without_a_key_says_how_to_get_on() -> None:
    reason = check_web_requirements(around(backend="firecrawl"))
    assert "hermes config set-key FIRECRAWL_API_KEY" in reason
    assert "web.backend: direct" in reason
    pytest.importorskip("firecrawl")
    assert check_web_requirements(around({"FIRECRAWL_API_KEY": "k"}, backend="firecrawl")) == ""
    assert check_web_requirements(around(backend="firecrawl", api_url="http://127.0.0.1:3002")) == ""


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        """As if two packages were not installed."""

        def __init__(self, finder: Any) -> None:
            self.finder = finder

        def find_spec(self, name: str, *more: Any) -> Any:
            return None if name in ("ddgs", "pypdf") else self.finder.find_spec(name, *more)

    pytest.importorskip("markdownify")
    monkeypatch.setattr(sys, "meta_path", [Without(finder) for finder in sys.meta_path])
    for name in ("ddgs", "pypdf"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert check_web_requirements(around()) == "ddgs, pypdf not installed: pip install 'hermes-agent[web]'"


def test_the_gate_is_told_every_address_and_the_whole_query(tmp_path: Path) -> None:
    runtime = web_workshop(tmp_path).runtime
    asked = web_search.effect_request(runtime, {"query": "  red \n pandas "})
    assert (asked.effects, asked.summary, asked.urls) == (
        ("read", "net"),
        "search the web for: red pandas",
        (),
    )
    urls = ["https://one.example/a?b=1", "one.example/b", "https://one.example/a?b=1"]
    asked = web_extract.effect_request(runtime, {"urls": urls})
    assert asked.urls == ("https://one.example/a?b=1", "https://one.example/b")
    assert asked.summary == "read\nhttps://one.example/a?b=1\nhttps://one.example/b"
    assert asked.grant == "fetch from one.example"
    asked = web_extract.effect_request(runtime, {"urls": ["https://one.example/", "https://two.example/"]})
    assert asked.grant == ""
    asked = web_crawl.effect_request(runtime, {"url": "one.example", "instructions": "prices"})
    assert (asked.urls, asked.grant) == (("https://one.example",), "fetch from one.example")
    assert "prices" in asked.summary


def test_what_is_read_is_denied_where_nothing_may_go_out(tmp_path: Path) -> None:
    called = web_workshop(tmp_path, "deny").call("web_extract", urls=["https://one.example/"])
    assert called.status == "denied"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("web_extract", {"urls": ["https://one.example/"]}),
        ("vision_analyze", {"image": "https://one.example/a.png", "question": "?"}),
        ("browser_navigate", {"url": "https://one.example/"}),
    ],
)
def test_a_wrong_entry_in_the_allowed_hosts_is_told(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    called = web_workshop(tmp_path, allowed_hosts=["http://x/y"]).call(tool, **arguments)
    assert called.status == "error"
    assert called.error.startswith("web.allowed_hosts: 'http://x/y' cannot be used")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("web_extract", {"urls": ["127.0.0.1:8000/a", "http://10.1.2.3/"]}),
        ("web_crawl", {"url": "http://localhost:8000/"}),
        ("vision_analyze", {"image": "http://[::1]:8000/a.png", "question": "?"}),
        ("browser_navigate", {"url": "http://192.168.0.1/"}),
    ],
)
def test_nobody_is_asked_for_their_word_on_a_private_address_that_is_refused(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    asked: list[EffectRequest] = []

    async def yes(request: EffectRequest, reason: str) -> PermissionAnswer:
        asked.append(request)
        return "once"

    workshop = web_workshop(tmp_path, "ask", allowed_hosts=[])
    workshop.runtime.gate.ask = yes
    workshop.runtime.gate.note_untrusted("a page")
    called = workshop.call(tool, **arguments)
    assert called.status == "error"
    assert "unless a person adds" in called.error and "to web.allowed_hosts" in called.error
    assert not asked


def test_of_several_pages_the_person_is_asked_about_those_that_can_be_read(tmp_path: Path) -> None:
    asked: list[EffectRequest] = []

    async def no(request: EffectRequest, reason: str) -> PermissionAnswer:
        asked.append(request)
        return "deny"

    workshop = web_workshop(tmp_path, "ask", allowed_hosts=[])
    workshop.runtime.gate.ask = no
    workshop.runtime.gate.note_untrusted("a page")
    workshop.call("web_extract", urls=["https://one.example/a", "http://10.1.2.3/"])
    assert [request.urls for request in asked] == [("https://one.example/a",)]


@pytest.fixture
def configured(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = home / ".hermes"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    (folder / "config.yaml").write_text("web: {allowed_hosts: [127.0.0.1]}\n", encoding="utf-8")
    return folder


def test_programs_read_pages_whole_and_without_an_agent(configured: Path) -> None:
    pytest.importorskip("lxml")
    with loopback_site() as site:
        site.html("/", "<p>" + "Long text. " * 2_000 + '</p><a href="/b">b</a>', title="Home")
        site.html("/b", "B")
        found = json.loads(web_extract_tool([site.url("/"), site.url("/none")]))
        crawled = json.loads(web_crawl_tool(site.url("/"), limit=1))
    assert found["pages"][0]["title"] == "Home"
    assert len(found["pages"][0]["content"]) > 20_000
    assert "404" in found["pages"][1]["error"]
    assert (len(crawled["pages"]), crawled["note"]) == (1, "1 more pages were found and not read")


def test_programs_search_with_the_key_that_is_kept(configured: Path) -> None:
    pytest.importorskip("firecrawl")
    assert check_firecrawl_api_key() is False
    with FakeFirecrawl() as server:
        hit = {"url": "https://found.example/", "title": "T", "description": "D"}
        server.answers["POST /v2/search"] = (200, {"success": True, "data": {"web": [hit]}})
        (configured / ".env").write_text("FIRECRAWL_API_KEY=fc-kept\n", encoding="utf-8")
        (configured / ".env").chmod(0o600)
        (configured / "config.yaml").write_text(f"web: {{api_url: '{server.url}'}}\n", encoding="utf-8")
        assert check_firecrawl_api_key() is True
        assert json.loads(web_search_tool("x", limit=2)) == {"results": [hit]}
        assert server.keys == ["Bearer fc-kept"]
    assert "cannot be reached" in json.loads(web_search_tool("x"))["error"]
    assert json.loads(web_search_tool(" ")) == {"error": "the query is empty"}
