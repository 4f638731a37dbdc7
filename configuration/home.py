"""What lies in $HERMES_HOME beside the settings: where it is, the secrets, the folders a person trusts.

config.yaml            the person's settings (see settings_file.py)
.env                   secrets, NAME=VALUE lines, mode 0600
trusted_folders.json   folders whose own settings may be read, mode 0600
memory/                the agent's notes, one Markdown file each
skills/                the person's skills
logs/                  sessions and trajectories
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

SECRET_ENDINGS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
"""A variable so named counts as a secret."""
SECRET_WORDS = "KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH"
"""A regular expression for names of what should not be handed on; it would rather hold too much."""


class SettingsError(Exception):
    """Something of the person's cannot be used. `problems` are whole sentences, one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def hermes_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The absolute folder of everything hermes keeps: $HERMES_HOME, else ~/.hermes. It may not exist yet.

    Without HOME the home folder comes from the user database.

    Raises:
        SettingsError: there is no home folder at all.
    """
    given = environ.get("HERMES_HOME", "").strip()
    if given and not given.startswith("~"):
        return Path(given).absolute()
    home = environ.get("HOME", "").strip() or _home_from_user_database()
    return Path(home + given[1:]).absolute() if given else Path(home, ".hermes").absolute()


def _home_from_user_database() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise SettingsError(
            f"there is no home folder: HOME is not set and user {os.getuid()} is not in the user database. "
            "Set HERMES_HOME to a folder that hermes may write to"
        ) from None


def logs_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where runs are saved: $HERMES_LOGS (set by scripts run from a checkout), else `logs` in the home."""
    given = environ.get("HERMES_LOGS", "").strip()
    return Path(given).absolute() if given else hermes_home(environ) / "logs"


