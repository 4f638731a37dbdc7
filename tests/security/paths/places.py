"""A working folder, a folder beside it that nobody may touch, and the file tools before a gate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from safety.gate import Gate, Mode
from tests.tools.workshop import Called, Workshop

SECRET = "the-content-outside"


class Neighbours(Workshop):
    """`root` is the working folder `proj`; `outside` its neighbour `proj-evil`, which is protected."""

    def __init__(self, base: Path, mode: Mode = "auto-edit") -> None:
        root = base / "proj"
        root.mkdir()
        super().__init__(root)
        self.outside = base / "proj-evil"
        self.outside.mkdir()
        (self.outside / "f.txt").write_text(SECRET + "\n")
        self.runtime.gate = Gate(mode, workspace=str(root), protected=(str(self.outside),), explicit=True)

    def state_outside(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.outside)): path.read_text() if path.is_file() else ""
            for path in sorted(self.outside.rglob("*"))
        }

    def call_all(self, calls: Sequence[tuple[str, dict[str, object]]]) -> list[Called]:
        async def every() -> list[Called]:
            return [await self.acall(name, **arguments) for name, arguments in calls]

        return asyncio.run(every())
