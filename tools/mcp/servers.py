"""The servers of one task: started at the first call of one of their tools, ended with the task."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from configuration.home import SettingsError, logs_dir, write_private
from conversation.event import Notice
from safety.terminal_text import neutralize
from tools.mcp.approval import ApprovalError, approve_tool
from tools.mcp.connection import Connection
from tools.mcp.definition import Definition, UnusableToolError, digest_of, read_definition
from tools.mcp.differences import difference
from tools.mcp.launch import launch_of, launch_problem
from tools.mcp.results import reply_of, source
from tools.mcp.trouble import ServerError
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import error_reply

log = logging.getLogger("hermes.mcp")

MOST_FAILURES = 3
REST_SECONDS = 30.0
"""After that many failures in a row a server is started once in that time, not at each call."""

YES, NO = "yes, use the new definition", "no, do not call it"
_YES, _NO = frozenset({"y", "yes"}), frozenset({"", "n", "no"})


@dataclass(slots=True)
class _Place:
    """What is known of one server here."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    connection: Connection | None = None
    failures: int = 0
    failed_at: float = 0.0


@dataclass(slots=True)
class Offer:
    """What a person approved of a tool. They may approve another while the model knows this one."""

    server: str
    definition: Definition


class McpServers:
    """Kept with `ToolRuntime.store`."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def call(self, offer: Offer, arguments: dict[str, Any], runtime: ToolRuntime) -> ToolReply:
        """Call a tool with arguments that were checked. What goes wrong becomes a reply."""
        place = self._places.setdefault(offer.server, _Place())
        try:
            connection = await self._connected(place, offer.server, runtime)
            changed = await _changed(connection, offer, runtime)
            if changed:
                return changed
            result = await connection.call(offer.definition.name, arguments)
        except ServerError as error:
            return self._failed(place, offer, runtime, error)
        place.failures = 0
        return await reply_of(offer.server, result, runtime)

    async def settle(self, offer: Offer, runtime: ToolRuntime) -> ToolReply | None:
        """Before a person is asked for a call: is the tool what they approved? A reply ends the call."""
        place = self._places.setdefault(offer.server, _Place())
        try:
            return await _changed(await self._connected(place, offer.server, runtime), offer, runtime)
        except ServerError as error:
            return self._failed(place, offer, runtime, error)

    async def aclose(self) -> None:
        open_ones = [place.connection for place in self._places.values() if place.connection is not None]
        await asyncio.gather(*(each.close() for each in open_ones), *self._ending, return_exceptions=True)
        self._places.clear()

    async def _connected(self, place: _Place, name: str, runtime: ToolRuntime) -> Connection:
        async with place.lock:
            if place.connection is not None:
                if place.connection.alive and await place.connection.answers():
                    return place.connection
                self._let_go(place)
            wait = REST_SECONDS - (time.monotonic() - place.failed_at)
            if place.failures >= MOST_FAILURES and wait > 0:
                raise ServerError(
                    f"the MCP server {name} failed {place.failures} times in a row; it is tried again in "
                    f"{wait:.0f} seconds. To see why: hermes mcp test {name}"
                )
            connection = _new_connection(name, runtime)
            place.connection = connection
            await connection.open()
            return connection

    def _failed(self, place: _Place, offer: Offer, runtime: ToolRuntime, error: ServerError) -> ToolReply:
        return error_reply(f"{error}{self._after_failure(place, runtime)}").by(source(offer.server))

    def _after_failure(self, place: _Place, runtime: ToolRuntime) -> str:
        """Where the server has ended: lets go of it, and says where its last words are."""
        connection = place.connection
        if connection is None or connection.alive:
            return ""
        place.failures += 1
        place.failed_at = time.monotonic()
        self._let_go(place)
        path = _write_log(connection, runtime)
        return f". What it wrote on stderr is in {path}" if path else ""

    def _let_go(self, place: _Place) -> None:
        """The next call makes another connection."""
        connection, place.connection = place.connection, None
        if connection is None:
            return
        ending = asyncio.create_task(connection.close())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def _new_connection(name: str, runtime: ToolRuntime) -> Connection:
    server = runtime.settings.mcp.get(name)
    if server is None:
        raise ServerError(f"there is no MCP server {name} in the settings any more")
    problem = launch_problem(server, runtime.around)
    if problem:
        raise ServerError(f"the MCP server {name} cannot be started: {problem}")
    return Connection(name, launch_of(server, runtime.around), server.timeout, server.start_timeout)


async def _changed(connection: Connection, offer: Offer, runtime: ToolRuntime) -> ToolReply | None:
    """Nothing if the tool is what the person approved; else what the model is told instead of an answer."""
    if connection.list_is_stale:
        await connection.read_list()
    name, approved = connection.name, offer.definition
    said: Mapping[str, Any] | None = connection.listed.get(approved.name)
    if said is None:
        told = f"the MCP server {name} does not have the tool {approved.name} any more"
        return error_reply(told).by(source(name))
    if digest_of(said) == approved.digest:
        return None
    again = f"The person can look at it and approve it with: hermes mcp test {name}"
    try:
        new = read_definition(said)
    except UnusableToolError as error:
        return error_reply(f"the MCP server {name} has changed its tool, which cannot be used now: {error}")
    if runtime.ask is None:
        return error_reply(
            f"the MCP server {name} has changed what its tool says of itself since the person approved it, "
            f"so it was not called. {again}"
        )
    question = (
        f"The MCP server {name} has changed its tool {neutralize(approved.name)} since you approved it:\n"
        f"{difference(approved, new)}"
    )
    if refused := _refused(await runtime.ask(question, [YES, NO])):
        runtime.emit(Notice(f"{name}: {refused}", "warning"))
        return error_reply(f"the tool of the MCP server {name} has changed, and {refused}")
    try:
        approve_tool(name, runtime.settings.mcp[name], new, runtime.around.home)
    except (ApprovalError, SettingsError) as error:
        return error_reply(f"the new definition could not be kept, so the tool was not called: {error}")
    offer.definition = new
    return error_reply(
        "the tool was not called: its definition has changed, and the person approved the new one. Call it "
        "again if that still fits",
        description=new.description, parameters=new.parameters,
    ).by(source(name))  # fmt: skip


def _refused(answer: str) -> str:
    """Why a person's answer is no word for the new definition; "" if it is one."""
    plain = answer.strip().rstrip(".!").lower()
    if plain in _YES or answer == YES:
        return ""
    if plain in _NO or answer == NO:
        return "the person does not want it called"
    return f"the answer {neutralize(answer.strip())[:80]!r} was not understood (it is y or n): not called"


def _write_log(connection: Connection, runtime: ToolRuntime) -> str:
    """The end of what a server that failed wrote on stderr, for the person; where it lies."""
    if not connection.stderr:
        return ""
    path = logs_dir(runtime.around.environ) / "mcp" / f"{connection.name}.log"
    try:
        write_private(path, connection.stderr)
    except SettingsError as error:
        log.warning("%s", error)
        return ""
    return str(path)