def make_private_folder(folder: Path) -> None:
    """Make `folder` and its missing parents, mode 0700, whatever the umask. Raises OSError."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, content: str) -> None:
    """Replaces `path` by `content` (UTF-8) in one step, readable and writable by its owner alone.

    A symbolic link stays and its target is replaced. The folder is made, mode 0700, if it is not there.
    What is read before to be written again belongs inside `changing`.

    Raises:
        SettingsError: it cannot be written; the old file is then as it was.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
    try:
        make_private_folder(target.parent)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(handle, "wb") as file:
                os.fchmod(handle, 0o600)
                file.write(content.encode())
                file.flush()
                os.fsync(handle)
            os.replace(draft, target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Held while files in `folder` are read and written again; another process that does so waits.

    The folder is made, mode 0700, if it is not there. Where the file system has no locks, nobody waits.

    Raises:
        SettingsError: the folder cannot be made or read.
    """
    import fcntl

    try:
        make_private_folder(folder)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SettingsError(f"cannot use the folder {folder}: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL):
                raise SettingsError(f"cannot lock {folder}: {error.strerror or error}") from error
        yield
    finally:
        os.close(handle)


def read_secrets(environ: Mapping[str, str] = os.environ, names: Iterable[str] = ()) -> dict[str, str]:
    """Secrets by variable name: those of `.env` in the home, overridden by those of the environment.

    Of the environment it takes variables that are named in `.env` or in `names`, or that end as a
    secret's name does (`_KEY`, `_TOKEN`, `_SECRET`, `_PASSWORD`). Empty values count as absent.

    Raises:
        SettingsError: `.env` is open to others, cannot be read, or has a line that is not NAME=VALUE.
    """
    path = hermes_home(environ) / ".env"
    found = _read_env_file(path)
    wanted = {*names, *found}
    for name, value in environ.items():
        if value and (name in wanted or name.endswith(SECRET_ENDINGS)):
            found[name] = value
    return {name: value for name, value in found.items() if value}


def _read_env_file(path: Path) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise SettingsError(
                    f"{path} holds secrets but is open to others ({mode & 0o777:o}). Run: chmod 600 {path}"
                )
            lines = file.read().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text") from error
    found = (parse_env_line(line, f"{path}:{number}") for number, line in enumerate(lines, 1))
    return dict(pair for pair in found if pair is not None)


def parse_env_line(line: str, where: str = ".env") -> tuple[str, str] | None:
    """Name and value of one NAME=VALUE line; None for a blank line or a comment.

    `export ` before the name is allowed. One pair of quotes around the value is taken off; nothing is
    expanded or unescaped, and `#` inside a value belongs to it.

    Raises:
        SettingsError: the line is something else. The message never repeats the line.
    """
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    name, equals, value = line.removeprefix("export ").partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not is_variable_name(name):
        raise SettingsError(f"{where}: expected NAME=VALUE or a # comment")
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return name, value


def is_variable_name(name: str) -> bool:
    """Whether `name` can name an environment variable: ASCII letters, digits and _, no digit first."""
    return name.isascii() and name.isidentifier()


def store_secret(name: str, value: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Puts NAME=VALUE into `.env` of the home, in place of an earlier value; other lines stay.

    Returns the file's path.

    Raises:
        SettingsError: the name or the value cannot stand in the file, or it cannot be written.
    """
    if not is_variable_name(name):
        raise SettingsError("a secret's name has letters, digits and _ only, e.g. OPENROUTER_API_KEY")
    if not value or any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise SettingsError(f"the value for {name} is empty or holds control characters; nothing was stored")
    if any(
        "\ud800" <= character <= "\udfff" for character in value
    ):  # how Python reads bytes it cannot decode
        raise SettingsError(f"the value for {name} is not UTF-8 text; nothing was stored")
    path = hermes_home(environ) / ".env"
    quoted = f'"{value}"' if value != value.strip() or value[0] in "'\"" else value
    with changing(path.parent):
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            lines = []
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot read {path}: {error}") from error
        kept = [line for line in lines if not _assigns(line, name)]
        write_private(path, "\n".join([*kept, f"{name}={quoted}"]) + "\n")
    return path


def _assigns(line: str, name: str) -> bool:
    return line.strip().removeprefix("export ").partition("=")[0].strip() == name


def is_trusted(folder: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the person has said that what this folder (by canonical path) sets and says may be used.

    Raises:
        SettingsError: the list of trusted folders is damaged.
    """
    return os.path.realpath(folder) in _answers(environ)["folders"]


def is_decided(folder: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the person was asked about this folder, and answered either way. Raises like `is_trusted`."""
    return any(os.path.realpath(folder) in folders for folders in _answers(environ).values())


def trust(folder: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Remembers that the person trusts this folder. Ask them first (`trust_question`)."""
    _remember("folders", folder, environ)


def refuse_trust(folder: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Remembers that the person does not, so that they are asked only once."""
    _remember("refused", folder, environ)


def trust_question(folder: Path, instructions: str) -> str:
    """What to ask a person before `trust(folder)`; yes or no. `instructions`: a file's name."""
    named = f" ({instructions})" if instructions else ""
    return (
        f"{os.path.realpath(folder)} has hermes settings (.hermes/config.yaml) or instructions{named} "
        "of its own. They can choose the model, the server your words and keys go to, and what runs without "
        "asking. Do you trust this folder?"
    )


def _remember(answer: str, folder: Path, environ: Mapping[str, str]) -> None:
    import json

    path = os.path.realpath(folder)
    with changing(hermes_home(environ)):
        answers = _answers(environ)
        for name, folders in answers.items():
            answers[name] = sorted({*folders, path} if name == answer else {*folders} - {path})
        write_private(hermes_home(environ) / "trusted_folders.json", json.dumps(answers, indent=2) + "\n")


def _answers(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """`folders` are trusted, `refused` are not; a folder in neither has not been asked about."""
    path = hermes_home(environ) / "trusted_folders.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {"folders": [], "refused": []}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise SettingsError(f"cannot read {path}: {reason or error}") from error
    import json

    try:
        stored = json.loads(text)
        answers = {"folders": stored["folders"], "refused": stored.get("refused", [])}
    except (ValueError, KeyError, TypeError, AttributeError):
        answers = {"folders": None, "refused": None}
    for folders in answers.values():
        if not isinstance(folders, list) or not all(isinstance(entry, str) for entry in folders):
            raise SettingsError(f"{path} is damaged. Delete it; hermes will ask again which folders to trust")
    return answers
