"""What a model does on pages, with a real Chromium on a site of loopback."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.tools.browser.driven import Driven, needs_browser
from tests.tools.browser.site import DOWNLOAD, Site

pytestmark = [pytest.mark.long, needs_browser]


def test_a_form_is_filled_and_sent(driven: Driven, site: Site) -> None:
    opened = driven.call("navigate", url=f"{site.url}/form")
    assert opened.status == "ok"
    assert opened.data["title"] == "Order"
    assert opened.data["untrusted"] == "web page"
    driven.call("type", ref=driven.ref("textbox", "Name"), text='Zoë "Q" --bail')
    driven.call("type", ref=driven.ref("textbox", "Note"), text="first\nsecond")
    driven.call("type", ref=driven.ref("combobox", "Size"), text="large")
    driven.call("click", ref=driven.ref("checkbox", "With candles"))
    sent = driven.call("click", ref=driven.ref("button", "Send order"))
    assert "Thank you for your order" in sent.data["snapshot"]
    body = next(body for method, path, body in site.seen if (method, path) == ("POST", "/sent"))
    assert parse_qs(body) == {
        "name": ['Zoë "Q" --bail'], "note": ["first\r\nsecond"], "size": ["large"], "candles": ["on"],
    }  # fmt: skip


def test_a_list_is_paged_through_and_back(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/list")
    for page in (2, 3):
        followed = driven.call("click", ref=driven.ref("link", "Next"))
        assert f"Item {page}-3" in followed.data["snapshot"]
    assert "Next" not in followed.data["snapshot"]
    assert "Item 2-1" in driven.call("back").data["snapshot"]


def test_a_login_holds_from_page_to_page(driven: Driven, site: Site) -> None:
    assert "Please log in" in driven.call("navigate", url=f"{site.url}/account").data["snapshot"]
    driven.call("navigate", url=f"{site.url}/login")
    driven.call("type", ref=driven.ref("textbox", "User"), text="ada")
    entered = driven.call("type", ref=driven.ref("textbox", "Password"), text="open sesame", submit=True)
    assert "Welcome, ada" in entered.data["snapshot"]
    assert "Welcome, ada" in driven.call("navigate", url=f"{site.url}/account").data["snapshot"]


def test_dialogs_hold_nothing_up_and_are_reported(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/dialogs")
    assert "alert: Mind the gap" in driven.call("click", ref=driven.ref("button", "Warn")).note
    assert "Delete it all?" in driven.call("click", ref=driven.ref("button", "Ask")).note
    assert driven.session.page.title == "confirm gave false"
    assert "Your name?" in driven.call("click", ref=driven.ref("button", "Prompt")).note
    assert driven.session.page.title == "prompt gave null"


def test_a_dialog_while_a_page_loads_is_reported(driven: Driven, site: Site) -> None:
    site.texts["/greeting"] = "<title>Hi</title><script>alert('Good morning')</script><p>Here we are"
    opened = driven.call("navigate", url=f"{site.url}/greeting")
    assert "Good morning" in opened.note
    assert "Here we are" in opened.data["snapshot"]


def test_a_download_is_refused_and_nothing_of_it_is_written(driven: Driven, site: Site) -> None:
    direct = driven.call("navigate", url=f"{site.url}/file.bin")
    assert "download" in direct.error
    driven.call("navigate", url=f"{site.url}/links")
    clicked = driven.call("click", ref=driven.ref("link", "Get the file"))
    assert "downloads are refused" in clicked.note
    assert site.paths().count("/file.bin") >= 2
    assert driven.session.folder is not None
    # What it showed lies in its cache, which goes with it; a file for somebody would lie elsewhere.
    files = [file for file in driven.session.folder.rglob("*") if file.is_file()]
    written = [file for file in files if "Cache" not in file.parts]
    assert written
    assert not any(DOWNLOAD[:500] in file.read_bytes() for file in written)


def test_a_new_tab_is_followed_and_back_closes_it(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/links")
    followed = driven.call("click", ref=driven.ref("link", "In a new tab"))
    assert "The other page" in followed.data["snapshot"]
    assert "new tab" in followed.note
    asked = driven.call("click", ref=driven.ref("button", "Ask here"))
    assert "Leave the popup?" in asked.note, "dialogs are answered in new tabs too"
    back = driven.call("back")
    assert back.data["url"] == f"{site.url}/links"
    assert driven.session.page.tabs == 1


def test_a_server_that_takes_its_time_is_waited_for(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/links")
    assert "It came after a while" in driven.call("click", ref=driven.ref("link", "Slow")).data["snapshot"]


def test_a_page_without_end_is_read_in_bounds(driven: Driven, site: Site) -> None:
    started = time.monotonic()
    opened = driven.call("navigate", url=f"{site.url}/feed")
    assert "Entry 20 of a feed" in opened.data["snapshot"]
    scrolled = driven.call("scroll", direction="down")
    assert "the page has changed" in scrolled.note
    assert time.monotonic() - started < 25
    assert "Entry 40 of a feed" in driven.call("snapshot").data["snapshot"]


def test_a_large_page_is_cut_and_the_whole_is_in_a_file(driven: Driven, site: Site) -> None:
    site.texts["/large"] = "<title>Large</title>" + "".join(f"<a href=/{n}>Link {n}</a>" for n in range(900))
    opened = driven.call("navigate", url=f"{site.url}/large")
    limit = driven.runtime.settings.browser.snapshot_limit
    assert len(opened.data["snapshot"]) <= limit
    assert "more lines" in opened.note
    whole = Path(opened.data["file"]).read_text(encoding="utf-8")
    assert 'link "Link 899"' in whole
    assert whole.startswith(opened.data["snapshot"])
    assert driven.call("click", ref=driven.ref("link", "Link 899")).status == "ok", "its refs hold as well"


def test_the_full_snapshot_has_the_addresses_of_links(driven: Driven, site: Site) -> None:
    plain = driven.call("navigate", url=f"{site.url}/list")
    assert "/list?page=2" not in plain.data["snapshot"]
    full = driven.call("snapshot", full=True).data["snapshot"]
    assert f"{site.url}/list?page=2" in full
    assert driven.runtime.gate.addresses.knows(f"{site.url}/list?page=2")


def test_refs_hold_while_the_page_changes_and_not_on_another(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/links")
    change = driven.ref("button", "Change")
    assert "the page has changed" in driven.call("click", ref=change).note
    assert "changed" in driven.call("snapshot").data["snapshot"]
    driven.call("click", ref=driven.ref("link", "Slow"))
    stale = driven.call("click", ref="@e77")
    assert "browser_snapshot" in stale.error


def test_a_ref_never_means_an_element_of_a_page_the_model_has_not_seen(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/changing")
    ref = driven.ref("button", "Harmless")
    deadline = time.monotonic() + 10
    while "/changed" not in site.paths() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    clicked = driven.call("click", ref=ref)
    assert "another than the one you saw" in clicked.error
    assert not {"/pressed", "/wrong"} & set(site.paths())
    driven.call("snapshot")
    driven.call("click", ref=driven.ref("button", "Harmless"))
    assert "/pressed" in site.paths()


def test_console_messages_and_pictures_are_told(driven: Driven, site: Site) -> None:
    driven.call("console")
    driven.call("navigate", url=f"{site.url}/chatty")
    messages = driven.call("console").data["messages"]
    assert "log: hello from the page" in messages
    assert "error: bad thing" in messages
    assert any(each.startswith("uncaught:") and "nobody caught this" in each for each in messages)
    assert driven.call("console").data["messages"] == [], "each is told once"
    images = driven.call("get_images").data
    assert images["images"] == [{"src": f"{site.url}/dot.png", "alt": "a dot", "width": 1, "height": 1}]


def test_a_key_is_pressed(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/login")
    driven.call("type", ref=driven.ref("textbox", "User"), text="grace")
    driven.call("press", key="Tab")
    driven.call("press", key="x")
    assert "/account" in driven.call("press", key="Enter").data["url"]
    assert ("POST", "/login", "user=grace&password=x") in site.seen


def test_a_page_that_wants_a_login_by_http_does_not_hang(driven: Driven, site: Site) -> None:
    started = time.monotonic()
    assert "user name and a password" in driven.call("navigate", url=f"{site.url}/basic").error
    assert time.monotonic() - started < 10


def test_hidden_marks_and_control_characters_of_a_page_do_not_reach_the_model(
    driven: Driven, site: Site
) -> None:
    site.texts["/marks"] = "<title>a\u202eb</title><p>one\u200btwo\u202ethree \u001b[31mred</p>"
    opened = driven.call("navigate", url=f"{site.url}/marks")
    assert "onetwothree" in opened.data["snapshot"]
    assert not set("\u202e\u200b\u001b") & set(str(opened.data))
