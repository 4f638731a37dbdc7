"""What every test gets: a home of its own, and nothing of the person who runs the tests."""

from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a script: what the tests start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Its database of examples would lie in the checkout, and make a run depend on the one before.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", tempfile.gettempdir() + "/hermes-hypothesis")

_FOREIGN_PREFIXES = ("OPENAI_", "OPENROUTER_", "HERMES_", "NOUS_", "TERMINAL_", "XDG_", "GIT_")
_FOREIGN_NAMES = (
    "NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "LINES", "EDITOR", "VISUAL", "PAGER", "TMUX",
    "PYTHONDONTWRITEBYTECODE",  # each of the hundreds of processes would compile the house anew
)  # fmt: skip
WAITING = 1.5
"""Workers for each core: much of the time tests wait, for processes, timers and screens."""


def pytest_xdist_auto_num_workers() -> int:
    return round(WAITING * (os.cpu_count() or 1))


TABLES = ("faults", "commands", "repl", "cli", "models/offline", "tool_call_parsers")
"""Folders whose tests start a process for each row of a table, or go through very many rows."""
ROWS = {"models/offline": 25, "tool_call_parsers": 40}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Of a long table the first rows stay as they are, the rest is thorough; so is what is long besides."""
    here = Path(__file__).parent
    seen: Counter[str] = Counter()
    for item in items:
        folder = next((each for each in TABLES if here / each in item.path.parents), "")
        if not folder or not hasattr(item, "callspec") or item.get_closest_marker("thorough"):
            continue
        table = item.nodeid.partition("[")[0]
        seen[table] += 1
        if seen[table] > ROWS.get(folder, 2):
            item.add_marker(pytest.mark.thorough)
    yield
    if config.getoption("markexpr") == "long":
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HOME with HERMES_HOME and the XDG folders inside; no keys, no proxies, a usual terminal.

    It lies outside `tmp_path`, so a test that lists its `tmp_path` sees its own files alone.
    """
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_FOREIGN_PREFIXES) or name in _FOREIGN_NAMES or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("HERMES_HOME", str(folder / ".hermes"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / ".local" / "share"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / ".local" / "state"))
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    return folder
