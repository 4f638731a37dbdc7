"""Who searches and reads: Firecrawl, or hermes itself."""

from __future__ import annotations

import importlib.util
from typing import Literal

from tools.surroundings import Surroundings
from tools.web.backend import WebBackend, WebError

KEY = "FIRECRAWL_API_KEY"
INSTALL = "pip install 'hermes-agent[web]'"
_PACKAGES = {
    "firecrawl": ("firecrawl",),
    "direct": ("ddgs", "lxml", "bs4", "markdownify", "pypdf"),
}


def backend_name(around: Surroundings) -> Literal["firecrawl", "direct"]:
    """What `web.backend` means here."""
    web = around.settings.web
    if web.backend != "auto":
        return web.backend
    return "firecrawl" if around.secrets.get(KEY) or web.api_url else "direct"


def why_unusable(around: Surroundings) -> str:
    """ "" if the chosen backend can be used, else the reason and the fix in one line."""
    name = backend_name(around)
    if name == "firecrawl" and not around.secrets.get(KEY) and not around.settings.web.api_url:
        return (
            f"web.backend is firecrawl, but there is no key: hermes config set-key {KEY}, set web.api_url "
            "to a server of your own, or set web.backend: direct"
        )
    missing = [package for package in _PACKAGES[name] if importlib.util.find_spec(package) is None]
    return f"{', '.join(missing)} not installed: {INSTALL}" if missing else ""


def make_backend(around: Surroundings) -> WebBackend:
    """The chosen backend; the caller closes it.

    Raises:
        WebError: it cannot be used.
        SettingsError: `web.allowed_hosts` cannot.
    """
    problem = why_unusable(around)
    if problem:
        raise WebError(problem, ours=True)
    from tools.network.guard import guard_of

    guard = guard_of(around)
    if backend_name(around) == "firecrawl":
        from tools.web.firecrawl_backend import FirecrawlBackend

        return FirecrawlBackend(around.settings.web, around.secrets.get(KEY, ""), guard)
    from tools.web.direct_backend import DirectBackend

    return DirectBackend(around.settings.web, guard, around.environ)
