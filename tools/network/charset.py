"""From the bytes of a page to its text.

Who says which charset it is, in the order of the HTML standard: a byte order mark, the header Content-Type,
the page itself near its beginning. Where nobody does: UTF-8 if the bytes can be that, else windows-1252, as
browsers in the west of the world take it.
"""

from __future__ import annotations

import codecs
import re

_HEAD = 4_096
"""Bytes in which a page may say its charset; the standard looks at 1,024, pages put it later."""
_IN_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:+-]{1,40})", re.IGNORECASE)
_IN_PAGE = re.compile(
    rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([\w.:+-]{1,40})"
    rb"|<\?xml[^>]{0,200}?encoding\s*=\s*[\"']\s*([\w.:+-]{1,40})"
    rb"|\A\s*@charset\s+\"([\w.:+-]{1,40})\"",
    re.IGNORECASE,
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Names a page may use, by what browsers take them for (the Encoding Standard of WHATWG). Only charsets stand
# here: Python knows codecs that are none, and some take minutes for a page (idna) or run its escapes.
_TAKEN_FOR = {
    "utf-8": "utf8 unicode-1-1-utf-8 x-unicode20utf8",
    "utf-16-le": "utf-16 utf-16le unicode ucs-2 iso-10646-ucs-2",
    "utf-16-be": "utf-16be unicodefffe",
    "cp1252": "windows-1252 iso-8859-1 iso8859-1 iso_8859-1 latin1 latin-1 l1 ascii us-ascii x-cp1252",
    "cp1250": "windows-1250 x-cp1250",
    "cp1251": "windows-1251 x-cp1251",
    "cp1253": "windows-1253 x-cp1253",
    "cp1254": "windows-1254 iso-8859-9 iso8859-9 latin5 l5 x-cp1254",
    "cp1255": "windows-1255 x-cp1255",
    "cp1256": "windows-1256 x-cp1256",
    "cp1257": "windows-1257 x-cp1257",
    "cp1258": "windows-1258 x-cp1258",
    "cp874": "windows-874 tis-620 iso-8859-11 dos-874",
    "cp866": "ibm866 866 csibm866",
    "iso8859-2": "iso-8859-2 latin2 l2",
    "iso8859-3": "iso-8859-3 latin3 l3",
    "iso8859-4": "iso-8859-4 latin4 l4",
    "iso8859-5": "iso-8859-5 cyrillic",
    "iso8859-6": "iso-8859-6 arabic iso-8859-6-e iso-8859-6-i",
    "iso8859-7": "iso-8859-7 greek greek8",
    "iso8859-8": "iso-8859-8 iso-8859-8-i iso-8859-8-e hebrew visual logical",
    "iso8859-10": "iso-8859-10 latin6 l6",
    "iso8859-13": "iso-8859-13",
    "iso8859-14": "iso-8859-14",
    "iso8859-15": "iso-8859-15 latin-9 latin9 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "koi8 koi koi8_r cskoi8r",
    "koi8-u": "koi8-ru",
    "mac-roman": "macintosh mac x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "gb2312 gbk gb_2312 gb_2312-80 x-gbk chinese csgb2312 cp936 hz-gb-2312",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5 csbig5",
    "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji ms932 csshiftjis",
    "euc_jp": "euc-jp x-euc-jp cseucpkdfmtjapanese",
    "iso2022_jp": "iso-2022-jp csiso2022jp",
    "cp949": "euc-kr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949 korean cseuckr",
}
_CODECS = {name: codec for codec, names in _TAKEN_FOR.items() for name in (codec, *names.split())}


def decode_text(body: bytes, content_type: str = "") -> str:
    """The text of `body`; `content_type` is the header's value. What cannot be read becomes �."""
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    if codec := _named(_IN_HEADER.search(content_type)):
        return body.decode(codec, "replace")
    if codec := _named(_IN_PAGE.search(body[:_HEAD])):
        # Who could read this much as ASCII does not have two bytes for each character.
        return body.decode("utf-8" if codec.startswith("utf-16") else codec, "replace")
    if codec := _of_two_bytes(body[:_HEAD]):
        return body.decode(codec, "replace")
    if _is_utf8(body):
        return body.decode("utf-8", "replace")
    return body.decode("cp1252", "replace")


def _named(found: re.Match[str] | re.Match[bytes] | None) -> str:
    if found is None:
        return ""
    name = next(group for group in found.groups() if group)
    return _CODECS.get((name.decode("ascii", "replace") if isinstance(name, bytes) else name).lower(), "")


def _is_utf8(body: bytes) -> bool:
    """A body may be cut in the middle of a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return False
    return True


def _of_two_bytes(head: bytes) -> str:
    """UTF-16 without a mark: in most of what is written that way, every other byte is zero."""
    if len(head) < 4:
        return ""
    half = len(head) // 2
    if head[1::2].count(0) > 0.7 * half and head[::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if head[::2].count(0) > 0.7 * half and head[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return ""
