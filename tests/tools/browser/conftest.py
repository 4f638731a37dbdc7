"""One site and one browser for the tests of a module whose subject they are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tools.browser.driven import Driven, environ
from tests.tools.browser.site import Forbidden, Site, forbidden, serving

ENVIRONMENT_KEY = "sk-of-the-environment-77"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def secret_place() -> Iterator[Forbidden]:
    with forbidden() as place:
        yield place


@pytest.fixture(scope="module")
def driven(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    env = environ(ANY_API_KEY=ENVIRONMENT_KEY, https_proxy="")
    driven = Driven(tmp_path_factory.mktemp("task"), [site.host], env=env)
    yield driven
    driven.close()
