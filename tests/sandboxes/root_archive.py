"""A small Linux for container engines, made of programs of this machine: no network, no package manager."""

from __future__ import annotations

import functools
import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

PROGRAMS = (
    "bash", "env", "printenv", "sleep", "cat", "tac", "head", "tail", "tee", "wc", "cut", "tr", "sort",
    "uniq",
    "seq", "yes", "od", "base64", "cksum", "sha256sum", "md5sum", "cmp", "diff", "dd", "split", "ls", "stat",
    "touch", "mkdir", "mktemp", "rmdir", "rm", "cp", "mv", "ln", "readlink", "realpath", "chmod",
    "chown", "chgrp", "truncate", "mkfifo", "du", "df", "find", "grep", "sed", "awk", "xargs", "test",
    "true", "false", "echo", "printf", "expr", "date", "id", "whoami", "groups", "uname", "hostname",
    "nproc", "basename", "dirname", "timeout", "nice", "nohup", "setsid", "stty", "tty", "tput", "ps",
    "kill", "pgrep", "pkill", "mount", "umount", "unshare", "tar", "gzip", "gunzip", "which", "getent",
    "git",
)  # fmt: skip
OPTIONAL = {"git", "ps", "pgrep", "pkill", "tput", "awk", "which", "diff", "cmp", "getent", "unshare", "tac"}
_SYSTEM_LINKS = ("bin", "sbin", "lib", "lib32", "lib64")
_FOLDERS = ("tmp", "proc", "sys", "dev", "etc", "root", "home", "run", "var/tmp", "usr/bin", "usr/lib")
_PASSWD = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"


def write_root(archive: Path, programs: Iterable[str] = PROGRAMS) -> None:
    """A tar of a root file system with `programs` and the libraries they need; skips without `ldd`."""
    if shutil.which("ldd") is None:
        pytest.skip("ldd is not installed: no image can be made of this machine's programs")
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        root = _Root(tar)
        for name in _SYSTEM_LINKS:
            if os.path.islink(f"/{name}"):
                root.link(name, os.readlink(f"/{name}").lstrip("/"))
        for name in _FOLDERS:
            root.folder(name, 0o1777 if name.endswith("tmp") else 0o755)
        root.text("etc/passwd", _PASSWD)
        root.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
        for name in programs:
            if (found := shutil.which(name)) is None:
                assert name in OPTIONAL, f"this machine has no {name}"
                continue
            root.program(name, os.path.realpath(found))


class _Root:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._there: set[str] = set()

    def link(self, name: str, target: str) -> None:
        self._add(name, target=target)

    def folder(self, name: str, mode: int = 0o755) -> None:
        self._add(name, mode=mode)

    def text(self, name: str, text: str) -> None:
        self._add(name, text.encode(), 0o644)

    def program(self, name: str, path: str) -> None:
        """It and the libraries it is linked to, each where it lies here."""
        self._file(f"usr/bin/{name}", path)
        for library in _libraries(path):
            folder, base = os.path.split(library)
            self._file(os.path.join(os.path.realpath(folder), base).lstrip("/"), library)

    def _file(self, name: str, path: str) -> None:
        self._add(name, Path(path).read_bytes(), 0o755)

    def _add(self, name: str, data: bytes | None = None, mode: int = 0o755, target: str = "") -> None:
        if name in self._there:
            return
        self._there.add(name)
        if above := os.path.dirname(name):
            self._add(above)
        info = tarfile.TarInfo(name)
        info.mode = mode
        info.type = tarfile.SYMTYPE if target else tarfile.DIRTYPE if data is None else tarfile.REGTYPE
        info.linkname = target
        info.size = len(data or b"")
        self._tar.addfile(info, io.BytesIO(data or b""))


@functools.cache
def _libraries(path: str) -> list[str]:
    """What `ldd` names; nothing for a script or a static program."""
    told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False, timeout=30)
    return re.findall(r"(?:=> )?(/\S+) \(0x", told.stdout) if told.returncode == 0 else []
