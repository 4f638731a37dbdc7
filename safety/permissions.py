"""What a person allowed for good, in `$HERMES_HOME/permissions.yaml`: commands, each for one folder."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configuration.home import SettingsError, changing, write_private

if TYPE_CHECKING:
    from safety.commands.grants import Grant


class PermissionsError(Exception):
    """The file cannot be used; the text says why and what to do."""


class Permissions:
    """Read anew each time, so that what is taken back elsewhere is gone here at once.

    The file maps a folder to a list of `{command: git commit, options: [-m] | null}`. It must be its owner's
    alone; it is replaced as a whole, under a lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def granted(self, workspace: str) -> list[Grant]:
        """Raises PermissionsError."""
        return [grant for folder, grant in self.all() if folder == workspace]

    def all(self) -> list[tuple[str, Grant]]:
        """(folder, grant) in a stable order. Raises PermissionsError."""
        data = self._read()
        return [
            (folder, _grant(row, self.path))
            for folder in sorted(data)
            for row in _rows(data[folder], self.path)
        ]

    def add(self, workspace: str, grant: Grant) -> None:
        """Raises PermissionsError."""
        with self._locked():
            kept = [each for each in self.all() if each != (workspace, grant)]
            self._write([*kept, (workspace, grant)])

    def remove(self, number: int | None) -> int:
        """Takes back the grant at `number` of `all()`, counted from 1, or every one. How many went.

        Raises IndexError, PermissionsError.
        """
        with self._locked():
            if number is None:
                try:
                    count = len(self.all())
                except PermissionsError:
                    count = 1
                self._write([])
                return count
            kept = self.all()
            if not 1 <= number <= len(kept):
                raise IndexError(number)
            del kept[number - 1]
            self._write(kept)
            return 1

    def _read(self) -> dict[str, Any]:
        import yaml

        try:
            with open(self.path, "rb") as file:
                state = os.fstat(file.fileno())
                data = file.read()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise PermissionsError(f"cannot read {self.path}: {error.strerror}") from error
        if state.st_uid != os.getuid() or stat.S_IMODE(state.st_mode) & 0o022:
            raise PermissionsError(
                f"others can change {self.path}, so it does not count. Use: chmod 600 {self.path}"
            )
        try:
            found = yaml.safe_load(data)
        except (yaml.YAMLError, UnicodeDecodeError):
            found = 0
        if found is None:
            return {}
        if not isinstance(found, dict) or not all(isinstance(folder, str) for folder in found):
            raise _damaged(self.path)
        return found

    def _write(self, grants: list[tuple[str, Grant]]) -> None:
        import yaml

        data: dict[str, list[dict[str, Any]]] = {}
        for folder, grant in grants:
            options = None if grant.options is None else sorted(grant.options)
            data.setdefault(folder, []).append({"command": grant.name, "options": options})
        text = "# What you allowed for good, by folder. `hermes gate list` shows it.\n"
        text += yaml.safe_dump(data, allow_unicode=True, sort_keys=True) if data else ""
        write_private(self.path, text)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with changing(self.path.parent):
                yield
        except SettingsError as error:
            raise PermissionsError(str(error)) from error


def _rows(rows: Any, path: Path) -> list[Any]:
    if not isinstance(rows, list):
        raise _damaged(path)
    return rows


def _grant(row: Any, path: Path) -> Grant:
    from safety.commands.grants import Grant

    match row:
        case {"command": str(name), "options": None, **rest} if not rest:
            return Grant(name, None, True)
        case {"command": str(name), "options": list(options), **rest} if not rest and all(
            isinstance(each, str) for each in options
        ):
            return Grant(name, frozenset(options), True)
    raise _damaged(path)


def _damaged(path: Path) -> PermissionsError:
    return PermissionsError(f"{path} is damaged, so nothing in it counts. Use: hermes gate forget --all")
