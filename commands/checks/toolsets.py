"""The tools: each toolset, whether it is on, and what is missing where it is not."""

from __future__ import annotations

from collections.abc import Iterator

from commands.checks.finding import Finding, Scene, by_settings, off, ok, problem
from commands.tool_listing import ToolsetRow, listing


@by_settings("toolsets")
def check_toolsets(scene: Scene) -> Iterator[Finding]:
    found = listing(scene.around)
    for each in found.problems:
        yield problem("toolsets", each, "hermes config edit")
    off_now = {row.name: row.why for row in found.tools if not row.on}
    missing = {row.name for row in found.tools if row.missing}
    for row in found.toolsets:
        if not row.collection:
            yield _toolset(row, off_now, missing)
    yield ok("tokens", f"what is on costs about {found.tokens} tokens in each request")


def _toolset(row: ToolsetRow, off_now: dict[str, str], missing: set[str]) -> Finding:
    lacking = [tool for tool in row.tools if tool in off_now]
    if row.state == "broken":
        return problem(row.name, row.why, "hermes config edit")
    if row.state == "on":
        return ok(row.name, "on")
    if row.state == "partly":
        return ok(row.name, f"partly on, without {_reasons(lacking, off_now)}")
    lacking = [tool for tool in lacking if tool in missing]
    if not lacking:
        return off(row.name, row.state, row.why)
    told = _reasons(lacking, off_now)
    return off(row.name, told.partition(": ")[2] if len(lacking) == len(row.tools) else f"without {told}")


def _reasons(tools: list[str], off_now: dict[str, str]) -> str:
    return f"{', '.join(tools)}: {'; '.join(dict.fromkeys(off_now[tool] for tool in tools))}"
