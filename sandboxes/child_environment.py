"""Which of our environment variables the commands of a task may see: an allow-list, so keys never leak."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from configuration.home import SECRET_WORDS

ALLOWED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR",
    "XDG_*_HOME", "XDG_RUNTIME_DIR", "VIRTUAL_ENV", "CONDA_PREFIX", "JAVA_HOME", "GOPATH", "GOROOT",
    "CARGO_HOME", "RUSTUP_HOME", "NVM_DIR", "PYENV_ROOT", "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "PIP_CERT", "*_proxy", "*_PROXY",
)  # fmt: skip
"""Who and where one is, the language, and where toolchains and certificates lie."""

NEVER = frozenset({"SUDO_PASSWORD"})
"""What is for hermes alone, also where a setting spells it out: see `sandboxes.sudo`."""

OF_THE_PLACE = ("HOME", "TMPDIR", "USER", "LOGNAME", "TERM", "PATH")
"""What each place says for itself."""

_SECRET_NAME = re.compile(SECRET_WORDS, re.IGNORECASE)
_URL_WITH_LOGIN = re.compile(r"^[a-z0-9+]+://[^/]*@", re.IGNORECASE)


def child_environment(environ: Mapping[str, str], env_pass: Iterable[str] = ()) -> dict[str, str]:
    """The environment for commands, made of `environ`.

    Args:
        env_pass: more names the person allows; `*` works. A name that looks like a secret passes only if
            it is spelled out, never through `*`.

    URLs with a login in them (a proxy's) pass only if spelled out too. PATH keeps its absolute folders.
    """
    exact = {name for name in env_pass if "*" not in name} - NEVER
    patterns = [*ALLOWED, *(name for name in env_pass if "*" in name)]
    child = {
        name: value
        for name, value in environ.items()
        if name in exact
        or (
            any(fnmatchcase(name, pattern) for pattern in patterns)
            and not _SECRET_NAME.search(name)
            and not _URL_WITH_LOGIN.match(value)
        )
    }
    # Not "." or an empty entry: a folder may bring a program named like one of the system's.
    absolute = [entry for entry in child.get("PATH", "").split(os.pathsep) if os.path.isabs(entry)]
    child["PATH"] = os.pathsep.join(absolute) or os.defpath
    child["TERM"] = "dumb"
    return child


def passed_variables(environ: Mapping[str, str], env_pass: Iterable[str]) -> dict[str, str]:
    """What the person passes on purpose to a place that is not this machine: of all else nothing would be
    true there, nor of the variables in `OF_THE_PLACE`."""
    names = list(env_pass)
    return {
        name: value
        for name, value in child_environment(environ, names).items()
        if name in environ and name not in OF_THE_PLACE and any(fnmatchcase(name, each) for each in names)
    }
