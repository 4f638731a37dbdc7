"""Starts the commands of a confined sandbox: the first program inside, the only one hermes speaks to.

`python -I -S - CONTROL` reads this text from standard input. CONTROL is the number of a descriptor: a socket
(SOCK_SEQPACKET) whose other end hermes alone holds. First come orders; the warden gives up what commands must
not have, checks what it was promised, and says "ready" or why not. From then on each message is a letter and
a number that names a command:

    s NUMBER  start it. With five descriptors: a file with (arguments, environment), marshalled; standard
              input, output and error; a pipe to which its exit code is written, negative for a signal
    k NUMBER  KILL to the process group that it was started as

All that is inside ends when the socket does: where this is the first process of a process namespace its own
end ends the others; elsewhere it finds every descendant, since none can leave it.

What runs inside belongs to the same account. So this process cannot be traced or looked into from there, and
knows no secrets. It imports only what loads fast.
"""

from __future__ import annotations

import _socket
import ctypes
import errno
import marshal
import os
import select
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# linux/prctl.h, linux/seccomp.h, linux/keyctl.h, linux/capability.h
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 4, 24, 38, 22
PR_SET_CHILD_SUBREAPER, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 36, 47, 4
SECCOMP_MODE_FILTER = 2
KEYCTL_JOIN_SESSION_KEYRING = 1
CAPABILITY_VERSION = 0x20080522
CALLS = {"x86_64": (250, 126), "aarch64": (219, 91)}  # keyctl, capset
LANDLOCK = (444, 445, 446)  # create_ruleset, add_rule, restrict_self, on every processor
# linux/landlock.h
READING = 1 << 0 | 1 << 2 | 1 << 3  # EXECUTE, READ_FILE, READ_DIR
ON_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15  # EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE, IOCTL_DEV
SINCE = ((13, 1), (14, 2), (15, 3), (16, 5))  # how many access rights there are from which version on
ABSTRACT_SOCKETS, SIGNALS = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The confinement is not what it has to be."""


def call(number: int, *arguments: int) -> int:
    """A system call; OSError as other functions raise it."""
    result: int = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(option: int, *arguments: int) -> None:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    if libc.prctl(option, *(ctypes.c_ulong(each) for each in padded)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# -- giving up -----------------------------------------------------------------------------------------------


def give_up(orders: dict[str, Any]) -> None:
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    numbers = CALLS.get(os.uname().machine)
    if numbers is not None:
        try:
            call(numbers[0], KEYCTL_JOIN_SESSION_KEYRING, 0)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
        drop_capabilities(numbers[1])
    if orders["rules"] is not None:
        restrict(orders["rules"], orders["scoped"])
    if orders["filter"]:
        import struct

        code = ctypes.create_string_buffer(orders["filter"], len(orders["filter"]))
        program = struct.pack("HL", len(orders["filter"]) // 8, ctypes.addressof(code))
        held = ctypes.create_string_buffer(program, len(program))
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(held))


def drop_capabilities(capset: int) -> None:
    import struct

    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # there are no more, or there never were any to drop
    try:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a kernel that has none
            raise
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION, 0), 8)
    none = ctypes.create_string_buffer(24)
    call(capset, ctypes.addressof(header), ctypes.addressof(none))


def restrict(rules: list[tuple[str, str]], scoped: int) -> None:
    """Landlock: `rules` are (path, rights); all else is refused. No rules: only what `scoped` says."""
    import struct

    version = call(LANDLOCK[0], 0, 0, 1)
    handled = 0
    if rules:
        handled = (1 << max(count for count, since in SINCE if since <= version)) - 1
    if version < 6:
        scoped = 0
    if not handled and not scoped:
        return
    attributes = struct.pack("QQQ", handled, 0, scoped)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    held = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = call(LANDLOCK[0], ctypes.addressof(held), len(attributes), 0)
    for path, rights in rules:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # it is gone, or not for us either
        allowed = handled if rights == "write" else READING
        if rights == "device":
            allowed = ON_FILES & ~1
        if not os.path.isdir(path):
            allowed &= ON_FILES
        rule = struct.pack("=Qi", allowed & handled, opened)
        held = ctypes.create_string_buffer(rule, len(rule))
        call(LANDLOCK[1], ruleset, 1, ctypes.addressof(held), 0)
        os.close(opened)
    call(LANDLOCK[2], ruleset, 0)
    os.close(ruleset)


# -- checking ------------------------------------------------------------------------------------------------


def check(orders: dict[str, Any]) -> None:
    """A folder may have been swapped for a link between the decision and the mount."""
    for path, device, number in orders["writable"]:
        found = os.stat(path)
        if (found.st_dev, found.st_ino) != (device, number):
            raise Refused(f"{path} is another folder than it was a moment ago")
    if orders["mounts"]:
        expected = {*orders["own"], *(path for path, _, _ in orders["writable"])}
        for path in mount_points() - expected:
            # /proc too: to root, without any capability, much of it would be the machine's settings.
            if not path.startswith("/dev") and not is_read_only(path):
                raise Refused(f"{path} would be writable")
    with open("/proc/self/status") as facts:
        for line in facts:
            name, _, value = line.partition(":")
            if (name in ("CapEff", "CapPrm", "CapAmb") and int(value, 16)) or (
                name == "NoNewPrivs" and value.strip() != "1"
            ):
                raise Refused(f"{name} is {value.strip()}")


def mount_points() -> set[str]:
    with open("/proc/self/mountinfo", "rb") as table:
        names = [line.split()[4] for line in table]
    return {os.fsdecode(name.decode("unicode_escape").encode("latin-1")) for name in names}


def is_read_only(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return True  # nobody gets there


# -- commands ------------------------------------------------------------------------------------------------


def find(program: str, path: str) -> str:
    if "/" in program:
        return program
    for folder in path.split(":"):
        candidate = os.path.join(folder or ".", program)
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def start(descriptors: list[int]) -> int:
    """The process id, 0 if it could not be started, which is then said on its standard error."""
    request, stdin, stdout, stderr, status = descriptors
    try:
        with open(request, "rb", closefd=False) as file:
            argv, environment = marshal.load(file)
        actions = [(os.POSIX_SPAWN_DUP2, each, to) for to, each in enumerate((stdin, stdout, stderr))]
        return os.posix_spawn(
            find(argv[0], environment.get("PATH", os.defpath)),
            argv,
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGXFSZ),
        )
    except OSError as error:
        os.write(stderr, f"{error.filename or ''}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
        finish(status, 127 if isinstance(error, FileNotFoundError) else 126)
        return 0
    finally:
        for each in (request, stdin, stdout, stderr):
            os.close(each)


def finish(status: int, code: int) -> None:
    unless(BrokenPipeError, os.write, status, b"%d" % code)  # perhaps nobody wants to know
    os.close(status)


def unless(error: type[OSError], do: Callable[..., object], *arguments: object) -> None:
    try:
        do(*arguments)
    except error:
        return


def serve(control: _socket.socket) -> None:
    commands: dict[int, int] = {}  # number: process id
    running: dict[int, tuple[int, int]] = {}  # process id: number and the pipe that waits for its end
    wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(wake, select.POLLIN)
    control.send(b"ready")
    while True:
        ready = {descriptor for descriptor, _ in poller.poll()}
        if wake in ready:
            unless(BlockingIOError, os.read, wake, 4096)
        while over := ended(running):
            number, status = running.pop(over[0])
            commands.pop(number, None)
            finish(status, os.waitstatus_to_exitcode(over[1]))
        if control.fileno() not in ready:
            continue
        message, descriptors = receive(control)
        if not message:
            return
        letter, number = message[:1], int(message[1:])
        if letter == b"s":
            if pid := start(descriptors):
                commands[number] = pid
                running[pid] = (number, descriptors[4])
        elif number in commands:
            unless(ProcessLookupError, os.killpg, commands[number], signal.SIGKILL)


def ended(running: dict[int, tuple[int, int]]) -> tuple[int, int] | None:
    """Process id and status of a command that is over; orphans that ended are waited for on the way."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if not pid:
            return None
        if pid in running:
            return pid, status


def receive(control: _socket.socket) -> tuple[bytes, list[int]]:
    message, extra, _, _ = control.recvmsg(64, _socket.CMSG_SPACE(5 * 4), _socket.MSG_CMSG_CLOEXEC)
    data = b"".join(each for _, _, each in extra)
    return message, [int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4)]


def end_descendants() -> None:
    """KILL to all of them until there are none. Orphans become children of this process."""
    while below := descendants():
        for pid in below:
            unless(ProcessLookupError, os.kill, pid, signal.SIGKILL)
        ended({})


def descendants() -> set[int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue  # it has just ended
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return below - {os.getpid()}


def main() -> None:
    control = _socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    try:
        _, descriptors = receive(control)
        with open(descriptors[0], "rb") as file:
            orders = marshal.load(file)
        if not orders["mounts"]:
            prctl(PR_SET_CHILD_SUBREAPER, 1)
        give_up(orders)
        check(orders)
    except (OSError, Refused) as error:
        control.send(f"{error}".encode("utf-8", "replace")[:4000])
        return
    serve(control)
    if os.getpid() != 1:
        end_descendants()


if __name__ == "__main__":
    main()
