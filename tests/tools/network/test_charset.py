"""The text of a page is found in whatever charset it is written."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.network.charset import decode_text

GERMAN, RUSSIAN, JAPANESE, KOREAN, CHINESE = (
    "Grüße: „äöü“",
    "Привет, мир",
    "こんにちは世界",
    "안녕하세요",
    "你好世界",
)


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (GERMAN, "utf-8", "utf-8"), (GERMAN, "utf-8", "UTF8"), (GERMAN, "cp1252", "windows-1252"),
        (GERMAN, "cp1252", "ISO-8859-1"), (GERMAN, "cp1252", "latin1"),
        ("Kč, ž, €", "cp1250", "windows-1250"),
        ("Příliš", "iso8859-2", "iso-8859-2"), ("15 €", "iso8859-15", "ISO-8859-15"),
        (RUSSIAN, "cp1251", "windows-1251"), (RUSSIAN, "koi8-r", "KOI8-R"),
        (RUSSIAN, "iso8859-5", "iso-8859-5"),
        (RUSSIAN, "cp866", "ibm866"), (JAPANESE, "cp932", "Shift_JIS"), (JAPANESE, "euc_jp", "EUC-JP"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"), (KOREAN, "cp949", "euc-kr"),
        (KOREAN, "cp949", "ks_c_5601-1987"),
        (CHINESE, "gb18030", "GB2312"), (CHINESE, "gb18030", "gbk"), (CHINESE, "big5hkscs", "big5"),
        ("Ελληνικά", "iso8859-7", "iso-8859-7"), ("Türkçe ş", "cp1254", "iso-8859-9"),
        ("שלום", "cp1255", "windows-1255"),
        ("สวัสดี", "cp874", "tis-620"), (GERMAN, "utf-16-le", "utf-16"), (GERMAN, "utf-16-be", "utf-16be"),
    ],
)  # fmt: skip
def test_a_charset_is_known_by_the_names_pages_use(text: str, codec: str, name: str) -> None:
    body = text.encode(codec)
    assert decode_text(body, f"text/html; charset={name}") == text
    assert decode_text(body, f'text/html;Charset="{name}"; x=y') == text
    if not codec.startswith("utf-16"):
        page = f"<html><head><title>x</title><meta charset='{name}'></head>".encode() + body
        assert decode_text(page, "text/html").endswith(text)
        old = f'<META HTTP-EQUIV=Content-Type CONTENT="text/html; charset={name}">'.encode() + body
        assert decode_text(old).endswith(text)


def test_a_mark_at_the_beginning_counts_more_than_the_header() -> None:
    for codec in ("utf-8-sig", "utf-16", "utf-32"):
        assert decode_text(GERMAN.encode(codec), "text/html; charset=iso-8859-1") == GERMAN


def test_the_header_counts_more_than_the_page() -> None:
    page = b'<meta charset="utf-8">' + RUSSIAN.encode("cp1251")
    assert decode_text(page, "text/html; charset=windows-1251").endswith(RUSSIAN)


def test_xml_says_its_charset_in_its_first_line() -> None:
    page = b'<?xml version="1.0" encoding="windows-1251"?><a>' + RUSSIAN.encode("cp1251") + b"</a>"
    assert RUSSIAN in decode_text(page, "application/xml")


def test_a_page_cannot_say_in_ascii_that_it_is_utf_16() -> None:
    page = f'<meta charset="utf-16">{GERMAN}'.encode()
    assert decode_text(page).endswith(GERMAN)


def test_without_a_word_about_it_utf8_is_tried_before_windows_1252() -> None:
    assert decode_text(JAPANESE.encode()) == JAPANESE
    assert decode_text("Grüße – 5 €".encode("cp1252"), "text/plain") == "Grüße – 5 €"


def test_utf16_without_a_mark_is_seen() -> None:
    text = "<html>plain old text, as editors saved it</html>"
    assert decode_text(text.encode("utf-16-le")) == text
    assert decode_text(text.encode("utf-16-be")) == text


def test_a_page_that_was_cut_in_a_character_stays_utf8() -> None:
    assert decode_text("日本".encode()[:-1]) == "日\ufffd"


def test_a_byte_that_means_nothing_does_not_cost_the_rest() -> None:
    assert decode_text(b"a\xffb\xc3\xa4", "text/html; charset=utf-8") == "a\ufffdbä"


@pytest.mark.parametrize(
    "name",
    ["idna", "punycode", "unicode_escape", "raw_unicode_escape", "rot13", "zlib", "hex", "base64", "utf-7",
     "undefined", "mbcs", "nonsense", "../../etc/passwd", "x" * 5_000, "", "é"],
)  # fmt: skip
def test_a_name_that_is_no_charset_is_passed_over(name: str) -> None:
    body = rb"\u0041 +AEE- xn--a " + GERMAN.encode()
    for page, header in (
        (body, f"text/html; charset={name}"),
        (f"<meta charset='{name}'>".encode() + body, ""),
    ):
        assert decode_text(page, header).endswith(r"\u0041 +AEE- xn--a " + GERMAN)


@settings(deadline=None)
@given(st.binary(max_size=400), st.text(max_size=40))
def test_nothing_is_too_strange_to_be_read(body: bytes, header: str) -> None:
    decode_text(body, header)
    decode_text(body, f"text/html; charset={header}")
    decode_text(b"<meta " + body + b" charset=" + body + b">")


def test_a_page_made_to_be_slow_is_read_at_once() -> None:
    started = time.monotonic()
    for page in (
        b"<meta " * 200_000,
        b"<?xml " * 200_000,
        b"<meta charset=" + b" " * 1_000_000,
        b"\x00\xd8" * 500_000,
    ):
        decode_text(page, "charset" * 10_000)
    assert time.monotonic() - started < 2
