"""The home folder: what lies there, whom it is open to, and whether there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from commands.checks.finding import Finding, Scene, off, ok, problem, warning

LITTLE, VERY_LITTLE = 1_000_000_000, 50_000_000
"""Free bytes below which one should know, and below which sessions are soon lost."""
LOOKED_AT = 20
"""Sessions that are read, the last ones."""


def check_folder(scene: Scene) -> Iterator[Finding]:
    home = scene.home
    if not home.exists():
        parent = _existing(home)
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok("folder", f"{home} is made when it is first needed")
        else:
            yield problem(
                "folder", f"{home} cannot be made: {parent} is not yours to write", "set HERMES_HOME"
            )
    elif not home.is_dir():
        yield problem("folder", f"{home} is a file", "move it away, or set HERMES_HOME")
    elif not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield problem("folder", f"{home} cannot be used by you", f'chown -R "$USER" {home}; chmod 700 {home}')
    elif home.stat().st_mode & 0o022:
        text = f"{home} can be changed by others, and with it what hermes runs"
        yield problem("folder", text, f"chmod 700 {home}")
    else:
        yield ok("folder", str(home))
    yield from _space("disk", _existing(home))
    if _existing(scene.logs).stat().st_dev != _existing(home).stat().st_dev:
        yield from _space("disk of logs", _existing(scene.logs))


def check_files(scene: Scene) -> Iterator[Finding]:
    """Those that the settings' check does not read."""
    config = scene.home / "config.yaml"
    if config.exists() and config.stat().st_mode & 0o022:
        yield problem("config.yaml", "it can be changed by others", f"chmod 600 {config}")
    env = scene.home / ".env"
    if scene.secrets_problem:
        told = scene.secrets_problem.partition(". Run:")[0]
        yield problem(".env", told, _fix_of_env(told, env))
    elif env.exists():
        yield ok(".env", "yours alone")
    else:
        yield off(".env", "not there; `hermes config set-key` makes it")
    if scene.trust_problem:
        yield problem("trust", scene.trust_problem, "delete the file; hermes asks again")
    yield from _permissions(scene)


def check_sessions(scene: Scene) -> Iterator[Finding]:
    logs = scene.logs
    place = _existing(logs)
    if not os.access(place, os.W_OK | os.X_OK):
        yield problem("logs", f"{logs} cannot be written to: nothing is saved", f'chown -R "$USER" {place}')
    elif not scene.settings.sessions.save:
        yield off("logs", "conversations are not saved (sessions.save)")
    else:
        yield ok("logs", str(logs))
    from trajectories.session_list import session_files, session_info
    from trajectories.session_load import SessionError

    try:
        files = session_files(logs / "sessions")
    except SessionError as error:
        yield problem("sessions", str(error), f'chown -R "$USER" {logs}')
        return
    damaged = [path.name for path in files[:LOOKED_AT] if session_info(path) is None]
    yield from _index(logs)
    if damaged:
        text = (
            f"{len(damaged)} of the last {len(files[:LOOKED_AT])} hold no session: {', '.join(damaged[:3])}"
        )
        yield warning("sessions", text, f"move them out of {logs / 'sessions'}")
    else:
        yield ok("sessions", f"{len(files)} saved" if files else "none yet")


def _index(logs: Path) -> Iterator[Finding]:
    import sqlite3
    from contextlib import closing

    from trajectories.session_index import FILE

    path = logs / FILE
    if not path.exists():
        yield off("index", "there is none yet; the first search makes it")
        return
    try:
        # Not as it is shared by others: that would make files beside it.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as index:
            count = index.execute("SELECT count(*) FROM sessions").fetchone()[0]
    except sqlite3.Error as error:
        yield warning("index", f"{path} is damaged ({error}); the next search makes it anew", f"rm {path}")
    else:
        yield ok("index", f"{count} sessions can be searched")


def _permissions(scene: Scene) -> Iterator[Finding]:
    from safety.permissions import Permissions, PermissionsError

    path = scene.home / "permissions.yaml"
    if not path.exists():
        return
    try:
        granted = Permissions(path).all()
    except PermissionsError as error:
        yield problem("permissions", str(error), f"mend or delete {path}; hermes asks again")
    else:
        yield ok("permissions", f"{len(granted)} commands are allowed always (hermes gate list)")


def _space(name: str, folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    told = f"{free / 1e9:.1f} GB free at {folder}"
    if free < VERY_LITTLE:
        yield problem(name, told, "make room: what is said cannot be saved soon")
    elif free < LITTLE:
        yield warning(name, told, "make room")
    else:
        yield ok(name, told)


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _fix_of_env(told: str, path: Path) -> str:
    return f"chmod 600 {path}" if "open to others" in told else f"mend {path}: NAME=VALUE lines, # comments"
