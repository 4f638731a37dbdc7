"""System calls that confined commands go without: a seccomp filter, as the kernel reads it.

It keeps commands from what their confinement does not cover (keyrings, sockets that belong to no network
namespace, files that run as somebody else) and from the parts of the kernel that have given way before. What
is refused says EPERM; what programs have another way for says ENOSYS, so that they take it.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping
from typing import TypeAlias

_Calls: TypeAlias = Mapping[str, tuple[int, int | None]]
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the numbers below, and AUDIT_ARCH of linux/audit.h."""
_REFUSED = {
    # keys of the person's login
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # other views of the file system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # the machine
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "syslog": (103, 116),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170), "iopl": (172, None),
    "ioperm": (173, None),
}  # fmt: skip
_SHARED = {"shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180)}
"""Ways to other processes of the machine where there is no namespace for them."""
MODES = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "utimensat": (280, 88), "chown": (92, None), "lchown": (94, None), "fchown": (93, 55),
    "fchownat": (260, 54),
}  # fmt: skip
"""Where mounts do not keep them from what lies elsewhere, the warden's clerk does them: see warden.py."""
_ATTRIBUTES = {
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
_NEWER = {
    "setxattrat": (463, 463), "removexattrat": (466, 466), "file_setattr": (469, 469), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None),
}  # fmt: skip
_FLAGS_OF_FILES = (0x40086602, 0x401C5820)  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
_MISSING = {
    "clone3": (435, 435), "openat2": (437, 437),  # their flags lie in memory, where no filter sees them
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
_NAMESPACES = 0x7E020080
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of linux/sched.h."""
_SETUID = 0o6000
_BITS = {
    # call: numbers, which argument, bits that are refused
    "clone": ((56, 220), 0, _NAMESPACES & ~0x80),  # CLONE_NEWTIME is a signal's number there
    "unshare": ((272, 97), 0, _NAMESPACES),
    "chmod": ((90, None), 1, _SETUID), "fchmod": ((91, 52), 1, _SETUID),
    "fchmodat": ((268, 53), 2, _SETUID), "fchmodat2": ((452, 452), 2, _SETUID),
    "creat": ((85, None), 1, _SETUID), "mknod": ((133, None), 1, _SETUID),
    "mknodat": ((259, 33), 2, _SETUID),
}  # fmt: skip
_OPENING = {"open": ((2, None), 1, 2), "openat": ((257, 56), 2, 3)}
"""Calls that make files: numbers, the arguments of flags and mode. The mode counts with O_CREAT alone."""
_MAKES = 0o100 | 0o20000000  # O_CREAT, __O_TMPFILE
_SOCKET = (41, 198)
_IOCTL = (16, 29)
_INPUT_OF_TERMINALS = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
"""Address families; sys/socket.h."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
_ALLOW, _ERRNO, _ASK = 0x7FFF0000, 0x00050000, 0x7FC00000  # SECCOMP_RET_… of linux/seccomp.h
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def is_known(machine: str = "") -> bool:
    """Whether there is a filter for this kind of processor (`os.uname().machine`)."""
    return (machine or os.uname().machine) in _ARCHITECTURES


def syscall_filter(families: tuple[int, ...], *, shared: bool = False, machine: str = "") -> bytes:
    """The array of `struct sock_filter`; empty where `is_known` says no.

    Args:
        families: address families in which sockets can be made.
        shared: there are no namespaces: not for what processes share, and none whose mounts keep commands
            from changing the modes, times and owners of what lies elsewhere.
    """
    machine = machine or os.uname().machine
    if not is_known(machine):
        return b""
    column, architecture = _ARCHITECTURES[machine]
    code = [
        _step(_LOAD, _ARCHITECTURE), _step(_EQUAL, architecture, 1, 0), _refuse(errno.ENOSYS),
        _step(_LOAD, _NUMBER), _step(_AT_LEAST, 0x40000000, 0, 1), _refuse(errno.ENOSYS),
    ]  # fmt: skip
    refusals: list[tuple[Mapping[str, tuple[int, int | None]], int]] = [
        (_REFUSED, errno.EPERM),
        (_MISSING, errno.ENOSYS),
    ]
    if shared:
        refusals += [(_SHARED, errno.EPERM), (_ATTRIBUTES, errno.EOPNOTSUPP), (_NEWER, errno.ENOSYS)]
        for numbers in MODES.values():
            code += _for(numbers[column], [_step(_RETURN, _ASK)])
    for calls, error in refusals:
        for numbers in calls.values():
            code += _for(numbers[column], [_refuse(error)])
    for numbers, argument, bits in _BITS.values():
        code += _for(
            numbers[column], [_load(argument), _step(_ANY_BIT, bits, 0, 1), _refuse(errno.EPERM), _allow()]
        )
    for numbers, flags, mode in _OPENING.values():
        code += _for(
            numbers[column],
            [
                _load(flags), _step(_ANY_BIT, _MAKES, 0, 3), _load(mode), _step(_ANY_BIT, _SETUID, 0, 1),
                _refuse(errno.EPERM), _allow(),
            ],
        )  # fmt: skip
    sockets = [_load(0)]
    for family in families:
        sockets += [_step(_EQUAL, family, 0, 1), _allow()]
    code += _for(_SOCKET[column], [*sockets, _refuse(errno.EPERM)])
    terminals = [_load(1)]
    for request in (*_INPUT_OF_TERMINALS, *(_FLAGS_OF_FILES if shared else ())):
        terminals += [_step(_EQUAL, request, 0, 1), _refuse(errno.EPERM)]
    code += _for(_IOCTL[column], [*terminals, _allow()])
    return b"".join([*code, _allow()])


def _for(number: int | None, steps: list[bytes]) -> list[bytes]:
    """`steps` for the call of this number; they end the filter."""
    return [] if number is None else [_step(_EQUAL, number, 0, len(steps)), *steps]


def _load(argument: int) -> bytes:
    """The lower half of an argument: both processors have it first."""
    return _step(_LOAD, _ARGUMENTS + 8 * argument)


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _ERRNO | error)


def _allow() -> bytes:
    return _step(_RETURN, _ALLOW)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
