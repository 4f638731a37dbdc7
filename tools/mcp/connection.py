"""One connection to a server, in a task of its own: the SDK wants it opened and closed in the same."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from configuration.version import VERSION
from tools.mcp.http_streams import http_streams
from tools.mcp.launch import Launch
from tools.mcp.server_process import LONGEST_MESSAGE, ServerProcess
from tools.mcp.trouble import ServerError

if TYPE_CHECKING:
    import anyio
    from mcp.client.session import ClientSession
    from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
    from mcp_types import CallToolResult

log = logging.getLogger("hermes.mcp")

PING_SECONDS = 5.0
CLOSE_SECONDS = 3.0
"""For a farewell; then it is cut off."""
MOST_PAGES = 50
MOST_LISTED = 5_000
"""Tools that are read of a server's list."""
_SILENCE = 300.0
_CLOSED = "Connection closed"
"""So the SDK says it; its code for that is one that servers use themselves."""


class Connection:
    """`name` is the server's; `seconds` a call may take, `start_seconds` the way to the first answer."""

    def __init__(self, name: str, launch: Launch, seconds: float, start_seconds: float) -> None:
        self.name = name
        self.title = ""
        """What the server calls itself."""
        self.listed: dict[str, Mapping[str, Any]] = {}
        """The tools as it last told, by name."""
        self.list_is_stale = True
        self._seconds, self._start_seconds = seconds, start_seconds
        self._launch = launch
        self._leave = asyncio.Event()
        self._process = ServerProcess(launch, self._leave.set) if launch.argv else None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._scope: anyio.CancelScope | None = None
        self._session: ClientSession | None = None
        self._dispatcher: JSONRPCDispatcher | None = None
        self._problem = ""
        self._task: asyncio.Task[None] | None = None
        self._doubtful = False

    @property
    def alive(self) -> bool:
        """Whether it can be used, here: a connection belongs to the event loop it was opened in."""
        return (
            self._session is not None
            and not self._leave.is_set()
            and self._task is not None
            and not self._task.done()
            and self._task.get_loop() is asyncio.get_running_loop()
        )

    @property
    def stderr(self) -> str:
        return self._process.stderr if self._process is not None else ""

    async def open(self) -> None:
        """Start or reach it and read its list of tools. Raises ServerError; it is closed then."""
        try:
            await asyncio.to_thread(_load_sdk)  # takes a second or more
        except ImportError as error:
            raise ServerError(
                f"the MCP SDK cannot be loaded ({_plain(str(error))}); use: pip install 'hermes-agent[mcp]'"
            ) from None
        self._task = asyncio.create_task(self._live(), name=f"mcp {self.name}")
        try:
            async with asyncio.timeout(self._start_seconds):
                await asyncio.wait({self._task, self._opened}, return_when=asyncio.FIRST_COMPLETED)
                if self._session is None:
                    failed = "did not start" if self._process is not None else "cannot be reached"
                    raise ServerError(f"the MCP server {self.name} {failed}: {self._why()}")
                await self.read_list()
        except TimeoutError:
            await self.close()
            raise ServerError(
                f"the MCP server {self.name} did not answer within {self._start_seconds:g} seconds of its "
                f"start{self._stray()}; if it needs longer, raise mcp.{self.name}.start_timeout"
            ) from None
        except asyncio.CancelledError:
            if self._process is not None:
                self._process.kill()  # a person who interrupts does not wait for a farewell
            await self.close()
            raise
        except BaseException:
            await self.close()
            raise

    async def read_list(self) -> None:
        """Ask for its tools again. Raises ServerError."""
        self.list_is_stale = False
        listed: dict[str, Mapping[str, Any]] = {}
        cursors: set[str] = set()
        cursor, size = "", 0
        for _ in range(MOST_PAGES):
            page = await self._answer(self._page(cursor), "its list of tools")
            size += len(json.dumps(page))
            if size > LONGEST_MESSAGE:
                raise ServerError(f"the MCP server {self.name} has a list of tools that does not end")
            for tool in page["tools"]:
                if isinstance(tool, Mapping) and isinstance(tool.get("name"), str):
                    listed.setdefault(tool["name"], tool)
            cursors.add(cursor)
            cursor = page.get("nextCursor") or ""
            if not isinstance(cursor, str) or cursor in cursors or len(listed) >= MOST_LISTED:
                break
        self.listed = dict(list(listed.items())[:MOST_LISTED])

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """Raises ServerError. Cancelled, it tells the server so and can be used again."""
        from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult

        session = self._live_session()
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        # Not `session.call_tool`: it runs the server's own patterns over its own answer, without end.
        sent = session.send_request(request, CallToolResult, request_read_timeout_seconds=self._seconds)
        result: CallToolResult = await self._answer(sent, tool)
        return result

    async def answers(self) -> bool:
        """False if it hangs since a call timed out; it is closed then."""
        if not self._doubtful:
            return True
        from mcp.shared.exceptions import MCPError
        from mcp_types import REQUEST_TIMEOUT

        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._live_session().send_ping()
        except (TimeoutError, ServerError, MCPError) as error:
            refused = isinstance(error, MCPError) and error.code != REQUEST_TIMEOUT
            if not refused:  # a refusal is an answer
                await self.close()
                return False
        self._doubtful = False
        return True

    async def close(self) -> None:
        """End it; a server that does not go is killed. Never waits long, never raises."""
        self._leave.set()
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            if self._process is not None:
                self._process.kill()
            return
        if self._session is None and self._scope is not None:
            self._scope.cancel()
        if not await _ended(task, CLOSE_SECONDS) and self._scope is not None:
            self._scope.cancel()
            if not await _ended(task, CLOSE_SECONDS):
                log.warning("the connection to the MCP server %s does not end", self.name)

    async def _live(self) -> None:
        import anyio
        from mcp.client.session import ClientSession
        from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
        from mcp_types import Implementation

        try:
            with anyio.CancelScope() as self._scope:
                if self._leave.is_set():
                    return
                async with self._streams() as (read, write):
                    self._dispatcher = JSONRPCDispatcher(read, write)
                    session = ClientSession(
                        dispatcher=self._dispatcher, message_handler=self._hear,
                        read_timeout_seconds=self._seconds + self._start_seconds,
                        client_info=Implementation(name="hermes", version=VERSION),
                    )  # fmt: skip
                    async with session:
                        self.title = await _shake_hands(session)
                        self._session = session
                        if not self._opened.done():
                            self._opened.set_result(None)
                        await self._leave.wait()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server brings about
            self._problem = _told(error)
        finally:
            self._leave.set()

    def _streams(self) -> AbstractAsyncContextManager[tuple[Any, Any]]:
        if self._process is not None:
            return self._process.streams()
        return http_streams(self._launch, max(_SILENCE, self._seconds))

    async def _hear(self, message: Any) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self.list_is_stale = True

    def _live_session(self) -> ClientSession:
        if self._session is None or not self.alive:
            raise ServerError(f"the MCP server {self.name} has ended: {self._why()}")
        return self._session

    async def _answer(self, request: Any, what: str) -> Any:
        from mcp.shared.exceptions import MCPError
        from mcp_types import REQUEST_TIMEOUT
        from pydantic import ValidationError

        try:
            return await request
        except MCPError as error:
            if error.code == REQUEST_TIMEOUT:
                self._doubtful = True
                raise ServerError(
                    f"the MCP server {self.name} did not answer ({what}) within {self._seconds:g} s and "
                    f"was told to stop; ask for less, or raise mcp.{self.name}.timeout"
                ) from None
            if error.message == _CLOSED and await _ended(self._task, CLOSE_SECONDS):
                raise ServerError(f"the MCP server {self.name} ended ({what}): {self._why()}") from None
            if error.message == "Session terminated":
                self._leave.set()
            raise ServerError(
                f"the MCP server {self.name} refused ({what}): {_plain(error.message)}"
            ) from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            told = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise ServerError(
                f"the MCP server {self.name} broke the protocol ({what}): {_plain(told)}"
            ) from None
        except (ValueError, RuntimeError) as error:
            raise ServerError(
                f"the MCP server {self.name} broke the protocol ({what}): {_plain(str(error))}"
            ) from None

    async def _page(self, cursor: str) -> Mapping[str, Any]:
        """One page of its list as it stands: the SDK would refuse all tools for the fault of one."""
        from mcp_types import PaginatedRequestParams

        session = self._live_session()
        if session.initialize_result is None:  # a newer protocol, of which the SDK keeps account
            params = PaginatedRequestParams(cursor=cursor) if cursor else None
            listed = await session.list_tools(params=params)
            return listed.model_dump(by_alias=True, exclude_none=True, mode="json")
        assert self._dispatcher is not None
        asked = {"cursor": cursor} if cursor else None
        page = await self._dispatcher.send_raw_request(
            "tools/list", asked, {"timeout": self._seconds + self._start_seconds}
        )
        if not isinstance(page.get("tools"), list):
            raise ValueError("it is no list")
        return page

    def _why(self) -> str:
        if self._problem and self._problem != _CLOSED:
            return f"{self._problem}{self._stray()}"
        if self._process is None:
            return "the connection was closed"
        code = self._process.exit_code
        return f"its process ended{'' if code is None else f' with code {code}'}{self._stray()}"

    def _stray(self) -> str:
        count = self._process.stray_lines if self._process is not None else 0
        return f" ({count} lines on its stdout were no MCP messages)" if count else ""


async def _shake_hands(session: ClientSession) -> str:
    """Agree on a version; what the server calls itself."""
    from mcp.shared.exceptions import MCPError
    from mcp_types import UNSUPPORTED_PROTOCOL_VERSION

    try:
        await session.initialize()
    except MCPError as error:
        if error.code != UNSUPPORTED_PROTOCOL_VERSION:
            raise
        await session.discover()  # it speaks nothing older
    known = session.server_info
    return f"{known.name} {known.version}".strip()[:120] if known is not None else ""


async def _ended(task: asyncio.Task[None] | None, seconds: float) -> bool:
    if task is None:
        return True
    return bool((await asyncio.wait({task}, timeout=seconds))[0])


def _load_sdk() -> None:
    """Imported in a thread, so that the screen stays alive; what it logs is for the log alone."""
    import mcp.client.session
    import mcp.client.streamable_http  # noqa: F401

    for name in ("mcp", "client"):  # the second is its session's
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _told(error: BaseException) -> str:
    """The first cause, in a few words."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is not there"
    return _plain(str(error) or type(error).__name__)


def _plain(text: str) -> str:
    from safety.terminal_text import without_hostile

    line = " ".join(without_hostile(text).split())
    return line if len(line) <= 300 else f"{line[:299]}…"
