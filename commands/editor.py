"""Opening a file in the editor a person uses."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import click

from configuration.home import SettingsError


def open_in_editor(path: Path) -> None:
    """Open `path` in $VISUAL or $EDITOR, or in one that is found, and wait until it is closed.

    Raises:
        SettingsError: there is none, or it cannot be started.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or _found_editor()
    try:
        code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot start the editor {editor!r}: {error}. Set EDITOR to another") from error
    if code:
        click.echo(f"the editor ended with code {code}", err=True)


def _found_editor() -> str:
    for name in ("sensible-editor", "nano", "vim", "vi"):
        if shutil.which(name):
            return name
    raise SettingsError("no editor was found. Set EDITOR to the one you use")
