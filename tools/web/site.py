"""Which addresses are one site, and which are one page."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

_TRACKING = re.compile(r"utm_\w+|gclid|fbclid|mc_[ce]id|msclkid|ref_src|phpsessid|jsessionid|sessionid|sid")
_NO_PAGE = re.compile(
    r".*\.(png|jpe?g|gif|webp|avif|svg|ico|bmp|css|js|mjs|map|woff2?|ttf|eot|mp[34]|m4[av]|webm|ogg|wav|avi|mov"
    r"|zip|gz|bz2|xz|7z|rar|tar|tgz|exe|dmg|msi|deb|rpm|apk|iso|whl|jar|docx?|xlsx?|pptx?|epub)",
    re.IGNORECASE,
)
_MOST_REPEATS = 3
_LONGEST = 1_000


def site_of(url: str) -> str:
    """The host without `www.`, and the port where it is not the usual one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def page_key(url: str) -> str:
    """The same for addresses of one page: scheme, `www.`, a last slash and tracking do not count."""
    parts = urlsplit(url)
    pairs = [pair for pair in parse_qsl(parts.query, True) if not _TRACKING.fullmatch(pair[0].lower())]
    query = f"?{urlencode(sorted(pairs))}" if pairs else ""
    path = re.sub(r";jsessionid=[^/]*", "", parts.path, flags=re.IGNORECASE)
    return f"{site_of(url)}{path.rstrip('/') or '/'}{query}"


def shape(url: str) -> str:
    """The same for pages that a script makes without end: numbers and the values of a query do not count."""
    parts = urlsplit(url)
    names = sorted({name for name, _ in parse_qsl(parts.query, True)})
    return re.sub(r"\d+", "0", parts.path) + "?" + "&".join(names)


def may_be_page(url: str) -> bool:
    """Whether it is worth a look: no picture or archive by its name, and no path that goes in circles."""
    parts = urlsplit(url)
    if len(url) > _LONGEST or _NO_PAGE.fullmatch(parts.path):
        return False
    names = [name for name in parts.path.split("/") if name]
    return all(names.count(name) <= _MOST_REPEATS for name in set(names))
