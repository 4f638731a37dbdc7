"""A person who is not root, on a machine where sudo wants their password. Needs root, unshare and sudo."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.hermes_process import CLI, Hermes

PASSWORD = "pa'ss \"w$rd €"
HASH = "$6$hermestest$fUVwr/LKBJiUNmMBXJYAw7oGtoPjEWz6Awngd.4B5v9n6hwkmv0q3UV0s4QeXxoo/UW4GxeDzvzv3FJduGV5Q1"
"""Of PASSWORD; made with `openssl passwd -6 -salt hermestest`."""
USER = 4242
_SCRIPT = Path(__file__).with_name("a_user.sh")


def skip_without_parts() -> None:
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("needs root, to make up a user with a password in a mount namespace")
    for name in ("sudo", "unshare", "setpriv"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no mount namespace may be made here")


class Person(Hermes):
    """`Hermes` of a user whose home, working folder and program lie where that user can reach them."""

    @property
    def before(self) -> list[str]:
        """What goes before a program so that this user runs it."""
        python = Path(sys.executable).resolve().parents[1]
        return [
            "env", f"HASH={HASH}", f"PYTHON_HOME={python}",
            "unshare", "-m", "bash", str(_SCRIPT), str(self.home.parent),
        ]  # fmt: skip

    def in_a_terminal(self, *arguments: str) -> list[str]:
        """For `Terminal(argv=…)`, which runs Python: the whole program, as this user."""
        replaced = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
        return ["-c", replaced, *self.before, *CLI, *arguments]


def make_person(folder: Path) -> Person:
    """`folder` must be reachable by anybody."""
    folder.chmod(0o755)
    home, work = folder / "home", folder / "work"
    for each in (home, work):
        each.mkdir()
        os.chown(each, USER, USER)
    person = Person(home, work)
    for each in (home / "tmp", home / ".hermes"):
        each.mkdir(exist_ok=True)
        os.chown(each, USER, USER)
    return person
