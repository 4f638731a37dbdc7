"""Who a container, a folder or a sandbox elsewhere belongs to, and whether that hermes is dead.

What hermes starts outside its own process tree carries the label of its process. The next hermes removes what
belongs to dead ones, and nothing else: where it cannot be sure, the owner lives.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path


def owner_label() -> str:
    """Names this process: letters, digits and dots, fit for a file's name.

    MACHINE.BOOT.NAMESPACE.USER.PID.START: the machine by a hash of its name and id, this start of it, the
    namespace in which PID counts, the account's number, and when the process began (on Linux the 22nd field
    of /proc/PID/stat, see proc(5); elsewhere in milliseconds since 1970).
    """
    pid = os.getpid()
    return ".".join((_machine(), _boot(), _namespace(), str(os.getuid()), str(pid), _start(pid)))


def owner_is_dead(label: str) -> bool:
    """Whether the process of `label` was this account's, on this machine, and has ended."""
    fields = label.split(".")
    if len(fields) != 6 or fields[0] != _machine() or fields[3] != str(os.getuid()):
        return False
    _, boot, namespace, _, pid, start = fields
    if boot != _boot():
        return True
    if namespace != _namespace() or not pid.isdigit():
        return False  # its number means another process here
    return _start(int(pid)) != start


def _machine() -> str:
    known = platform.node() + "\n" + _read("/etc/machine-id")
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").replace("-", "")[:12] or "0"


def _namespace() -> str:
    try:
        return "".join(filter(str.isdigit, os.readlink("/proc/self/ns/pid"))) or "0"
    except OSError:
        return "0"


def _start(pid: int) -> str:
    """When the process began; "" if there is none, or one that is dead but was not waited for."""
    if sys.platform != "linux":
        return _start_elsewhere(pid)
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state in (b"Z", b"X") else fields[18].decode()


def _start_elsewhere(pid: int) -> str:
    import psutil

    try:
        return str(round(psutil.Process(pid).create_time() * 1000))
    except psutil.NoSuchProcess:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except OSError:
        return ""
