"""Text that nobody here vouches for: where it comes from, said to the model and to the gate."""

from __future__ import annotations

import json
from dataclasses import replace

from safety.gate import EffectRequest
from tools.runtime import ToolReply, ToolRuntime

OUTSIDE = "file outside the working folder"
_ON_THIS_MACHINE = frozenset({"none", "bubblewrap", "landlock"})


def mark(reply: ToolReply, request: EffectRequest, runtime: ToolRuntime) -> ToolReply:
    """`reply` with its source in front where that is untrusted; the gate is told as well.

    A tool names the source itself (`ToolReply.untrusted`: "web page", "MCP server NAME"). For what only
    reads, the paths it was allowed decide: files of the folder the person works in bear no mark, to cost no
    tokens; that folder counts as trusted for the gate only if the person has said so.
    """
    source = reply.untrusted
    if not source and reply.status == "ok" and set(request.effects) == {"read"} and request.paths:
        source = _source_of_files(request.paths, runtime)
        if not source and not runtime.gate.trusted:
            _tell(runtime, "file of a folder that nobody has called trusted")
    if not source:
        return reply
    _tell(runtime, source)
    return replace(reply, content=labelled(reply.content, source), untrusted=source)


def labelled(content: str, source: str) -> str:
    """JSON text with `"untrusted": source` as its first field; what is no object becomes its `result`."""
    label = f'{{"untrusted": {json.dumps(source, ensure_ascii=False)}'
    if content.startswith("{") and content.endswith("}"):
        rest = content[1:].lstrip()
        return label + (rest if rest == "}" else f", {rest}")
    return f'{label}, "result": {content}}}'


def _source_of_files(paths: tuple[str, ...], runtime: ToolRuntime) -> str:
    here = runtime.sandbox.confinement.kind in _ON_THIS_MACHINE
    return OUTSIDE if here and any(not runtime.gate.inside(path) for path in paths) else ""


def _tell(runtime: ToolRuntime, source: str) -> None:
    note = getattr(runtime.gate, "note_untrusted", None)
    if note is not None:
        note(source)
