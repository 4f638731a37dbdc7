"""Who is at the other end of a connection on loopback."""

from __future__ import annotations

import socket
import sys


def peer_uid(peer: tuple[str, int], own: tuple[str, int]) -> int | None:
    """The user id of whoever connected from `peer` to `own`, IPv4 both; None where the system does not tell.

    Linux lists its connections in /proc/net/tcp, each end as an address in hexadecimal in the order of bytes
    of the machine, and the owner of that end in the eighth column (proc(5)).
    """
    wanted = [_spelled(*peer), _spelled(*own)]
    try:
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table:
                columns = line.split()
                if columns[1:3] == wanted:
                    return int(columns[7])
    except (OSError, ValueError, IndexError):
        return None
    return None


def _spelled(host: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
