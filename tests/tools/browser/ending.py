"""Ways in which a browser, or the hermes it belongs to, comes to an end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from sandboxes.process_tree import find_tree
from tests.tools.browser.driven import Driven
from tests.tools.browser.site import Site

ROOT = Path(__file__).parents[3]
_HERMES = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.tools.browser.driven import Driven
driven = Driven(Path(sys.argv[2]), [sys.argv[3]])
driven.call("navigate", url=f"http://{sys.argv[3]}/form")
session = driven.session
print(json.dumps([str(session.folder), session.marker, len(driven.processes())]), flush=True)
if sys.argv[4] != "exit":
    sys.stdin.read()
"""


def gone(folder: Path, marker: str, seconds: float = 15) -> bool:
    """Whether nothing is left of a browser, now or within `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := find_tree(marker)) or folder.exists():
        if time.monotonic() > deadline:
            raise AssertionError(f"left: {left}, {folder if folder.exists() else 'no folder'}")
        time.sleep(0.05)
    return True


def opened(driven: Driven, url: str) -> tuple[Path, str]:
    assert driven.call("navigate", url=url).status == "ok"
    assert driven.session.folder is not None
    assert driven.session.folder.stat().st_mode & 0o777 == 0o700
    assert len(driven.processes()) >= 3
    return driven.session.folder, driven.session.marker


def kill_chromium(driven: Driven, number: signal.Signals) -> None:
    chromium = next(
        each
        for each in map(psutil.Process, driven.processes())
        if "--remote-debugging-port=0" in each.cmdline() and "--type=" not in " ".join(each.cmdline())
    )
    os.kill(chromium.pid, number)
    deadline = time.monotonic() + 10
    while not driven.session.ended and time.monotonic() < deadline:
        time.sleep(0.02)


def hermes_that_ends(site: Site, root: Path, how: str) -> tuple[Path, str]:
    """A process with a browser of its own that ended by a signal, or by itself ("exit")."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HERMES, str(ROOT), str(root), site.host, how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        folder, marker, processes = json.loads(process.stdout.readline())
        assert processes >= 3
        if how != "exit":
            process.send_signal(signal.Signals[how])
        process.wait(15)
    return Path(folder), marker
