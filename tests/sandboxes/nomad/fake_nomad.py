"""As much of Nomad as pools see: its HTTP API on loopback, a scheduler, and tasks that are real processes.

A docker task's container is played by a process on this machine whose inside port is mapped to a dynamic one;
a raw_exec task that would run apptainer runs what apptainer would, with the environment it would pass.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]
RESCHEDULE = 0.05


@dataclass
class Allocation:
    stub: dict[str, Any]
    port: int
    folder: Path
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[None] | None = None


@dataclass
class FakeNomad:
    """Settable: the `token` it wants, `drivers` of its one node, `room` for allocations, `images` to pull."""

    folder: Path
    marker: str
    token: str = ""
    drivers: set[str] = field(default_factory=lambda: {"docker", "raw_exec"})
    room: int = 100
    images: set[str] = field(default_factory=lambda: {"tools:1", "tools.sif"})
    index: int = 10
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    allocations: dict[str, Allocation] = field(default_factory=dict)
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    async def __aenter__(self) -> FakeNomad:
        self._changed = asyncio.Condition()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for allocation in self.allocations.values():
            await self._end(allocation, "complete", [])
        self._server.close()
        await self._server.wait_closed()

    def living(self, job: str | None = None) -> list[Allocation]:
        return [
            each for each in self.allocations.values()
            if each.stub["ClientStatus"] in ("pending", "running") and each.stub["DesiredStatus"] == "run"
            and job in (None, each.stub["JobID"])
        ]  # fmt: skip

    async def change(self) -> None:
        self.index += 1
        async with self._changed:
            self._changed.notify_all()

    # -- the API -----------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = head[0].split()
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                given = headers.get("x-nomad-token", "")
                body = json.loads(
                    await reader.readexactly(int(headers.get("content-length", "0"))) or b"null"
                )
                url = urlsplit(target)
                self.asked.append((method, url.path))
                status, answer = 403, "Permission denied"
                if given == self.token.lower():
                    status, answer = await self._answer(method, url.path, parse_qs(url.query), body)
                data = json.dumps(answer).encode() if status == 200 else str(answer).encode()
                lines = (
                    f"HTTP/1.1 {status} X",
                    f"X-Nomad-Index: {self.index}",
                    f"Content-Length: {len(data)}",
                )
                writer.write("\r\n".join((*lines, "", "")).encode() + data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller has gone
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        if "index" in query:
            wait = float(query["wait"][0].rstrip("s"))
            try:
                async with asyncio.timeout(wait), self._changed:
                    await self._changed.wait_for(lambda: self.index > int(query["index"][0]))
            except TimeoutError:
                pass
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", r"/v1/status/leader", lambda: (200, "127.0.0.1:4647")),
            ("GET", r"/v1/jobs", lambda: (200, [
                {"ID": id, "Status": "dead" if job.get("Stop") else "running"}
                for id, job in self.jobs.items() if id.startswith(query["prefix"][0])])),
            ("POST", r"/v1/jobs", lambda: self._register(body)),
            ("POST", r"/v1/job/([^/]+)/scale", lambda id: self._scale(id, body)),
            ("DELETE", r"/v1/job/([^/]+)", lambda id: self._deregister(id, query["purge"][0] == "true")),
            ("GET", r"/v1/job/([^/]+)/allocations", lambda id: (200, [
                each.stub for each in self.allocations.values() if each.stub["JobID"] == id])),
            ("GET", r"/v1/allocation/([^/]+)", self._allocation),
            ("POST", r"/v1/allocation/([^/]+)/stop", self._stop),
            ("GET", r"/v1/evaluation/([^/]+)", lambda id: (200, self.evaluations[id])),
        ]  # fmt: skip
        for wanted, pattern, answer in routes:
            if method == wanted and (match := re.fullmatch(pattern, path)):
                found = answer(*match.groups())
                status, body = await found if asyncio.iscoroutine(found) else found
                return status, body
        return 404, "Invalid method or path"

    async def _register(self, body: Any) -> Answer:
        job = body["Job"]
        if not job.get("Datacenters") or job["Type"] != "service" or len(job["TaskGroups"]) != 1:
            return 400, "job validation failed"
        (task,) = job["TaskGroups"][0]["Tasks"]
        if task["Driver"] == "docker" and not task["Config"].get("image"):
            return 500, "rpc error: driver config validation failed: missing image"
        self.jobs[job["ID"]] = job
        return 200, {"EvalID": await self._evaluate(job["ID"]), "JobModifyIndex": self.index}

    async def _scale(self, id: str, body: Any) -> Answer:
        if id not in self.jobs:
            return 404, "job not found"
        group = self.jobs[id]["TaskGroups"][0]
        if body["Target"] != {"Group": group["Name"]}:
            return 400, "task group not found"
        group["Count"] = body["Count"]
        return 200, {"EvalID": await self._evaluate(id)}

    async def _deregister(self, id: str, purge: bool) -> Answer:
        if id not in self.jobs:
            return 404, "job not found"
        self.jobs[id]["Stop"] = True
        for allocation in self.living(id):
            await self._end(allocation, "complete", [], desired="stop")
        if purge:
            del self.jobs[id]
        await self.change()
        return 200, {"EvalID": ""}

    def _allocation(self, id: str) -> Answer:
        if id not in self.allocations:
            return 404, "alloc not found"
        allocation = self.allocations[id]
        ports = [{"Label": "executor", "Value": allocation.port, "To": 0, "HostIP": "127.0.0.1"}]
        return 200, {**allocation.stub, "AllocatedResources": {"Shared": {"Ports": ports}}}

    async def _stop(self, id: str) -> Answer:
        allocation = self.allocations[id]
        await self._end(allocation, "complete", [], desired="stop")
        return 200, {"EvalID": await self._evaluate(allocation.stub["JobID"])}

    # -- the scheduler -----------------------------------------------------------------------------------

    async def _evaluate(self, id: str) -> str:
        """Bring the number of allocations to the job's count."""
        job = self.jobs[id]
        group = job["TaskGroups"][0]
        (task,) = group["Tasks"]
        living = sorted(self.living(id), key=lambda each: _index(each.stub))
        for allocation in living[group["Count"] :]:
            await self._end(allocation, "complete", [], desired="stop")
        evaluation: dict[str, Any] = {"ID": secrets.token_hex(16), "JobID": id, "Status": "complete"}
        for _ in range(group["Count"] - len(living)):
            if task["Driver"] not in self.drivers:
                evaluation["FailedTGAllocs"] = {
                    group["Name"]: {"NodesEvaluated": 1, "ConstraintFiltered": {"missing drivers": 1}}
                }
            elif len(self.living()) >= self.room:
                evaluation["FailedTGAllocs"] = {
                    group["Name"]: {"NodesEvaluated": 1, "DimensionExhausted": {"memory": 1}}
                }
            else:
                await self._place(job, group, task)
        self.evaluations[evaluation["ID"]] = evaluation
        await self.change()
        return str(evaluation["ID"])

    async def _place(self, job: dict[str, Any], group: dict[str, Any], task: dict[str, Any]) -> None:
        taken = {_index(each.stub) for each in self.living(job["ID"])}
        number = next(number for number in range(1000) if number not in taken)
        id = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        folder = self.folder / id
        (folder / "local").mkdir(parents=True)
        for template in task["Templates"]:
            (folder / template["DestPath"]).write_text(template["EmbeddedTmpl"])
        self.index += 1
        stub = {
            "ID": id, "JobID": job["ID"], "Name": f"{job['ID']}.{group['Name']}[{number}]",
            "DesiredStatus": "run", "ClientStatus": "pending", "CreateIndex": self.index, "TaskStates": {},
        }  # fmt: skip
        allocation = self.allocations[id] = Allocation(stub, port, folder)
        allocation.watch = asyncio.ensure_future(self._run(allocation, task))

    async def _run(self, allocation: Allocation, task: dict[str, Any]) -> None:
        config, stub = task["Config"], allocation.stub
        argv, environ = _as_on_the_node(task, allocation)
        image = config.get("image") or config["args"][config["args"].index("python3") - 1]
        if image not in self.images:
            event = {
                "Type": "Driver Failure",
                "DisplayMessage": f"Failed to pull `{image}`: pull access denied",
            }
            await self._fail(allocation, event)
            return
        variables = {
            "PATH": os.environ["PATH"],
            "HERMES_TASK": self.marker,
            "TMPDIR": str(allocation.folder),
            **environ,
        }
        allocation.process = await asyncio.create_subprocess_exec(
            *argv, env=variables, cwd="/", stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        if stub["DesiredStatus"] != "run":  # stopped while it came up
            allocation.process.terminate()
            await allocation.process.wait()
            return
        stub["ClientStatus"] = "running"
        stub["TaskStates"] = {
            task["Name"]: {"State": "running", "Failed": False, "Events": [{"Type": "Started"}]}
        }
        await self.change()
        code = await allocation.process.wait()
        if stub["DesiredStatus"] != "run":
            return
        await self._fail(allocation, {"Type": "Terminated", "DisplayMessage": f"Exit Code: {code}"})

    async def _fail(self, allocation: Allocation, event: dict[str, str]) -> None:
        stub = allocation.stub
        await self._end(allocation, "failed", [event])
        await asyncio.sleep(RESCHEDULE)
        if stub["JobID"] in self.jobs and not self.jobs[stub["JobID"]].get("Stop"):
            await self._evaluate(stub["JobID"])

    async def _end(
        self, allocation: Allocation, status: str, events: list[dict[str, str]], desired: str | None = None
    ) -> None:
        stub = allocation.stub
        if stub["ClientStatus"] not in ("pending", "running"):
            return
        stub["DesiredStatus"] = desired or stub["DesiredStatus"]
        process = allocation.process
        if process is not None and process.returncode is None and (status != "failed"):
            stub["DesiredStatus"] = "stop"
            process.terminate()
            await process.wait()
        stub["ClientStatus"] = status
        stub["TaskStates"] = {"executor": {"State": "dead", "Failed": status == "failed", "Events": events}}
        await self.change()


def _index(stub: dict[str, Any]) -> int:
    return int(stub["Name"].rpartition("[")[2].rstrip("]"))


def _as_on_the_node(task: dict[str, Any], allocation: Allocation) -> tuple[list[str], dict[str, str]]:
    """What runs in the end, and its environment."""
    config, environ = task["Config"], dict(task["Env"])
    args = list(config["args"])
    if task["Driver"] == "raw_exec":
        assert config["command"] == "apptainer"
        assert "--cleanenv" in args
        args = args[args.index("python3") + 1 :]
        environ = {name.removeprefix("APPTAINERENV_"): value for name, value in environ.items()
                   if name.startswith("APPTAINERENV_")}  # fmt: skip
    else:
        assert config["command"] == "python3"
    for index, each in enumerate(args):
        each = each.replace("${NOMAD_PORT_executor}", str(allocation.port))
        if each == "0.0.0.0:8080":
            each = f"0.0.0.0:{allocation.port}"
        args[index] = each.replace("0.0.0.0:", "127.0.0.1:") if each.startswith("0.0.0.0:") else each
        if each == "/local/executor.b64":
            args[index] = str(allocation.folder / "local" / "executor.b64")
    return [sys.executable, *args], environ
