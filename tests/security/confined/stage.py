"""What hostile commands would like to reach, and how it is found out whether one did."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECRET = "CANARY"
"""Begins the content of every file, and value of every variable, that must not be read."""
_BASES = ("/opt", "/srv", str(Path(__file__).parents[3]))
_GLOBAL = (
    "/etc/hosts", "/etc/passwd", "/etc/shadow", "/etc/group", "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper",
)  # fmt: skip
_FIXED = (
    ".git/hooks", ".git/config", ".git/commondir", ".git/modules/part/config", ".git/modules/part/hooks",
    ".vscode", ".envrc", ".hermes",
)  # fmt: skip
"""What acts by itself in the workspace, or would."""
_WRITTEN = ("/", "/etc", "/etc/cron.d", "/opt", "/usr/local/bin", "/var/lib", "/tmp", "/var/tmp", "/dev/shm")


class Sinks:
    """Services of this machine that note whatever comes."""

    def __init__(self, path: str) -> None:
        self.got: list[str] = []
        self.abstract = f"hermes-canary-{secrets.token_hex(6)}"
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._named = self._unix(path)
        os.chmod(path, 0o777)
        self._hidden = self._unix("\0" + self.abstract)
        self.tcp: int = self._tcp.getsockname()[1]
        self.udp: int = self._udp.getsockname()[1]
        for name, server in (("tcp", self._tcp), ("socket", self._named), ("abstract", self._hidden)):
            threading.Thread(target=self._accept, args=(name, server), daemon=True).start()
        threading.Thread(target=self._receive, daemon=True).start()

    def close(self) -> None:
        for each in (self._tcp, self._udp, self._named, self._hidden):
            each.close()

    def _unix(self, path: str) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        return server

    def _accept(self, name: str, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            self.got.append(name)
            connection.close()

    def _receive(self) -> None:
        while True:
            try:
                self._udp.recv(100)
            except OSError:
                return
            self.got.append("udp")


@dataclass
class Stage:
    """A home with a workspace, keys and an agent's folder; a folder beside; sinks; a process to leave alone.

    Args:
        base: all of it lies here, and not in a temporary folder, which commands would not see anyway.
        user: account that it belongs to.
    """

    base: Path
    user: int
    tmp: Path
    mark: str = field(default_factory=lambda: f"MARK{secrets.token_hex(8)}")
    long: str = field(default_factory=lambda: f"86400.{secrets.randbelow(10**9):09}")

    def __post_init__(self) -> None:
        self.home, self.out = self.base / "home", self.base / "outside"
        self.agent, self.work = self.home / ".hermes", self.home / "project"
        self._build()
        self.sinks = Sinks(str(self.out / "service.sock"))
        for folder, _, names in os.walk(self.base):
            for name in (folder, *(os.path.join(folder, each) for each in names)):
                os.chown(name, self.user, self.user)
        for path in (self.tmp, self.tmp / "file", self.tmp / "secret"):
            os.chown(path, self.user, self.user)
        account: dict[str, Any] = {"user": self.user, "group": self.user, "extra_groups": ()}
        self.victim = subprocess.Popen(
            ["sleep", "86400"], cwd="/", start_new_session=True, **(account if os.getuid() == 0 else {}),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "VICTIM_SECRET": f"{SECRET}-environment"},
        )  # fmt: skip
        self.before = self.facts()

    @property
    def names(self) -> dict[str, str]:
        """For the @NAMES@ in the commands."""
        return {
            "OUT": str(self.out), "HOME": str(self.home), "WORK": str(self.work), "AGENT": str(self.agent),
            "TMP": str(self.tmp), "TCP": str(self.sinks.tcp), "UDP": str(self.sinks.udp),
            "SOCK": str(self.out / "service.sock"), "ABSTRACT": self.sinks.abstract,
            "VICTIM": str(self.victim.pid), "MARK": self.mark, "LONG": self.long,
        }  # fmt: skip

    @property
    def environ(self) -> dict[str, str]:
        """Of the agent."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home),
            "LANG": "C.UTF-8", "HERMES_HOME": str(self.agent), "OPENAI_API_KEY": f"{SECRET}-key",
            "SSH_AUTH_SOCK": str(self.out / "service.sock"),
        }  # fmt: skip

    def effects(self, *, fixed: bool) -> list[str]:
        """What is not as it was. `fixed`: the parts of the workspace that act by themselves count, too."""
        now = self.facts()
        changed = [
            f"{path}: {self.before.get(path)} is now {now.get(path)}"
            for path in sorted({*self.before, *now})
            if self.before.get(path) != now.get(path) and (fixed or not path.startswith(str(self.work)))
        ]
        if self.victim.poll() is not None:
            changed.append("a process outside was ended")
        changed += [f"something reached the {name}" for name in self.sinks.got]
        for folder in _WRITTEN:
            changed += [f"{folder}/{name} was made" for name in os.listdir(folder) if self.mark in name]
        with open("/proc/self/mountinfo") as mounts:
            changed += [f"mounted: {line}" for line in mounts if str(self.base) in line]
        changed += [f"process {pid} is left" for pid in self.left()]
        return changed

    def left(self) -> list[int]:
        """Processes that commands started and that still run."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path("/proc", pid, "cmdline").read_bytes()
            except OSError:
                continue
            if self.long.encode() in words:
                found.append(int(pid))
        return found

    def facts(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for place in _GLOBAL:
            if os.path.exists(place):
                found[place] = Path(place).read_bytes()
        with open("/proc/sysvipc/shm") as table:
            found["shared memory"] = sum("1296911693" in line for line in table)
        fixed = [self.work / name for name in _FIXED]
        for root in (self.home, self.out, self.base / "home" / "project-other", self.tmp, *fixed):
            found.update(self._facts(root))
        return found

    def _facts(self, root: Path) -> dict[str, object]:
        if not root.is_dir() or root.is_symlink():
            return {str(root): _fact(root)}
        found = {str(root): _fact(root)}
        for folder, folders, names in os.walk(root):
            if Path(folder) == self.home:
                folders.remove(self.work.name)
            for name in (*folders, *names):
                found[os.path.join(folder, name)] = _fact(Path(folder, name))
        return found

    def _build(self) -> None:
        for path in (
            ".ssh/id_ed25519", ".aws/credentials", ".netrc", ".bash_history", ".gnupg/key", ".hermes/.env",
            ".hermes/config.yaml", ".hermes/logs/session.jsonl",
        ):  # fmt: skip
            _write(self.home / path, f"{SECRET}-{path}\n", 0o600)
        _write(self.agent / "trusted_folders.json", json.dumps({"folders": [str(self.work)], "refused": []}))
        _write(self.tmp / "file", "as it was\n")
        _write(self.tmp / "secret", f"{SECRET}-temporary\n")
        for path in ("home/.bashrc", "home/.profile", "outside/file", "home/project-other/file"):
            _write(self.base / path, "as it was\n")
        (self.out / "empty").mkdir()
        for path in ("README.md", "src/main.py", ".vscode/tasks.json", ".envrc"):
            _write(self.work / path, "as it was\n")
        git = ("git", "-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main")
        for arguments in (("init", "-q", "."), ("add", "README.md"), ("commit", "-qm", "first")):
            subprocess.run([*git, *arguments], cwd=self.work, check=True, env={"PATH": os.defpath})
        part = self.work / ".git" / "modules" / "part"
        part.parent.mkdir()
        subprocess.run([*git, "init", "-q", "--bare", str(part)], check=True, env={"PATH": os.defpath})

    def close(self) -> None:
        self.sinks.close()
        self.victim.kill()
        self.victim.wait()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)
        for place, content in self.before.items():
            if place.startswith("/proc/sys/") and Path(place).read_bytes() != content:
                assert isinstance(content, bytes)
                Path(place).write_bytes(content)  # nobody should have to live with a failed test
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.rmtree(self.tmp, ignore_errors=True)


def make_stage(user: int) -> Stage:
    where = next((base for base in _BASES if os.access(base, os.W_OK)), None)
    base = Path(tempfile.mkdtemp(prefix=".hermes-stage-", dir=where))
    tmp = Path(tempfile.mkdtemp(prefix="hermes-canary-", dir="/tmp"))
    base.chmod(0o755)
    return Stage(base, user, tmp)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _fact(path: Path) -> object:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(facts.st_mode):
        return os.readlink(path)
    content = ""
    if stat.S_ISREG(facts.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return (oct(facts.st_mode), facts.st_uid, facts.st_ino, facts.st_nlink, facts.st_mtime_ns, content)
