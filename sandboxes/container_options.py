"""What `docker.options` do to the walls of a container."""

from __future__ import annotations

from collections.abc import Sequence

HARMLESS = (
    "add-host", "annotation", "blkio-weight", "cap-drop", "cpu-period", "cpu-quota", "cpu-shares",
    "cpus", "cpuset-cpus", "cpuset-mems", "device-read-bps", "device-read-iops", "device-write-bps",
    "device-write-iops", "dns", "dns-option", "dns-search", "domainname", "e", "env", "gpus", "h",
    "health-cmd", "hostname", "init", "ip", "l", "label", "log-driver", "log-opt", "m", "memory",
    "memory-reservation", "memory-swap", "memory-swappiness", "net", "network", "network-alias",
    "no-healthcheck", "oom-kill-disable", "oom-score-adj", "pids-limit", "platform", "q", "quiet",
    "read-only", "rm", "runtime", "shm-size", "stop-timeout", "storage-opt", "tmpfs", "u", "ulimit",
    "user", "w", "workdir",
)  # fmt: skip
"""With these it stays what it is. What is not named here counts as a door."""


def opens(options: Sequence[str]) -> bool:
    """Whether one may let commands out of it: a mount, a device, a capability, a privilege."""
    return any(name not in HARMLESS for name in _names(options))


def names_network(options: Sequence[str]) -> bool:
    """Whether they choose a network."""
    return any(name in ("network", "net") for name in _names(options))


def _names(options: Sequence[str]) -> list[str]:
    """Without dashes and values; a word that is no option is the value of the one before it."""
    return [word.lstrip("-").partition("=")[0] for word in options if word.startswith("-")]
