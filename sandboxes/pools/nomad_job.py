"""The Nomad job that is a pool's sandboxes, and Nomad's reasons in words."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from configuration.sandbox_settings import NomadSettings
from sandboxes.pools.executor_archive import executor_archive

GROUP = "sandbox"
TASK = "executor"
PORT = "executor"
_INSIDE_PORT = 8080
_SECOND = 1_000_000_000
"""Nomad counts in nanoseconds."""
_LOADER = (
    "import base64, os, sys, tempfile\n"
    "descriptor, path = tempfile.mkstemp(suffix='.pyz')\n"
    "with open(sys.argv[1]) as text, open(descriptor, 'wb') as archive:\n"
    "    archive.write(base64.b64decode(text.read()))\n"
    "os.execv(sys.executable, [sys.executable, '-I', '-S', path, *sys.argv[2:]])\n"
)
"""Makes the executor of the text that Nomad can deliver, and becomes it."""


def job_specification(
    settings: NomadSettings, job: str, token: str, *, network: bool = False
) -> dict[str, Any]:
    """The job as `POST /v1/jobs` takes it, with a count of 0.

    Args:
        token: for the executors. It reaches them by their environment alone.
        network: whether commands reach the network.
    """
    listen = f"0.0.0.0:{_INSIDE_PORT}" if settings.driver == "docker" else "0.0.0.0:${NOMAD_PORT_executor}"
    # In a container of an unchanged cluster no new /proc can be mounted.
    options = ["--slots", str(settings.slots), "--listen", listen, "--system", "/", "--proc", "either"]
    options += ["--network"] if network else []
    port = {"Label": PORT, **({"To": _INSIDE_PORT} if settings.driver == "docker" else {})}
    task = _docker_task if settings.driver == "docker" else _singularity_task
    return {
        "ID": job, "Name": job, "Type": "service", "Namespace": settings.namespace,
        "Datacenters": settings.datacenters, **({"Region": settings.region} if settings.region else {}),
        "TaskGroups": [{
            "Name": GROUP, "Count": 0,
            # A sandbox that is restarted in its place has lost what its tasks made: it is another one.
            "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 300 * _SECOND, "Delay": _SECOND},
            "ReschedulePolicy": {
                "Attempts": 0, "Unlimited": True, "Delay": 5 * _SECOND, "DelayFunction": "exponential",
                "MaxDelay": 60 * _SECOND,
            },
            "Networks": [{"DynamicPorts": [port]}],
            "Tasks": [{
                "Name": TASK, "KillTimeout": 10 * _SECOND, **task(settings.image, token, options),
                "Resources": {"CPU": settings.cpu, "MemoryMB": settings.memory},
                "Templates": [{
                    "EmbeddedTmpl": base64.b64encode(executor_archive()).decode(),
                    "DestPath": "local/executor.b64", "ChangeMode": "noop",
                }],
            }],
        }],
    }  # fmt: skip


def _docker_task(image: str, token: str, options: list[str]) -> dict[str, Any]:
    return {
        # Without capabilities the kernel lets root map no user into a namespace.
        "Driver": "docker", "User": "65534:65534", "Env": {"HERMES_EXECUTOR_TOKEN": token},
        "Config": {
            "image": image, "force_pull": False, "init": True, "ports": [PORT],
            # bubblewrap makes namespaces, which docker's own filter of system calls forbids.
            "security_opt": ["seccomp=unconfined", "apparmor=unconfined"], "cap_drop": ["all"],
            "command": "python3", "args": ["-c", _LOADER, "/local/executor.b64", *options],
        },
    }  # fmt: skip


def _singularity_task(image: str, token: str, options: list[str]) -> dict[str, Any]:
    return {
        "Driver": "raw_exec", "Env": {"APPTAINERENV_HERMES_EXECUTOR_TOKEN": token},
        "Config": {
            "command": "apptainer",
            "args": [
                "exec", "--containall", "--cleanenv", "--bind", "${NOMAD_TASK_DIR}:/local:ro", image,
                "python3", "-c", _LOADER, "/local/executor.b64", *options,
            ],
        },
    }  # fmt: skip


def executor_address(allocation: Mapping[str, Any]) -> str:
    """HOST:PORT of the executor of a running allocation; empty if it has none."""
    shared = (allocation.get("AllocatedResources") or {}).get("Shared") or {}
    for port in shared.get("Ports") or []:
        if port["Label"] == PORT:
            host = port.get("HostIP") or ""
            return f"[{host}]:{port['Value']}" if ":" in host else f"{host}:{port['Value']}"
    return ""


def index_of(stub: Mapping[str, Any]) -> int:
    """The number in an allocation's name, JOB.GROUP[NUMBER]."""
    return int(str(stub["Name"]).rpartition("[")[2].rstrip("]"))


def why_it_ended(stub: Mapping[str, Any]) -> str:
    """Why an allocation is no longer running, in the words of its task's events."""
    said = []
    for state in (stub.get("TaskStates") or {}).values():
        events = [event for event in state.get("Events") or [] if event.get("Type") not in _USUAL]
        said += [f"{event['Type']}: {event.get('DisplayMessage') or ''}".strip(": ") for event in events[-2:]]
    told = (
        "; ".join(said)
        or stub.get("ClientDescription")
        or stub.get("DesiredDescription")
        or "no reason given"
    )
    return f"allocation {str(stub['ID'])[:8]} is {stub['ClientStatus']}: {told}"


_USUAL = {"Received", "Task Setup", "Started", "Not Restarting", "Alloc Unhealthy", "Downloading Artifacts"}


def why_not_placed(evaluation: Mapping[str, Any]) -> str:
    """Why the scheduler found no node; empty if it did."""
    if evaluation.get("Status") in ("failed", "canceled"):
        return f"the evaluation {evaluation['Status']}: {evaluation.get('StatusDescription')}"
    failed = (evaluation.get("FailedTGAllocs") or {}).get(GROUP)
    if not failed:
        return ""
    reasons = [f"{count} of them: {name}" for name, count in (failed.get("ConstraintFiltered") or {}).items()]
    reasons += [
        f"{count} of them: no more {name}" for name, count in (failed.get("DimensionExhausted") or {}).items()
    ]
    reasons += [f"quota: {name}" for name in failed.get("QuotaExhausted") or []]
    looked = failed.get("NodesEvaluated", 0)
    if not looked:
        return "no node is eligible: none in these datacenters is ready; see nomad.datacenters"
    advice = ""
    if any("driver" in reason for reason in reasons):
        advice = "; the driver of nomad.driver is not there or not healthy on those nodes"
    return f"no node is eligible: {looked} looked at; {'; '.join(reasons) or 'no reason given'}{advice}"
