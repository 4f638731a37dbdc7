"""Swaps two names until it is ended, after up to 0.3 ms each time: `swapper.py NAME OTHER`.

With the system's exchange (Linux) there is never a moment at which one of them is missing.
"""

from __future__ import annotations

import ctypes
import os
import random
import sys
import time

_HERE = -100
_EXCHANGE = 2


def main(name: bytes, other: bytes) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    print("begun", flush=True)  # noqa: T201
    while True:
        time.sleep(random.random() * 0.0003)
        if rename is None or rename(_HERE, name, _HERE, other, _EXCHANGE) != 0:
            os.rename(name, name + b".away")
            os.rename(other, name)
            os.rename(name, other)
            os.rename(name + b".away", name)


if __name__ == "__main__":
    main(os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2]))
