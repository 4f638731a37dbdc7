"""The agent-browser CLI: commands go in as JSON on its standard input, results come out as JSON.

Nothing that is typed is an argument of a process, where everybody on the machine could read it. Checked with
0.27 and 0.41; its `batch` takes a list of commands, each a list of words.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeAlias

from tools.browser.failures import BrowserError, BrowserGone

Command: TypeAlias = Sequence[str]
MOST_SECONDS = 29.0
"""agent-browser sends a command again when it got no answer for 30 s; a click must not happen twice."""
_MOST_BYTES = 32_000_000
_OTHER_VERSION = "npm install -g agent-browser installs one that is known to work"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one command; `value` is empty where it failed."""

    ok: bool
    value: dict[str, Any] = field(default_factory=dict)
    error: str = ""


class AgentBrowser:
    """One session of the CLI. Its daemon is started by the first call and stays."""

    def __init__(self, program: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._program = program
        self._folder = folder
        self.environment = dict(environment)
        self.version = ""

    async def find_version(self) -> str:
        """Raises BrowserGone if the program cannot be run."""
        output, said = await self._call(["--version"], b"", 10)
        found = re.search(r"\d+\.\d+[\w.-]*", output.decode("utf-8", "replace"))
        self.version = found.group() if found else ""
        if not found:
            told = _first_line(output, said)
            raise BrowserGone(
                f"{self._program} --version says {told!r}: it is no agent-browser; {_OTHER_VERSION}"
            )
        return self.version

    async def run(self, *commands: Command, limit: float, bail: bool = True) -> list[Result]:
        """The results in order; with `bail` those after the first failure are missing.

        Raises:
            BrowserGone: it could not be run, or did not answer in `limit` seconds, or in an unknown way.
        """
        arguments = ["--json", "batch", *(["--bail"] if bail else [])]
        asked = json.dumps([list(each) for each in commands])
        output, said = await self._call(arguments, asked.encode(), min(limit, MOST_SECONDS))
        try:
            answer = json.loads(output)
        except ValueError:
            raise self._not_understood(_first_line(output, said)) from None
        if isinstance(answer, dict) and answer.get("error"):
            raise BrowserGone(f"agent-browser: {str(answer['error'])[:500]}")
        least = 1 if bail else len(commands)
        if not isinstance(answer, list) or not least <= len(answer) <= len(commands):
            raise self._not_understood(_first_line(output, said))
        return [self._result(each) for each in answer]

    def _result(self, row: object) -> Result:
        if not isinstance(row, dict) or not isinstance(row.get("success"), bool):
            raise self._not_understood(str(row)[:200])
        value = row.get("result")
        if row["success"]:
            return Result(True, value if isinstance(value, dict) else {})
        return Result(False, error=str(row.get("error") or "failed")[:1000])

    def _not_understood(self, told: str) -> BrowserError:
        return BrowserGone(
            f"agent-browser {self.version} answers in an unknown way ({told[:300]!r}); {_OTHER_VERSION}"
        )

    async def _call(self, arguments: list[str], data: bytes, limit: float) -> tuple[bytes, bytes]:
        # Files, not pipes: a daemon that inherits a pipe would keep it open for ever.
        with ExitStack() as stack:
            given, told, said = (
                stack.enter_context(TemporaryFile(dir=self._folder)) for _ in range(3)
            )  # fmt: skip
            given.write(data)
            given.seek(0)
            try:
                process = await asyncio.create_subprocess_exec(
                    self._program, *arguments, cwd=self._folder, env=self.environment,
                    stdin=given, stdout=told, stderr=said,
                )  # fmt: skip
            except OSError as error:
                raise BrowserGone(f"agent-browser cannot be run: {error.strerror or error}") from None
            try:
                async with asyncio.timeout(limit):
                    await process.wait()
            except TimeoutError:
                raise BrowserGone(f"the browser did not answer within {limit:g} s") from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            return _content(told), _content(said)


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise BrowserGone(f"what the browser answers is larger than {_MOST_BYTES // 1_000_000} MB")
    return content


def _first_line(output: bytes, said: bytes) -> str:
    text = (output.strip() or said.strip()).decode("utf-8", "replace")
    return text.split("\n", 1)[0][:300] or "nothing"
