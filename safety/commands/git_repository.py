"""Whether the settings of a git repository can make git run programs or read elsewhere.

A repository's own configuration can name programs for git to start even where it only reads (fsmonitor,
text converters, filters, hooks after the index changed, transports of a partial clone). So in a folder that
nobody said they trust, its settings must all be of kinds known to start nothing. git starts no pager, since
commands have no terminal.
"""

from __future__ import annotations

import os
import re

_SECTION = re.compile(r'\[([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]|\\["\\])*)")?\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*(?:=[ \t]*(.*))?")
_HARMLESS = re.compile(
    r"core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol"
    r"|safecrlf|abbrev|quotepath|compression|preloadindex|untrackedcache|longpaths|protectntfs|protecthfs|trustctime"
    r"|checkstat|sharedrepository|whitespace|commentchar)"
    r"|remote\.(url|fetch|tagopt|prune|pushurl|mirror|gh-resolved)|branch\.(remote|merge|rebase|vscode-merge-base|description)"
    r"|user\.(name|email|signingkey)|pull\.(rebase|ff)|push\.\w+|fetch\.prune|init\.defaultbranch|gc\.(auto|pruneexpire)"
    r"|color\.\w+|merge\.(ff|conflictstyle|renamelimit)|rerere\.enabled|advice\.\w+|status\.\w+|log\.(date|decorate)"
    r"|diff\.(renames|renamelimit|algorithm|mnemonicprefix|colormoved|noprefix)|rebase\.\w+|commit\.gpgsign|tag\.sort"
    r"|column\.ui|index\.version|feature\.manyfiles|pack\.\w+|lfs\.repositoryformatversion|extensions\.objectformat"
)  # fmt: skip
_LARGEST = 65_536
_LARGEST_INDEX = 8_000_000
_SUBMODULE = b"\x00\x00\xe0\x00"
"""The mode 160000 of an entry, as gitformat-index has it."""


def repository_problem(cwd: str) -> str:
    """Why git might run something in canonical `cwd`; "" if it cannot, or there is no repository."""
    folder = cwd
    while True:
        inside = os.path.join(folder, ".git")
        if os.path.islink(inside) or (os.path.lexists(inside) and not os.path.isdir(inside)):
            return f"{inside} leads elsewhere"
        if os.path.lexists(os.path.join(inside, "HEAD")):  # git passes over a folder without it
            return _problem(inside)
        if os.path.lexists(os.path.join(folder, "HEAD")) and os.path.isdir(os.path.join(folder, "objects")):
            return _problem(folder)
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent


def _problem(folder: str) -> str:
    if os.path.lexists(os.path.join(folder, "hooks", "post-index-change")):
        return "the repository has a hook that git runs after it looked at files"
    if any(name.startswith("sharedindex.") for name in _listed(folder)):
        return "the index of the repository is in pieces"
    for name in ("modules", "config.worktree", "commondir", os.path.join("objects", "info", "alternates")):
        if os.path.lexists(os.path.join(folder, name)):
            return f"the repository has {name}, which may bring settings of its own"
    try:
        with open(os.path.join(folder, "config"), "rb") as file:
            data = file.read(_LARGEST + 1)
        text = data.decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        return "the settings of the repository cannot be read"
    if len(data) > _LARGEST:
        return "the settings of the repository are too long to look through"
    return _unusual_setting(text) or _submodules(folder)


def _submodules(folder: str) -> str:
    """git looks at the state of each with settings of its own."""
    try:
        with open(os.path.join(folder, "index"), "rb") as file:
            index = file.read(_LARGEST_INDEX + 1)
    except FileNotFoundError:
        return ""
    except OSError:
        return "the index of the repository cannot be read"
    if _SUBMODULE in index or len(index) > _LARGEST_INDEX:
        return "the repository has, or may have, submodules, which bring settings of their own"
    return ""


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _unusual_setting(text: str) -> str:
    section = ""
    for line in text.split("\n"):
        line = line.strip(" \t\r")
        if not line or line[0] in "#;":
            continue
        if found := _SECTION.fullmatch(line):
            section = found[1].lower()
            continue
        setting = _KEY.fullmatch(line)
        if setting is None or line.endswith("\\") or not section:
            return f"the settings of the repository have an unusual line: {line[:60]}"
        name = f"{section}.{setting[1].lower()}"
        value = (setting[2] or "").strip().lower()
        if not _HARMLESS.fullmatch(name):
            return f"the repository sets {name}, with which git may run programs"
        if name == "remote.url" and "::" in value:
            return "the repository's remote is a program"
    return ""
