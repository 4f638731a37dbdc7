"""Text that nobody here vouches for: where it comes from, said to the model and to the gate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from safety.gate import LOOK, EffectRequest, Gate
from tools.runtime import ToolReply, ToolRuntime

WEB_PAGE = "web page"
OUTSIDE = "file outside the working folder"
EARLIER = "earlier session"
NOTED = "note written after reading"
HELPER = "helper"
PICTURE = "picture"
SCRIPT = "script that read"
OURS = "hermes"
"""Says of a look at the web that it brought no word of others: it failed before it reached anybody."""
_RETOLD = (EARLIER, NOTED, HELPER, PICTURE, SCRIPT, OUTSIDE)
_OPENED = frozenset({"url", "urls", "image"})
"""Parameters of our own tools that hold addresses which are opened."""


def mark(reply: ToolReply, request: EffectRequest, runtime: ToolRuntime) -> ToolReply:
    """`reply` with its source in front where that is untrusted.

    A tool names the source itself (`ToolReply.untrusted`: "web page", "MCP server NAME"), and the gate hears
    of it. For what only reads, the paths decide, which the gate knows already; files of the folder the person
    works in bear no mark, to cost no tokens. A look at the web that names no source brought text of others,
    also where it failed.
    """
    source = reply.untrusted
    if source == OURS:
        return replace(reply, untrusted="")
    if not source and set(request.effects) == LOOK:
        source = f"what came from {request.tool}"
        if reply.status != "ok":
            runtime.gate.note_untrusted(source)
            return reply
    if source:
        runtime.gate.note_untrusted(source)
        if not is_retold(source):
            runtime.gate.addresses.note(reply.content)
    elif reply.status == "ok" and set(request.effects) == {"read"}:
        source = _source_of_files(request.paths, runtime)
    return replace(reply, content=labelled(reply.content, source), untrusted=source) if source else reply


def is_retold(source: str) -> bool:
    """Whether a model's own words, of now or another day, come back: an address in it may be one that it
    made up, or was told to."""
    return source.startswith(_RETOLD)


def note_sent(runtime: ToolRuntime, arguments: Mapping[str, Any], request: EffectRequest) -> None:
    """Remember which addresses the model itself puts into a call that goes out, before anybody repeats them.

    Those that the call opens the gate decides on.
    """
    gate = runtime.gate
    if "net" in request.effects and gate.exposure.untrusted:
        given = {name: value for name, value in arguments.items() if not (request.urls and name in _OPENED)}
        gate.addresses.note_model(json.dumps(given, ensure_ascii=False, default=str))


def note_sent_before(gate: Gate, tool: str, arguments: str) -> None:
    """The same for a call of a conversation that is resumed."""
    if not gate.exposure.untrusted:
        return
    given = json.loads(arguments)
    own = not tool.startswith("mcp_")
    given = {name: value for name, value in given.items() if not (own and name in _OPENED)}
    gate.addresses.note_model(json.dumps(given, ensure_ascii=False))


def labelled(content: str, source: str) -> str:
    """JSON text with `"untrusted": source` as its first field; what is no object becomes its `result`."""
    label = f'{{"untrusted": {json.dumps(source, ensure_ascii=False)}'
    if content.startswith("{") and content.endswith("}"):
        rest = content[1:].lstrip()
        return label + (rest if rest == "}" else f", {rest}")
    return f'{label}, "result": {content}}}'


def source_in(content: str) -> str:
    """The source that `labelled` put into a result; "" for one without."""
    if not content.startswith('{"untrusted": '):
        return ""
    try:
        source, _ = json.JSONDecoder().raw_decode(content, len('{"untrusted": '))
    except ValueError:
        return ""
    return source if isinstance(source, str) else ""


def _source_of_files(paths: tuple[str, ...], runtime: ToolRuntime) -> str:
    here = runtime.sandbox.confinement.here
    return OUTSIDE if here and any(not runtime.gate.inside(path) for path in paths) else ""
