"""The tools: each toolset, whether it is on, and what is missing where it is not."""

from __future__ import annotations

from collections.abc import Iterator

from commands.checks.finding import Finding, Scene, off, ok, problem
from commands.tool_listing import ToolsetRow, listing


def check_toolsets(scene: Scene) -> Iterator[Finding]:
    found = listing(scene.around)
    for each in found.problems:
        yield problem("toolsets", each, "hermes config edit")
    reasons = {row.name: row.why for row in found.tools if row.missing}
    for row in found.toolsets:
        if not row.collection:
            yield _toolset(row, reasons)
    yield ok("tokens", f"what is on costs about {found.tokens} tokens in each request")


def _toolset(row: ToolsetRow, reasons: dict[str, str]) -> Finding:
    missing = {tool: reasons[tool] for tool in row.tools if tool in reasons}
    if row.state == "broken":
        return problem(row.name, row.why, "hermes config edit")
    if not missing:
        return ok(row.name, "on") if row.state == "on" else off(row.name, row.state, row.why)
    told = "; ".join(dict.fromkeys(missing.values()))
    names = "" if len(missing) == len(row.tools) else f"without {', '.join(missing)}: "
    return off(row.name, f"{names}{told}")
