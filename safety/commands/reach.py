"""Where commands may read and write without a person's word."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from safety.paths import canonical, is_within

Reading: TypeAlias = Literal["names", "list", "path", "tree"]
"""What is read: the `names` in a folder and all below, the `list` of one folder, the content at a `path`, or
of all files in a `tree`."""

_HARMLESS = (
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev/null", "/proc/cpuinfo", "/proc/meminfo", "/proc/version",
    "/proc/loadavg", "/proc/uptime", "/proc/stat", "/proc/filesystems", "/proc/mounts", "/proc/partitions",
    "/etc/os-release", "/etc/lsb-release", "/etc/debian_version", "/etc/redhat-release",
    "/etc/alpine-release", "/etc/hostname", "/etc/timezone", "/etc/localtime", "/etc/issue", "/etc/shells",
    "/etc/hosts",
    "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/protocols", "/etc/services", "/sys/fs/cgroup",
    "/sys/class", "/sys/devices",
)  # fmt: skip
"""Of the system; nothing in them is anybody's own."""
_LISTED = ("/", "/tmp", "/opt", "/srv", "/mnt", "/var", "/etc", "/home", "/proc", "/dev", "/var/log")
"""Folders whose names may be listed, though not what is below."""
_SECRET_NAME = re.compile(
    r"\.env(rc)?|\.env\.(?!(?:\w+\.)*(example|sample|template|dist|defaults?|schema)$).*|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|ovpn)"
    r"|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|\.(npmrc|pypirc|netrc|pgpass|htpasswd|git-credentials|boto|s3cfg|dockercfg)"
    r"|_netrc|credentials(\.(json|ya?ml|toml|ini|txt|csv))?|secrets?\.(json|ya?ml|toml|ini|env|txt)"
    r"|service[-_]account.*\.json|client_secret.*\.json|terraform\.tfstate(\.backup)?|.*\.tfvars",
    re.IGNORECASE,
)
"""Files in which keys and passwords usually stand, wherever they lie."""
_SECRET_FOLDERS = frozenset({".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store"})


@dataclass(slots=True)
class Reach:
    """The folders that matter to a decision, all canonical. `home` is where `~` leads."""

    workspace: str
    protected: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    home: str = ""
    elsewhere: bool = False
    """Commands run on a file system of their own, which has nothing of the person but the workspace."""
    _ids: dict[tuple[int, int], str] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)
    _places: list[tuple[str, str, re.Pattern[str] | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for kind, places in (("protected", self.protected), ("private", self.private)):
            for place in places:
                folded = place.casefold()
                wild = re.escape(folded).replace(r"\*", ".*") if "*" in folded else ""
                self._places.append((kind, folded, re.compile(wild, re.DOTALL) if wild else None))
        for kind, places in (("protected", self.protected), ("private", self.private)):
            for place in places:
                try:
                    found = os.stat(place)
                except (OSError, ValueError):
                    continue
                self._ids[found.st_dev, found.st_ino] = kind

    def resolve(self, path: str, cwd: str) -> str:
        """`path` of a command that runs in `cwd`, canonical."""
        try:
            return canonical(os.path.join(cwd, path))
        except (ValueError, UnicodeError, OSError):
            return "/\0"

    def inside(self, path: str) -> bool:
        """Whether canonical `path` lies in the workspace, or in what stands for it elsewhere."""
        return self.elsewhere or is_within(path, self.workspace)

    def harmless(self, path: str) -> bool:
        """Whether canonical `path` is a part of the system that everybody may see."""
        return any(is_within(path, each) for each in _HARMLESS)

    def guarded(self, path: str) -> str:
        """`protected`, `private` or "": whose canonical `path` is, also by another spelling or mount."""
        folded = path.casefold()
        for kind, place, wild in self._places:
            if wild.fullmatch(folded) if wild else is_within(folded, place):
                return kind
        return self._mounted(path)

    def look_anew(self) -> None:
        """Before each decision: what a folder was before, it need not be now."""
        self._seen.clear()

    def _mounted(self, path: str) -> str:
        """Like `guarded`, by what `path` and the folders above it are, whatever their names."""
        known = self._seen.get(path)
        if known is None:
            try:
                found = os.stat(path)
                known = self._ids.get((found.st_dev, found.st_ino), "")
            except (OSError, ValueError):
                known = ""
            above = os.path.dirname(path)
            self._seen[path] = known = known or ("" if above == path else self._mounted(above))
        return known

    def secret(self, path: str) -> bool:
        """Whether keys or passwords usually stand in a file of this name."""
        names = path.split("/")
        return bool(_SECRET_NAME.fullmatch(names[-1])) or bool(_SECRET_FOLDERS & set(names))

    def why_not_read(self, path: str, reading: Reading) -> tuple[str, bool]:
        """Why canonical `path` is not read unasked, "" if it is; and whether that is for what is private."""
        if "\0" in path:
            return "its path cannot be resolved", False
        kind = self.guarded(path)
        if kind == "protected":
            return "it reads the agent's own configuration, sessions or keys", True
        if kind == "private" or (reading in ("path", "tree") and self.secret(path)):
            return "private keys or passwords usually lie there", True
        if reading == "tree" and any(is_within(each, path) for each in (*self.protected, *self.private)):
            return "keys or the agent's own files lie below that folder", True
        if self.inside(path) or self.harmless(path):
            return "", False
        if reading == "list" and (path in _LISTED or is_within(self.workspace, path)):
            return "", False
        return "it reads outside the working folder", False
