"""As much of Modal as its client needs for sandboxes: the service on the wire, on loopback.

A sandbox is a bubblewrap of this machine with folders, processes and (unless it is blocked) a network of its
own; what is executed in it enters its namespaces. It ends as a whole when its first process does.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.server import Server
from modal_proto import api_pb2, task_command_router_pb2
from modal_proto.api_grpc import ModalClientBase
from modal_proto.task_command_router_grpc import TaskCommandRouterBase

from tests.sandboxes.modal.played_sandbox import Execution, PlayedSandbox

_DONE = api_pb2.GenericResult


class _Listening(Server):
    """Knows its connections, so that they can be closed."""

    def __init__(self, handlers: Any) -> None:
        super().__init__(handlers)
        self.protocols: list[Any] = []

    def _protocol_factory(self) -> Any:
        self.protocols.append(super()._protocol_factory())
        return self.protocols[-1]


class FakeModal:
    """Settable: `refuses` all tokens, `broken_images` and what their build says, `quota` of sandboxes,
    `secrets` there are, `cuts`: how many streams of output break after their next piece,
    `slow`: seconds that making a sandbox takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refuses = False
        self.broken_images: dict[str, str] = {}
        self.quota = 1000
        self.secrets: set[str] = set()
        self.cuts = 0
        self.slow = 0.0
        self.sandboxes: dict[str, PlayedSandbox] = {}
        self.images: dict[str, str] = {}
        self.requests: list[Any] = []
        """Each a message of Modal's protocol."""
        self.tokens: set[tuple[str, str]] = set()
        self.address = ""

    @property
    def living(self) -> list[PlayedSandbox]:
        return [each for each in self.sandboxes.values() if each.result is None]

    @property
    def environ(self) -> dict[str, str]:
        """For a client."""
        return {
            "MODAL_SERVER_URL": self.address, "MODAL_TOKEN_ID": "ak-test", "MODAL_TOKEN_SECRET": "as-test",
            "MODAL_CONFIG_PATH": str(self.folder / "modal.toml"), "PATH": os.environ["PATH"],
        }  # fmt: skip

    @contextmanager
    def serving(self) -> Iterator[FakeModal]:
        """Serve from a thread of its own. In the end every sandbox is ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="fake-modal")
        thread.start()
        try:
            self._call(self._open())
            yield self
        finally:
            self._call(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def vanish(self, id: str) -> None:
        """Its machine is lost."""
        self._call(self.finish(self.sandboxes[id], _DONE.GENERIC_STATUS_TERMINATED))

    def time_out(self, id: str) -> None:
        """Its longest life is over."""
        self._call(self.finish(self.sandboxes[id], _DONE.GENERIC_STATUS_TIMEOUT))

    def wait_for_end(self, id: str, seconds: float) -> None:
        """Raises TimeoutError if it is still there then."""
        self._call(asyncio.wait_for(self.sandboxes[id].ended.wait(), seconds))

    def leave(self, name: str, tags: dict[str, str]) -> None:
        """Somebody else's sandbox, which has the tag `name` too."""
        self.images["im-0"] = "left"
        definition = api_pb2.Sandbox(image_id="im-0", timeout_secs=60, entrypoint_args=["sleep", "60"])
        all_tags = {**tags, "name": name}.items()
        labels = [api_pb2.SandboxTag(tag_name=key, tag_value=value) for key, value in all_tags]
        self._call(self.create(definition, labels, (), old=False))

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        self._server = _Listening([_Service(self), _Router(self)])
        await self._server.start("127.0.0.1", 0)
        listening: Any = self._server._server
        port = listening.sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"

    async def _close(self) -> None:
        for sandbox in self.living:
            await self.finish(sandbox, _DONE.GENERIC_STATUS_TERMINATED)
        for sandbox in self.sandboxes.values():
            for execution in sandbox.executions.values():
                await execution.process.wait()  # one that was begun as its sandbox ended
        self._server.close()
        for protocol in self._server.protocols:
            if protocol.processor is not None:
                protocol.processor.close()
        await self._server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # -- sandboxes ---------------------------------------------------------------------------------------

    async def create(
        self, definition: api_pb2.Sandbox, tags: Any, sources: Any, *, old: bool
    ) -> PlayedSandbox:
        if len(self.living) >= self.quota:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "your workspace may not have more sandboxes")
        await asyncio.sleep(self.slow)
        number = secrets.token_hex(11)
        id = f"sb-{number}" if old else f"sb-new-{number}"
        folder = self.folder / id
        for name in ("root", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        ids = [*definition.secret_ids, *(each.secret_id for each in sources if each.secret_id)]
        environment = {key: each.env.contents[key] for each in sources for key in each.env.contents}
        sandbox = PlayedSandbox(
            id, f"ta-{number}" if old else f"ta-{number}V", definition,
            {tag.tag_name: tag.tag_value for tag in tags}, self.images[definition.image_id],
            [each.removeprefix("st-") for each in ids], environment, folder, time.time(),
        )  # fmt: skip
        self.sandboxes[id] = sandbox
        await sandbox.boot()
        sandbox.watch = asyncio.ensure_future(self._watch(sandbox))
        self._loop.call_later(definition.timeout_secs, self._time_out, sandbox)
        return sandbox

    async def _watch(self, sandbox: PlayedSandbox) -> None:
        assert sandbox.process is not None
        await sandbox.process.wait()
        await self.finish(sandbox, _DONE.GENERIC_STATUS_FAILURE)

    def _time_out(self, sandbox: PlayedSandbox) -> None:
        sandbox.watch = asyncio.ensure_future(self.finish(sandbox, _DONE.GENERIC_STATUS_TIMEOUT))

    async def finish(self, sandbox: PlayedSandbox, status: Any) -> None:
        if sandbox.result is None:
            sandbox.result = api_pb2.GenericResult(status=status, exitcode=1)
            with contextlib.suppress(ProcessLookupError):
                os.kill(sandbox.inside, signal.SIGKILL)
            assert sandbox.process is not None
            await sandbox.process.wait()
            for execution in sandbox.executions.values():
                await execution.process.wait()
            sandbox.ended.set()

    def find(self, id: str) -> PlayedSandbox:
        if id not in self.sandboxes:
            raise GRPCError(Status.NOT_FOUND, f"there is no sandbox {id}")
        return self.sandboxes[id]

    def of_task(self, task_id: str) -> PlayedSandbox:
        found = next((each for each in self.living if each.task_id == task_id), None)
        if found is None:
            raise GRPCError(Status.NOT_FOUND, f"the task {task_id} does not run")
        return found


def _rest_of(base: type) -> type:
    """`base` with all that nobody here calls."""

    async def refuse(_: Any, stream: Any) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, "the fake does not know this call")

    names: frozenset[str] = base.__abstractmethods__  # type: ignore[attr-defined]
    return type(f"RestOf{base.__name__}", (base,), dict.fromkeys(names, refuse))


