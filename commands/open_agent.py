"""From command-line options to an agent: settings, session and wiring, the same for every face."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import settings as settings_module
from commands.chat_options import ChatOptions
from settings import LoadedSettings, Settings, ToolsetSettings

UNTRUSTED = (
    "the settings this folder brings (.hermes/config.yaml) are not used, because you have not said that you "
    "trust it; hermes at a prompt asks"
)

if TYPE_CHECKING:
    from repl.agent_port import ReplFace
    from run_agent import AIAgent
    from sandboxes.sudo import SudoDoor
    from trajectories.session_load import Session


def load(options: ChatOptions, *, trusted: bool | None = None) -> LoadedSettings:
    """The settings for this run. Raises SettingsError."""
    try:
        cwd = Path.cwd()
    except FileNotFoundError:
        gone = "the folder hermes was started in does not exist any more; change to another one"
        raise settings_module.SettingsError(gone) from None
    if trusted is None:
        trusted = settings_module.is_trusted(cwd)
    return settings_module.load_settings(flags=options.flags, cwd=cwd, project_trusted=trusted)


def open_agent(
    options: ChatOptions,
    loaded: LoadedSettings,
    *,
    face: ReplFace | None = None,
) -> AIAgent:
    """The agent, with the session that was asked for opened. `face` reaches the person, if one is there.

    Raises:
        trajectories.session_load.SessionError: that session is not there, is busy or unreadable.
    """
    from run_agent import AIAgent

    session = None
    settings = loaded.settings
    if options.resume or options.continue_last:
        from trajectories.session_file import SessionWriter, fork

        path = find(options)
        if options.fork:
            path = fork(path)
        session = SessionWriter.open(path, send_reasoning=settings.model.send_reasoning)
        settings = _as_it_was(loaded, session[1])
    _check(settings, loaded)
    trusted = settings_module.is_trusted(Path.cwd())
    agent = AIAgent(
        settings=settings,
        session=session,
        ephemeral_system_prompt=options.system,
        ask_permission=face.ask_permission if face else None,
        ask_person=face.ask_person if face else None,
        sudo=_sudo(face),
        trusted=trusted,
    )
    if not trusted and settings_module.project_file(Path.cwd()).exists():
        agent.opening_notices.append(UNTRUSTED)
    return agent


def _sudo(face: ReplFace | None) -> SudoDoor | None:
    """The way to sudo, where there is somebody to ask for a password, or SUDO_PASSWORD is set."""
    from sandboxes.sudo import SudoDoor, sudo_can_ask

    password = settings_module.read_secrets().get("SUDO_PASSWORD", "")
    if not (face or password) or not sudo_can_ask():
        return None
    return SudoDoor(face.ask_secret if face else None, password)


def _check(settings: Settings, loaded: LoadedSettings) -> None:
    """Refuse settings that cannot work before a session is made of them; raises SettingsError."""
    from agent.assembly import UnknownPersonalityError, personality_text
    from model_tools import added_toolsets
    from models.providers import resolve_endpoint
    from tools.catalog import with_servers
    from tools.surroundings import Surroundings
    from toolsets import ToolsetError, select_tools

    endpoint = resolve_endpoint(settings, settings_module.read_secrets())
    if endpoint.problem and not endpoint.key_env:
        raise settings_module.SettingsError(endpoint.problem)
    around = Surroundings(settings)
    enabled, disabled = with_servers(settings.tools.enabled, around), settings.tools.disabled
    own = added_toolsets(around, [*enabled, *disabled])
    try:
        select_tools(enabled, disabled, own)
    except ToolsetError as error:
        if loaded.origin("tools.enabled") == "flag":
            raise
        raise settings_module.SettingsError(f"{_faulty(settings, loaded, own)}: tools: {error}") from None
    try:
        personality_text(settings, settings.agent.personality)
    except UnknownPersonalityError as error:
        raise settings_module.SettingsError(f"{loaded.origin('agent.personality')}: {error}") from None


def _faulty(settings: Settings, loaded: LoadedSettings, own: dict[str, ToolsetSettings]) -> str:
    """File and line of the toolset that cannot be resolved, or of the list that names it."""
    from toolsets import TOOLSETS, validate_toolset

    custom = settings.tools.custom
    taken = [name for name in custom if name in TOOLSETS]
    sound = {name: each for name, each in own.items() if name not in TOOLSETS}
    wrong = [name for name in custom if name not in TOOLSETS and not validate_toolset(name, sound)]
    for name in [*taken, *wrong]:
        return loaded.origin(f"tools.custom.{name}")
    unknown = any(not validate_toolset(name, sound) for name in settings.tools.disabled)
    return loaded.origin("tools.disabled" if unknown else "tools.enabled")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What a person can put right, said in click's way: wrong usage ends with 2, a missing session with 1."""
    import click

    from agent.assembly import UnknownPersonalityError
    from toolsets import ToolsetError
    from trajectories.session_file import SessionBusy
    from trajectories.session_load import SessionError

    try:
        yield
    except (ToolsetError, UnknownPersonalityError) as error:
        raise click.UsageError(str(error)) from None
    except SessionBusy as error:
        raise click.ClickException(f"{error}. With --fork you go on in a copy of it") from None
    except SessionError as error:
        raise click.ClickException(str(error)) from None


def _as_it_was(loaded: LoadedSettings, session: Session) -> Settings:
    """The settings with the session's own model and toolsets, unless the command line names others.

    The model is the session's only where the same server is asked; another one may not have it.
    """
    from agent.assembly import override
    from models.providers import resolve_endpoint

    settings = loaded.settings
    if session.toolsets and loaded.origin("tools.enabled") != "flag":
        settings = override(settings, "tools", enabled=session.toolsets)
    endpoint = resolve_endpoint(settings, settings_module.read_secrets())
    same = (endpoint.name, endpoint.host) == (session.header.provider, session.header.base_url_host)
    if same and session.model and loaded.origin("model.name") != "flag":
        settings = override(settings, "model", name=session.model)
    return settings


def find(options: ChatOptions) -> Path:
    """The session file that `--resume` or `--continue` means; the last of this folder before any other."""
    from trajectories.session_list import SessionNotFound, find_session, latest_session

    folder = settings_module.logs_dir() / "sessions"
    if options.resume:
        return find_session(folder, options.resume)
    path = latest_session(folder, os.getcwd()) or latest_session(folder)
    if path is None:
        raise SessionNotFound(f"there is no session to continue in {folder}")
    return path
