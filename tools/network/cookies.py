"""Cookies that servers set on the way to a page: some redirect in a circle until they are sent back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from email.message import Message
    from http.client import HTTPResponse
    from http.cookiejar import CookieJar

_MOST = 100
"""Set-Cookie headers of one answer that are read."""


class Cookies:
    """Those of one fetch. The rules, which host gets which, are those of the standard library."""

    def __init__(self) -> None:
        self._jar: CookieJar | None = None

    def note(self, url: str, set_cookie: list[str]) -> None:
        """An answer from `url` had these headers."""
        if not set_cookie:
            return
        from http.cookiejar import CookieJar
        from urllib.request import Request

        if self._jar is None:
            self._jar = CookieJar()
        self._jar.extract_cookies(cast("HTTPResponse", _Answer(set_cookie[:_MOST])), Request(url))

    def header(self, url: str) -> str:
        """What to send to `url`, "" for nothing."""
        if self._jar is None:
            return ""
        from urllib.request import Request

        request = Request(url)
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie") or ""


class _Answer:
    """As much of a response as a cookie jar looks at."""

    def __init__(self, set_cookie: list[str]) -> None:
        self._set_cookie = set_cookie

    def info(self) -> Message:
        from email.message import Message

        message = Message()
        for value in self._set_cookie:
            message["Set-Cookie"] = value
        return message
