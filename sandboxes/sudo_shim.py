"""What `sudo` is inside a task: it hands its arguments and its own input and output to the keeper.

Run by the task's shell as `python -I -S sudo_shim.py SUDO FOLDER ARGUMENTS…`, never imported by hermes. It
sees no password. Where nobody keeps the door it becomes the real sudo.
"""

import contextlib
import json
import os
import socket
import sys

WITH_VALUE = "CDghpRrtTUu"
"""sudo's short options that take a value; see sudo(8)."""


def brings_its_own(arguments: list[str]) -> bool:
    """True if these say themselves where a password comes from (-S, -A): then it is not ours to give."""
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("--stdin", "--askpass"):
            return True
        elif not argument.startswith("-") or argument in ("-", "--"):
            return False
        elif not argument.startswith("--"):
            for at, letter in enumerate(argument[1:], 1):
                if letter in "SA":
                    return True
                if letter in WITH_VALUE:
                    skip = at == len(argument) - 1
                    break
    return False


def call(folder: str, arguments: list[str]) -> int:
    """The exit code of sudo as the keeper has run it. Raises OSError where there is no keeper."""
    mask = os.umask(0)
    os.umask(mask)
    try:
        cwd = os.getcwd()
    except OSError:
        cwd = "/"
    environ = {os.fsdecode(name): os.fsdecode(value) for name, value in os.environb.items()}
    request = json.dumps({"argv": arguments, "environ": environ, "cwd": cwd, "umask": mask}).encode()
    with socket.socket(socket.AF_UNIX) as keeper:
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        keeper.connect(f"/proc/self/fd/{inside}/door")  # the path itself may be too long for a socket
        socket.send_fds(keeper, [len(request).to_bytes(4, "big")], [0, 1, 2])
        keeper.sendall(request)
        answer = keeper.recv(1)
    if not answer:
        sys.stderr.write("sudo: hermes has ended, or this command is none of its own\n")
    return answer[0] if answer else 1


if __name__ == "__main__":
    sudo, folder, *arguments = sys.argv[1:]
    if not brings_its_own(arguments):
        with contextlib.suppress(OSError):
            sys.exit(call(folder, arguments))
    os.execv(sudo, [sudo, *arguments])
