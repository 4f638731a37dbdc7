"""`hermes config`: see where settings come from, and change them without disturbing the file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from configuration import settings_schema
from configuration.home import SECRET_ENDINGS, SettingsError, changing, store_secret, write_private
from configuration.settings_file import SettingsFile, parse_settings, read_settings_file
from safety.terminal_text import neutralize
from settings import (
    Layer,
    LoadedSettings,
    Settings,
    check_layer,
    hermes_home,
    is_trusted,
    load_settings,
    project_file,
    read_secrets,
)

_SECRET_WORDS = ("auth", "key", "token", "secret", "cookie", "password")
_TELLING_PART = re.compile(rf"(?i)(?<=[?&])([^=&#\s]*(?:{'|'.join(_SECRET_WORDS)}|sig)[^=&#\s]*)=[^&#\s]+")
"""Of the query of a URL."""
_RUNNING = "a hermes that is running keeps the settings it began with"
_NEW_FILE = "# hermes settings; `hermes config template` lists them all.\n"


@click.group()
def config() -> None:
    """Show and change the settings."""


@config.command()
def show() -> None:
    """Print the effective settings as YAML, secrets masked."""
    import msgspec
    import yaml

    loaded = _load()
    plain = _masked(msgspec.to_builtins(loaded.settings))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    click.echo(neutralize(text), nl=False)
    for name in sorted(read_secrets(names=_key_variables(loaded.settings))):
        place = "the environment" if os.environ.get(name) else str(hermes_home() / ".env")
        click.echo(f"# {name} is set in {place}")
    project = project_file(Path.cwd())
    if project.is_file() and project not in loaded.files and project != _path():
        click.echo(f"{project} is not used: this folder is not trusted", err=True)


@config.command()
def path() -> None:
    """Print where your settings file is."""
    click.echo(_path())


@config.command()
def template() -> None:
    """Print every setting with its default and an explanation."""
    from commands.config_template import config_template

    click.echo(config_template(), nl=False)


@config.command()
@click.argument("key")
def explain(key: str) -> None:
    """Tell what a setting does, its value, and which layer gave it."""
    import msgspec

    from commands.config_template import explanation
    from configuration.settings_edit import flow_text

    keys = _known(key)
    loaded = _load()
    value: Any = msgspec.to_builtins(loaded.settings)
    for name in keys:
        value = value.get(name) if isinstance(value, dict) else None
    click.echo(f"{key}: {flow_text(_masked(value, keys[-1]))}")
    click.echo(f"from: {loaded.origin(key)}")
    for where, weaker in reversed(loaded.given(key)[:-1]):
        click.echo(f"  not used: {flow_text(_masked(weaker, keys[-1]))} from {where}")
    for setting in settings_schema.settings_in(Settings):
        if setting.key == key:
            click.echo(f"default: {flow_text(setting.default)}")
            click.echo(f"expects: {settings_schema.expected(setting.kind)}")
            click.echo(explanation(setting))


@config.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("key")
@click.argument("value")
def set_value(key: str, value: str) -> None:
    """Set KEY to VALUE in your settings file. Lists are a,b or [a, b]; tables are YAML or JSON."""
    from configuration.settings_edit import with_value

    keys = _known(key)
    kind = settings_schema.kind_at(Settings, keys)
    in_table = settings_schema.is_table(settings_schema.kind_at(Settings, keys[:-1]))
    if settings_schema.is_section(kind) and not in_table:
        raise click.UsageError(f"{key} is a section; set one of the keys in it, e.g. {_first_in(key)}")
    typed = settings_schema.value_from_text(kind, value)
    wrong = [problem for _, problem in settings_schema.problems(kind, typed, keys)]
    if wrong:
        raise SettingsError(*wrong)
    with changing(_path().parent):
        file = read_settings_file(_path()) or parse_settings("", _path())
        _write(file, with_value(file, keys, typed))
    click.echo(f"{key} is set in {_path()}; {_RUNNING}")
    _tell_what_wins(key)


@config.command()
@click.argument("key")
def unset(key: str) -> None:
    """Take KEY out of your settings file."""
    from configuration.settings_edit import without_value

    with changing(_path().parent):
        file = read_settings_file(_path())
        text = without_value(file, key.split(".")) if file is not None else None
        if file is not None and text is not None:
            _write(file, text)
            click.echo(f"{key} is taken out of {_path()}; {_RUNNING}")
            return
    _known(key)
    click.echo(f"{key} does not stand in {_path()}; nothing was changed", err=True)


@config.command()
def edit() -> None:
    """Open your settings file in $VISUAL or $EDITOR and check it afterwards."""
    from commands.editor import open_in_editor

    if not _path().exists():
        write_private(_path(), _NEW_FILE)
    open_in_editor(_path())
    try:
        file = read_settings_file(_path())
        problems = check_layer(Layer(file.data, file)) if file is not None else []
    except SettingsError as error:
        problems = error.problems
    if problems:
        raise SettingsError(
            *problems, f"your edit is kept in {_path()}; put it right with: hermes config edit"
        )


@config.command()
@click.option("--no", "refused", is_flag=True, help="Take it back.")
def trust(refused: bool) -> None:
    """Trust the folder you are in: its .hermes/config.yaml and its instructions (AGENTS.md) count."""
    from configuration import home

    here = Path.cwd()
    (home.refuse_trust if refused else home.trust)(here)
    click.echo(f"{here} is {'not ' if refused else ''}trusted.")


@config.command("set-key")
@click.argument("name")
@click.argument("value", nargs=-1)
def set_key(name: str, value: tuple[str, ...]) -> None:
    """Store a key in your .env; it is asked for, not shown.

    NAME is the variable that holds it, e.g. OPENROUTER_API_KEY.
    """
    if value or "=" in name:
        raise click.UsageError(
            "a secret is never given as an argument: it would stay in the history of your shell. "
            "Give the name alone and type the secret when asked, or pipe it in"
        )
    secret = click.prompt(name, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    click.echo(f"{name} is stored in {store_secret(name, secret.strip())}")


def _path() -> Path:
    return hermes_home() / "config.yaml"


def _load() -> LoadedSettings:
    here = Path.cwd()
    return load_settings(cwd=here, project_trusted=is_trusted(here))


def _known(key: str) -> tuple[str, ...]:
    keys = tuple(key.split("."))
    if key.isupper() and key.endswith(SECRET_ENDINGS):
        raise SettingsError(f"{key} is a secret, not a setting. Store it with: hermes config set-key {key}")
    if settings_schema.kind_at(Settings, keys) is None:
        if keys[-1].lower().endswith("api_key"):
            raise SettingsError(
                f"unknown setting {key}: a key is no setting. "
                "Store it with: hermes config set-key OPENROUTER_API_KEY (or the name your provider uses)"
            )
        raise SettingsError(f"unknown setting {key}; {settings_schema.hint_for(Settings, keys)}")
    return keys


def _first_in(section: str) -> str:
    keys = [setting.key for setting in settings_schema.settings_in(Settings)]
    return next((key for key in keys if key.startswith(f"{section}.")), section)


def _write(file: SettingsFile, text: str) -> None:
    write_private(file.path, file.bom + text)
    written = parse_settings(text, file.path)
    for problem in check_layer(Layer(written.data, written)):
        click.echo(f"still to be put right: {problem}", err=True)


def _tell_what_wins(key: str) -> None:
    """A stronger layer hides what was just set; silence would make it look ineffective."""
    try:
        origin = _load().origin(key)
    except SettingsError:
        return
    if not origin.startswith(f"{_path()}:"):
        click.echo(f"but here {origin} is stronger", err=True)


def _key_variables(settings: Settings) -> list[str]:
    named = [settings.model.key_env, *(provider.key_env for provider in settings.providers.values())]
    return [name for name in named if name]


def _masked(value: Any, name: str = "") -> Any:
    """The value without secrets: what is under a telling name, and logins and keys in URLs."""
    if isinstance(value, dict):
        return {key: _masked(entry, key) for key, entry in value.items()}
    if isinstance(value, list):
        return [_masked(entry, name) for entry in value]
    if isinstance(value, str):
        telling = any(word in name.lower() for word in _SECRET_WORDS) and not name.endswith("_env")
        if telling and value:
            return "***"
        value = _TELLING_PART.sub(r"\1=***", value)
        scheme, separator, rest = value.partition("://")
        user, at, host = rest.partition("/")[0].rpartition("@")
        if separator and at and user:
            return f"{scheme}://***@{host}{rest[len(user) + 1 + len(host) :]}"
    return value
