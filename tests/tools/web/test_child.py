"""The process in which pages are taken apart: ended at a fault, kept for the next page without one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest

from tools.web.child import ChildError, Children

pytest.importorskip("lxml")
pytest.importorskip("markdownify")
PAGE = b"<p>Hello</p>"


def with_children(work: Callable[[Children], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        children = Children()
        try:
            return await work(children)
        finally:
            await children.aclose()

    before = psutil.Process().children()
    found = asyncio.run(run())
    assert set(psutil.Process().children()) <= set(before)
    return found


def html(children: Children, body: bytes = PAGE, seconds: float = 10) -> Awaitable[dict[str, Any]]:
    return children.do("html", body, url="https://site.example/", seconds=seconds)


def test_one_process_reads_page_after_page() -> None:
    async def work(children: Children) -> set[int]:
        seen = set()
        for number in range(3):
            assert (await html(children, b"<p>%d</p>" % number))["markdown"] == str(number)
            seen |= {each.pid for each in psutil.Process().children()}
        return seen

    assert len(with_children(work)) == 1


def test_pages_at_the_same_time_have_a_process_each() -> None:
    async def work(children: Children) -> list[str]:
        found = await asyncio.gather(*(html(children, b"<p>%d</p>" % number) for number in range(3)))
        assert len(psutil.Process().children()) == 3
        return [each["markdown"] for each in found]

    assert with_children(work) == ["0", "1", "2"]


def test_a_process_that_dies_is_told_and_the_next_page_gets_another() -> None:
    async def work(children: Children) -> str:
        await html(children)
        reading = asyncio.ensure_future(html(children, b"<ol>" + b"<li>a<b>b</b>" * 200_000))
        await asyncio.sleep(0.2)
        (child,) = psutil.Process().children()
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(ChildError, match="died"):
            await reading
        return str((await html(children))["markdown"])

    assert with_children(work) == "Hello"


def test_what_takes_longer_than_it_may_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.web.child._GRACE", 0.05)

    async def work(children: Children) -> None:
        with pytest.raises(ChildError, match=r"longer than 0\.05 seconds"):
            await html(children, b"<p>x</p>" * 500_000, seconds=0.05)

    with_children(work)


def test_a_job_that_fails_is_told_in_one_line() -> None:
    async def work(children: Children) -> None:
        with pytest.raises(ChildError, match="ValueError: no job 'dance'"):
            await children.do("dance", seconds=5)

    with_children(work)


def test_a_child_sees_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", "canary")

    async def work(children: Children) -> dict[str, str]:
        await html(children)
        (child,) = psutil.Process().children()
        return child.environ()

    assert "CANARY_KEY" not in with_children(work)
