"""The person's own secrets: which variables and settings hold them, and which values are worth hiding.

A value is hidden wherever it stands, so it has to be one that stands nowhere by chance: see `worth_hiding`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

SHORTEST = 8
"""Secrets with fewer characters are not searched for: they would be found in innocent words."""
_LONGEST_WORD = 11
"""So long a word in one case, or number, may be a word of the language, a date, a count."""

_COMMON = {
    "admin123", "api-key", "api_key", "changeit", "changeme", "disabled", "dummy-key", "empty-key",
    "lm-studio", "localhost", "no-api-key", "no-key-required", "not-needed", "optional", "pass1234",
    "passw0rd", "password", "password1", "password123", "placeholder", "postgres", "qwerty123", "required",
    "sk-dummy", "sk-no-key-required", "test-key", "test1234", "test_key", "your-api-key", "your_api_key",
}  # fmt: skip
"""What people give a local server that asks for a key, and passwords of examples."""

_SECRET_PARTS = (
    "KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASS", "PASSWORD", "PASSWD", "PASSPHRASE", "PWD",
    "CREDENTIAL", "CREDENTIALS", "AUTH", "AUTHORIZATION", "COOKIE",
)  # fmt: skip
_PLAIN_ENDS = {
    "DIR", "ENV", "FILE", "FOLDER", "HOST", "LEVEL", "LIMIT", "MODE", "MODEL", "NAME", "NAMES", "PATH",
    "PORT", "REGION", "SOCK", "TIMEOUT", "TTL", "TYPE", "URL", "USER", "USERNAME",
}  # fmt: skip
"""The last part of names of what is no secret itself: `API_KEY_FILE`, `OPENAI_BASE_URL`."""

_LOGIN = re.compile(r"://(?P<user>[^\s/?#:@\"'<>]*)(?::(?P<password>[^\s/?#\"'<>]*))?@")
_QUERY = re.compile(r"[?&]([A-Za-z0-9_.~-]+)=([^&#\s\"'<>]+)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9_-]* +(?=\S+\Z)")
"""`Bearer` and its like in front of the secret in a header."""


def worth_hiding(value: str) -> bool:
    """Whether `value` can be searched for everywhere without damage.

    Not what has fewer than `SHORTEST` characters or fewer than five different ones; not a word in one case or
    a number of up to eleven characters; no path; none of the common stand-ins such as `password`.
    """
    if len(value) < SHORTEST or len(set(value)) < 5 or value.startswith(("/", "~", "./", "../")):
        return False
    if len(value) <= _LONGEST_WORD and (value.isdigit() or (value.isalpha() and _one_case(value))):
        return False
    return value.lower() not in _COMMON


def is_secret_name(name: str) -> bool:
    """Whether a variable or field so named holds a secret: a part of it ends in KEY, TOKEN, PASSWORD, …"""
    parts = re.split(r"[_\W]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper())
    if not parts or parts[-1] in _PLAIN_ENDS or "PUBLIC" in parts:
        return False
    return any(part.endswith(_SECRET_PARTS) for part in parts)


def url_secrets(text: str) -> Iterator[str]:
    """Of the URLs in `text` the passwords, and the values of what their queries call a key; as written and
    decoded."""
    if "://" not in text:
        return
    found = [match["password"] or match["user"] for match in _LOGIN.finditer(text)]
    found += [match[2] for match in _QUERY.finditer(text) if is_secret_name(match[1])]
    for secret in found:
        yield from {secret, unquote(secret)}


def environment_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """Of variables with the name of a secret the values; of all others what their URLs hold."""
    for name, value in environ.items():
        if is_secret_name(name) and "://" not in value:
            yield value
        else:
            yield from url_secrets(value)


def file_secrets(values: Mapping[str, str]) -> Iterator[str]:
    """What stands in a `.env`: all of it, but for what its name says to be a host, a model, a path, …"""
    for name, value in values.items():
        yield from url_secrets(value)
        if "://" not in value and (is_secret_name(name) or name.rpartition("_")[2] not in _PLAIN_ENDS):
            yield value


def settings_secrets(value: Any, name: str = "") -> Iterator[str]:
    """The same for settings as plain dicts and lists: fields with the name of a secret, headers, URLs.

    A field that ends in `_env` names a variable and holds no secret.
    """
    if isinstance(value, dict):
        for key, each in value.items():
            yield from settings_secrets(each, str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from settings_secrets(each)
    elif isinstance(value, str):
        yield from url_secrets(value)
        if is_secret_name(name) and "://" not in value:
            yield value
            yield _SCHEME.sub("", value)


def _named_variables(settings: Any, name: str = "") -> Iterator[str]:
    """The variables that settings name as holding a key, in fields that end in `key_env`."""
    if isinstance(settings, dict):
        for key, each in settings.items():
            yield from _named_variables(each, str(key))
    elif isinstance(settings, str) and name.endswith("key_env") and settings:
        yield settings


def person_secrets(
    environ: Mapping[str, str] = os.environ,
    settings: Any = None,
    more: Iterable[str] = (),
    urls: Iterable[str] = (),
) -> list[str]:
    """All secrets hermes can know of: of the environment, `.env` in the home, `settings` (a Struct), and
    `more`; of `urls` what they hold. A `.env` that cannot be read now adds none."""
    from configuration.home import SettingsError, read_secrets

    plain: Any = None
    if settings is not None:
        import msgspec

        plain = msgspec.to_builtins(settings)
    try:
        stored = read_secrets(environ)
    except SettingsError:
        stored = {}
    variables = (environ.get(name, "") for name in _named_variables(plain))
    found = [
        *environment_secrets(environ),
        *file_secrets(stored),
        *settings_secrets(plain),
        *variables,
        *more,
    ]
    names = {environ.get(name, "") for name in ("USER", "LOGNAME", "HOSTNAME")}
    return sorted({secret for secret in found if worth_hiding(secret)} - names)


def _one_case(value: str) -> bool:
    return value.islower() or value.isupper() or value.istitle()
