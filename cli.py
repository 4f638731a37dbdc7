"""`hermes`: answers --version and --help at once, else hands over to a sub-command.

Exit codes shared by all: 1 failed, 2 wrong usage or settings, 130 interrupted. A
sub-command may return further ones as an int.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own costs as much time as the whole of --version may take
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `hermes` with the given arguments (default: those of the process) and returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")  # a character that the terminal lacks must not end the run
    try:
        answer = _answer_at_once(given)
        code = 0 if answer else _run(given)
        sys.stdout.write(answer)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except OSError as error:
        # the interpreter would flush what is left once more and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1 if isinstance(error, BrokenPipeError) else _say(_one_line(error), 1)
    return code


def load_cli_config() -> dict[str, Any]:
    """The effective settings for the current folder as plain dicts and lists.

    Raises:
        settings.SettingsError: they cannot be used.
    """
    from pathlib import Path

    import msgspec

    from settings import is_trusted, load_settings

    here = Path.cwd()
    config: dict[str, Any] = msgspec.to_builtins(
        load_settings(cwd=here, project_trusted=is_trusted(here)).settings
    )
    return config


def _run(arguments: list[str]) -> int:
    from io import StringIO

    import click

    from commands.group import Invocation, hermes

    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    asked = (["-q"], ["--query"])  # what follows these is the question, whatever it looks like
    places = [i for i, each in enumerate(options) if each == "--debug" and options[i - 1 : i] not in asked]
    debug = bool(places)
    for place in reversed(places):
        del arguments[place]
    try:
        from commands.crash_report import watch

        watch()
        if debug:
            from commands.debug_log import start_debug_log

            _say(f"writing a log to {start_debug_log()}")
        result = hermes.main(arguments, prog_name="hermes", standalone_mode=False, obj=Invocation(debug))
        return result if isinstance(result, int) else 0
    except SystemExit as leaving:
        told = leaving.code
        return told if isinstance(told, int) else _say(told or "", 1 if told else 0)
    except click.ClickException as error:
        message = StringIO()
        error.show(message)
        print(_harmless(message.getvalue()), end="", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except click.Abort:
        return _say("interrupted", 130)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 -- the one boundary where every failure becomes a line
        return _failed(error, debug)


def _open_closed_streams() -> None:
    """Where the caller closed stdin, stdout or stderr: a file opened later must not take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _failed(error: Exception, debug: bool) -> int:
    from configuration.home import SettingsError

    if isinstance(error, SettingsError):
        return _say(_clean(str(error)), 2)
    if debug:
        import logging
        import traceback

        logging.error("uncaught", exc_info=error)
        print(_harmless("".join(traceback.format_exception(error))), end="", file=sys.stderr)  # noqa: T201
        return 1
    return _say(f"{_clean(_one_line(error))} (run again with --debug for the whole story)", 1)


def _clean(text: str) -> str:
    from commands.crash_report import without_secrets

    return without_secrets(text)


def _harmless(text: str) -> str:
    """Cleaned of secrets and of what a terminal would obey: it may quote anything."""
    from safety.terminal_text import neutralize

    return neutralize(_clean(text))


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    first = (str(error).strip() or "no further word").splitlines()[0]
    return f"{type(error).__name__}: {first}" if type(error).__module__ == "builtins" else first


def _say(text: str, code: int = 0) -> int:
    for line in text.splitlines():
        # a message may quote a file or a server, which must not steer the terminal
        shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in line)
        print(f"hermes: {shown}", file=sys.stderr)  # noqa: T201 -- works, and does nothing, without a stderr
    return code


def _answer_at_once(arguments: list[str]) -> str:
    """What --version and --help print, without the libraries and modules of everything else."""
    if arguments in (["--version"], ["-V"], ["version"]):
        from configuration.version import VERSION

        return f"hermes {VERSION}\n"
    if arguments in (["--help"], ["-h"]):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "commands", "help.txt")
        with open(path, encoding="utf-8") as file:
            return file.read()
    return ""


if __name__ == "__main__":
    # a run from a checkout keeps its logs there
    os.environ.setdefault("HERMES_LOGS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "logs"))
    sys.exit(main())
