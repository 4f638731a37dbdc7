"""The prompt: draws the editor first and loads the rest while the person types."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from commands.chat_options import ChatOptions
from configuration.home import hermes_home, write_private
from repl.repl import run_repl

if TYPE_CHECKING:
    from repl.agent_port import AgentPort, Loaded, ReplFace, SessionLine
    from run_agent import AIAgent
    from settings import LoadedSettings


def run_interactive(options: ChatOptions) -> int:
    """Talk at a prompt until the person leaves; returns the exit code."""
    return asyncio.run(run_repl(lambda: _load(options), str(hermes_home())))


def _load(options: ChatOptions) -> Loaded:
    """Runs in a thread while the person may already type; all that is heavy is imported here."""
    import run_agent  # noqa: F401
    from commands.open_agent import load
    from commands.repl_config import ReplConfig
    from configuration.version import VERSION
    from repl.agent_port import Loaded

    loaded = load(options)
    notices: list[str] = []

    async def open_with(face: ReplFace) -> AgentPort:
        from commands.open_agent import explained

        with explained():
            agent = await _open(options, loaded, face)
        notices.extend(agent.opening_notices)
        name = agent.settings.agent.instructions_file
        if name and not agent.trusted and os.path.isfile(name):
            notices.append(f"{name} is not read until you trust this folder: hermes config trust")
        if agent.history.entries:
            notices.append(_where_it_stands(agent))
        return agent

    return Loaded(
        display=loaded.settings.display,
        version=VERSION,
        open_agent=open_with,
        config=ReplConfig(),
        list_sessions=_sessions,
        resume=_resume,
        save=lambda agent, path: _as_agent(agent).save_to(path),
        notices=notices,
        warm_up=_warm_up,
    )


async def _open(options: ChatOptions, loaded: LoadedSettings, face: ReplFace) -> AIAgent:
    from commands.open_agent import load, open_agent
    from trajectories.session_file import SessionBusy

    if await _ask_for_trust(loaded.settings.agent.instructions_file, face):
        loaded = load(options)
    if await _offer_local_server(loaded, face):
        loaded = load(options)
    try:
        return open_agent(options, loaded, face=face)
    except SessionBusy as busy:
        if not await _yes(face, f"{busy}. Go on in a copy of it?"):
            raise
        copied = ChatOptions(options.flags, options.system, options.resume, options.continue_last, fork=True)
        return open_agent(copied, loaded, face=face)


def _where_it_stands(agent: AIAgent) -> str:
    """One line for a person who comes back to a session."""
    from conversation.message import UserMessage
    from trajectories.session_list import first_words

    entries = agent.history.entries
    said = [each for each in entries if isinstance(each, UserMessage) and each.origin == "person"]
    last = f"; the last: {first_words(said[-1].text)}" if said else ""
    count = f"{len(said)} message{'' if len(said) == 1 else 's'} of yours"
    return f"Going on after {count}{last} (/history shows it)"


async def _yes(face: ReplFace, question: str) -> bool:
    """Ask until the answer is a yes or a no: a message that was meant for the agent is neither."""
    while True:
        answer = (await face.ask_person(question, ["yes", "no"])).strip().lower()
        if answer in ("y", "yes"):
            return True
        if answer in ("n", "no", ""):
            return False
        question = "Please answer yes or no (Up brings your line back afterwards)."


async def _ask_for_trust(instructions: str, face: ReplFace) -> bool:
    """Ask once about a folder that brings settings of its own. True: now it is trusted."""
    from pathlib import Path

    from configuration.home import is_decided, refuse_trust, trust, trust_question
    from settings import project_file

    here = Path.cwd()
    if not project_file(here).exists() or is_decided(here):
        return False
    if await _yes(face, trust_question(here, instructions)):
        trust(here)
        return True
    refuse_trust(here)
    return False


async def _offer_local_server(loaded: LoadedSettings, face: ReplFace) -> bool:
    """With no key and nothing set, look once for a server on this machine and ask before using it.

    A "no" is remembered by its URL. True: the settings name the server now.
    """
    from models.local_servers import find_local_servers
    from models.providers import resolve_endpoint
    from settings import read_secrets

    settings = loaded.settings
    if settings.model.provider or resolve_endpoint(settings, read_secrets()).base_url:
        return False
    declined = hermes_home() / "declined_servers"
    refused = declined.read_text(encoding="utf-8").split() if declined.exists() else []
    for server in await find_local_servers():
        if server.url in refused:
            continue
        models = ", ".join(server.models[:3])
        question = f"{server.name} answers at {server.url} with {models}. Talk to it from now on?"
        if await _yes(face, question):
            from commands.repl_config import ReplConfig

            ReplConfig().set("model.provider", server.name)
            return True
        refused.append(server.url)
        write_private(declined, "\n".join(refused) + "\n")
    return False


def _warm_up(agent: AgentPort) -> None:
    """Import the model's client before the first request needs it."""
    if agent.provider != "offline":
        from models import sdk_client

        sdk_client.warm()


async def _resume(agent: AgentPort, name: str) -> str:
    from trajectories.session_load import SessionError

    try:
        await _as_agent(agent).resume(name)
    except SessionError as error:
        raise ValueError(str(error)) from None
    return f"Going on with {agent.session_id} ({len(agent.history.entries)} messages and rounds so far)."


def _as_agent(agent: AgentPort) -> AIAgent:
    from run_agent import AIAgent

    assert isinstance(agent, AIAgent)
    return agent


def _sessions() -> list[SessionLine]:
    from itertools import islice

    from repl.agent_port import SessionLine
    from settings import logs_dir
    from trajectories.session_list import list_sessions

    found = (info for info in list_sessions(logs_dir() / "sessions") if not info.spawned_by)
    recent = islice(found, 20)
    return [SessionLine(info.id, info.started, info.title) for info in recent]
