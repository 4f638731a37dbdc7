"""What a server sends, by its type: read as it is, converted, or refused with a word."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator

import pytest

from tests.tools.web.loopback_site import LoopbackSite, loopback_site
from tests.tools.web.web_workshop import web_settings
from tools.web.backend import Page

pytest.importorskip("lxml")
pytest.importorskip("markdownify")


@pytest.fixture(scope="module")
def site() -> Iterator[LoopbackSite]:
    with loopback_site() as site:
        yield site


def read(url: str) -> Page:
    from safety.addresses import AllowedHosts
    from tools.network.guard import Guard
    from tools.web.direct_backend import DirectBackend

    backend = DirectBackend(web_settings(), Guard(AllowedHosts(["127.0.0.1"])), {})

    async def extracted() -> Page:
        try:
            return (await backend.extract([url]))[0]
        finally:
            await backend.aclose()

    return asyncio.run(extracted())


def pdf(texts: list[str], title: str = "", password: str = "") -> bytes:
    pypdf = pytest.importorskip("pypdf")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    fonts = DictionaryObject({NameObject("/F1"): DictionaryObject(
        {NameObject(name): NameObject(value) for name, value in font.items()})})  # fmt: skip
    for text in texts:
        page = writer.add_blank_page(612, 792)
        if text:
            page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
            stream = DecodedStreamObject()
            stream.set_data(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode())
            page[NameObject("/Contents")] = writer._add_object(stream)
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("type", "body", "text"),
    [
        ("text/plain", "a <b> c\r\nd\r\n", "a <b> c\nd"),
        ("text/csv", "a,b\n1,2\n", "a,b\n1,2"),
        ("application/json", '{"a": 1}', '{"a": 1}'),
        ("application/ld+json; charset=utf-8", '{"ä": 1}', '{"ä": 1}'),
        ("application/atom+xml", "<feed/>", "<feed/>"),
        ("text/markdown", "# Head\n\ntext", "# Head\n\ntext"),
        ("application/x-yaml", "a: 1", "a: 1"),
        ("image/svg+xml", "<svg/>", "<svg/>"),
        ("", "only words", "only words"),
        ("application/octet-stream", "only words", "only words"),
        ("", "<!DOCTYPE html><p>Hi", "Hi"),
        ("", "<!-- x --> <html><p>Hi", "Hi"),
        (
            "application/xhtml+xml",
            "<html xmlns='http://www.w3.org/1999/xhtml'><body><p>Hi</p></body></html>",
            "Hi",
        ),
        ("TEXT/HTML;charset=iso-8859-1", "<p>caf\xe9".encode("latin-1"), "café"),
        ("text/html", '<meta charset="shift_jis"><p>日本'.encode("shift_jis"), "日本"),
        ("text/html; charset=nonsense", "<p>ü".encode(), "ü"),
    ],
)
def test_text_is_read(site: LoopbackSite, type: str, body: bytes | str, text: str) -> None:
    page = read(site.put("/page", body, type))
    assert (page.error, page.markdown) == ("", text)


def test_json_on_one_line_is_broken_into_lines(site: LoopbackSite) -> None:
    rows = [{"number": number, "text": "word"} for number in range(300)]
    page = read(site.put("/data", json.dumps(rows), "application/json"))
    assert json.loads(page.markdown) == rows
    assert page.markdown.count("\n") > 300


def test_a_line_that_is_too_long_is_broken_and_addresses_stay_whole(site: LoopbackSite) -> None:
    words = " ".join(f"word{number} https://site.example/{number}" for number in range(400))
    page = read(site.put("/line", words, "text/plain"))
    assert max(map(len, page.markdown.split("\n"))) <= 1_000
    assert page.markdown.split() == words.split()


@pytest.mark.parametrize(
    ("type", "body", "told"),
    [
        ("image/png", b"\x89PNG", "it is a picture (image/png)"),
        ("application/zip", b"PK", "application/zip"),
        ("application/octet-stream", b"\x7fELF\0\0", "application/octet-stream"),
        ("", b"a\0b", "binary data"),
        ("video/mp4", b"x", "video/mp4"),
    ],
)
def test_what_is_no_text_is_refused_with_a_word(
    site: LoopbackSite, type: str, body: bytes, told: str
) -> None:
    page = read(site.put("/file", body, type))
    assert told in page.error
    assert page.markdown == ""


@pytest.mark.parametrize(
    ("status", "told"), [(404, "404 (Not Found)"), (503, "perhaps not a browser"), (599, "599")]
)
def test_a_refusal_is_told_with_its_status(site: LoopbackSite, status: int, told: str) -> None:
    site.put("/no", "<p>sorry", "text/html", status=status)
    assert told in read(site.url("/no")).error


def test_a_pdf_is_read_page_by_page(site: LoopbackSite) -> None:
    page = read(site.put("/paper", pdf(["First words", "", "Third"], title="A paper"), "application/pdf"))
    assert (page.title, page.markdown) == ("A paper", "## Page 1\n\nFirst words\n\n## Page 3\n\nThird")


def test_a_pdf_is_known_by_how_it_begins_where_the_type_says_nothing(site: LoopbackSite) -> None:
    assert "Words" in read(site.put("/f", pdf(["Words"]), "application/octet-stream")).markdown


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>Please log in</html>", "is sent as a PDF but is not one"),
        (b"%PDF-1.7\n" + b"garbage " * 100, "damaged"),
        (b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 1 0 R>>endobj\ntrailer<</Root 1 0 R>>", ""),
    ],
)
def test_a_pdf_that_is_none_is_told(site: LoopbackSite, body: bytes, told: str) -> None:
    page = read(site.put("/f.pdf", body, "application/pdf"))
    assert page.markdown == ""
    assert page.error or page.note
    assert told in page.error


def test_a_pdf_of_pictures_and_a_locked_one_say_so(site: LoopbackSite) -> None:
    assert "may be pictures" in read(site.put("/scan", pdf(["", ""]), "application/pdf")).note
    assert (
        "locked with a password" in read(site.put("/shut", pdf(["x"], password="p"), "application/pdf")).error
    )


@pytest.mark.long
def test_a_pdf_of_thousands_of_pages_is_read_as_far_as_is_reasonable(site: LoopbackSite) -> None:
    page = read(site.put("/book", pdf([f"Words of page {n}" for n in range(1, 3_001)]), "application/pdf"))
    assert page.error == ""
    assert page.markdown.startswith("## Page 1\n\nWords of page 1\n")
    assert "of 3000 were read" in page.note
    assert "## Page 501" not in page.markdown


HOSTILE = {
    "nested": "<div>" * 200_000 + "deep" + "</div>" * 200_000 + "<p>" + "after " * 1_600_000,
    "unclosed": "<div><span><a href='http://site.example/'>t</a>" * 200_000,
    "flat": "<p>some <b>bold</b> <a href=/x>link</a></p>" * 230_000,
    "quotes": "<blockquote>" * 120 + "<p>text</p>" * 60_000,
    "cells": "<table><tr>" + "<td>x" * 1_000_000,
    "lists": "<ul><li>" * 60_000,
    "entities": "&amp;" * 2_000_000,
    "brackets": "<" * 9_000_000,
    "attributes": "<a " + "x=1 " * 2_000_000 + ">t</a>",
    "style": "<p style='" + "display:" * 1_000_000 + "none'>t</p>",
    "closing": "</div>" * 1_500_000 + "text",
    "names": "".join(f"<x{number}>t" for number in range(800_000)),
}
_FIRST = {"nested", "unclosed", "quotes", "lists", "attributes"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=pytest.mark.long if each in _FIRST else pytest.mark.thorough)
        for each in HOSTILE
    ],
)
def test_a_hostile_page_costs_bounded_time_and_memory(site: LoopbackSite, name: str) -> None:
    import resource
    import time

    began = time.monotonic()
    page = read(site.put("/hostile", HOSTILE[name], "text/html"))
    assert time.monotonic() - began < 30
    assert len(page.markdown) <= 2_010_000
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_500_000
    assert page.markdown or page.error or page.note