class _Calls:
    def __init__(self, modal: FakeModal) -> None:
        self.modal = modal

    async def take(self, stream: Any) -> Any:
        request = await stream.recv_message()
        self.modal.requests.append(request)
        metadata = stream.metadata
        if token := metadata.get("x-modal-token-id"):
            self.modal.tokens.add((token, metadata["x-modal-token-secret"]))
        if self.modal.refuses:
            raise GRPCError(Status.UNAUTHENTICATED, "Token ID is malformed")
        return request


class _Service(_Calls, _rest_of(ModalClientBase)):  # type: ignore[misc]
    """The control plane."""

    async def ClientHello(self, stream: Any) -> None:
        await self.take(stream)
        await stream.send_message(api_pb2.ClientHelloResponse())

    async def AuthTokenGet(self, stream: Any) -> None:
        await self.take(stream)
        await stream.send_message(api_pb2.AuthTokenGetResponse(token=_jwt()))

    async def AppGetOrCreate(self, stream: Any) -> None:
        request = await self.take(stream)
        await stream.send_message(api_pb2.AppGetOrCreateResponse(app_id=f"ap-{request.app_name}"))

    async def EnvironmentGetOrCreate(self, stream: Any) -> None:
        await self.take(stream)
        settings = api_pb2.EnvironmentSettings(image_builder_version="2025.06")
        metadata = api_pb2.EnvironmentMetadata(name="main", settings=settings)
        await stream.send_message(
            api_pb2.EnvironmentGetOrCreateResponse(environment_id="en-1", metadata=metadata)
        )

    async def ImageGetOrCreate(self, stream: Any) -> None:
        request = await self.take(stream)
        name = next(line.split()[1] for line in request.image.dockerfile_commands if line.startswith("FROM"))
        id = f"im-{len(self.modal.images) + 1}"
        self.modal.images[id] = name
        await stream.send_message(api_pb2.ImageGetOrCreateResponse(image_id=id))

    async def ImageJoinStreaming(self, stream: Any) -> None:
        request = await self.take(stream)
        words = self.modal.broken_images.get(self.modal.images[request.image_id])
        result = api_pb2.GenericResult(status=_DONE.GENERIC_STATUS_SUCCESS)
        if words is not None:
            result = api_pb2.GenericResult(status=_DONE.GENERIC_STATUS_FAILURE, exception=words)
        await stream.send_message(api_pb2.ImageJoinStreamingResponse(result=result, eof=True))

    async def SecretGetOrCreate(self, stream: Any) -> None:
        request = await self.take(stream)
        if request.deployment_name not in self.modal.secrets and not request.env_dict:
            raise GRPCError(Status.NOT_FOUND, f"Secret '{request.deployment_name}' not found")
        await stream.send_message(
            api_pb2.SecretGetOrCreateResponse(secret_id=f"st-{request.deployment_name}")
        )

    async def SandboxCreateV2(self, stream: Any) -> None:
        request = await self.take(stream)
        made = await self.modal.create(request.definition, request.tags, request.secret_sources, old=False)
        metadata = api_pb2.SandboxHandleMetadata(app_id=request.app_id)
        await stream.send_message(
            api_pb2.SandboxCreateV2Response(sandbox_id=made.id, task_id=made.task_id, metadata=metadata)
        )

    async def SandboxCreate(self, stream: Any) -> None:
        request = await self.take(stream)
        made = await self.modal.create(request.definition, request.tags, (), old=True)
        metadata = api_pb2.SandboxHandleMetadata(app_id=request.app_id)
        await stream.send_message(api_pb2.SandboxCreateResponse(sandbox_id=made.id, metadata=metadata))

    async def SandboxGetTaskId(self, stream: Any) -> None:
        sandbox = self.modal.find((await self.take(stream)).sandbox_id)
        await stream.send_message(api_pb2.SandboxGetTaskIdResponse(task_id=sandbox.task_id))

    SandboxGetTaskIdV2 = SandboxGetTaskId

    async def SandboxGetCommandRouterAccess(self, stream: Any) -> None:
        await self.take(stream)
        answer = api_pb2.SandboxGetCommandRouterAccessResponse(jwt=_jwt(), url=self.modal.address)
        await stream.send_message(answer)

    async def TaskGetCommandRouterAccess(self, stream: Any) -> None:
        await self.take(stream)
        answer = api_pb2.TaskGetCommandRouterAccessResponse(jwt=_jwt(), url=self.modal.address)
        await stream.send_message(answer)

    async def SandboxWait(self, stream: Any) -> None:
        request = await self.take(stream)
        sandbox = self.modal.find(request.sandbox_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(request.timeout):
                await sandbox.ended.wait()
        await stream.send_message(api_pb2.SandboxWaitResponse(result=sandbox.result))

    SandboxWaitV2 = SandboxWait

    async def SandboxTerminate(self, stream: Any) -> None:
        sandbox = self.modal.find((await self.take(stream)).sandbox_id)
        await self.modal.finish(sandbox, _DONE.GENERIC_STATUS_TERMINATED)
        await stream.send_message(api_pb2.SandboxTerminateResponse())

    SandboxTerminateV2 = SandboxTerminate

    async def SandboxList(self, stream: Any) -> None:
        request = await self.take(stream)
        wanted = {(tag.tag_name, tag.tag_value) for tag in request.tags}
        found = [
            api_pb2.SandboxInfo(id=each.id, created_at=each.created, app_id=request.app_id)
            for each in sorted(self.modal.living, key=lambda each: -each.created)
            if wanted <= set(each.tags.items())
            and (not request.before_timestamp or each.created < request.before_timestamp)
        ]
        await stream.send_message(api_pb2.SandboxListResponse(sandboxes=found))

    SandboxListV2 = SandboxList

    async def SandboxTagsGet(self, stream: Any) -> None:
        sandbox = self.modal.find((await self.take(stream)).sandbox_id)
        tags = [api_pb2.SandboxTag(tag_name=key, tag_value=value) for key, value in sandbox.tags.items()]
        await stream.send_message(api_pb2.SandboxTagsGetResponse(tags=tags))

    SandboxTagsGetV2 = SandboxTagsGet


class _Router(_Calls, _rest_of(TaskCommandRouterBase)):  # type: ignore[misc]
    """What a sandbox's machine answers."""

    def _execution(self, request: Any) -> Execution:
        found = self.modal.of_task(request.task_id).executions.get(request.exec_id)
        if found is None:
            raise GRPCError(Status.NOT_FOUND, f"there is no execution {request.exec_id}")
        return found

    async def TaskExecStart(self, stream: Any) -> None:
        request = await self.take(stream)
        await self.modal.of_task(request.task_id).execute(request)
        await stream.send_message(task_command_router_pb2.TaskExecStartResponse())

    async def TaskExecStdinWrite(self, stream: Any) -> None:
        request = await self.take(stream)
        execution = self._execution(request)
        writer = execution.process.stdin
        assert writer is not None
        if request.offset == execution.written:
            execution.written += len(request.data)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                writer.write(request.data)
                await writer.drain()
                if request.eof:
                    writer.close()
        await stream.send_message(task_command_router_pb2.TaskExecStdinWriteResponse())

    async def TaskExecStdioRead(self, stream: Any) -> None:
        request = await self.take(stream)
        execution = self._execution(request)
        first = request.file_descriptor == task_command_router_pb2.TASK_EXEC_STDIO_FILE_DESCRIPTOR_STDOUT
        with contextlib.suppress(StreamTerminatedError):  # the client let go of it
            async for piece in (execution.stdout if first else execution.stderr).pieces(request.offset):
                await stream.send_message(task_command_router_pb2.TaskExecStdioReadResponse(data=piece))
                if first and self.modal.cuts > 0:
                    self.modal.cuts -= 1
                    raise GRPCError(Status.UNAVAILABLE, "the connection broke")

    async def TaskExecWait(self, stream: Any) -> None:
        request = await self.take(stream)
        execution = self._execution(request)
        code = await execution.process.wait()
        self.modal.of_task(request.task_id)  # of one that is gone nothing is known
        answer = {"code": code} if code >= 0 else {"signal": -code}
        await stream.send_message(task_command_router_pb2.TaskExecWaitResponse(**answer))


def _jwt() -> str:
    parts = ({"alg": "none"}, {"exp": time.time() + 3600})
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in parts) + ".x"
