"""Text that nobody here vouches for: where it comes from, said to the model and to the gate."""

from __future__ import annotations

import json
from dataclasses import replace

from safety.gate import EffectRequest
from tools.runtime import ToolReply, ToolRuntime

OUTSIDE = "file outside the working folder"
EARLIER = "earlier session"
NOTED = "note written after reading"
_ON_THIS_MACHINE = frozenset({"none", "bubblewrap", "landlock"})


def mark(reply: ToolReply, request: EffectRequest, runtime: ToolRuntime) -> ToolReply:
    """`reply` with its source in front where that is untrusted.

    A tool names the source itself (`ToolReply.untrusted`: "web page", "MCP server NAME"), and the gate hears
    of it. For what only reads, the paths decide, which the gate knows already; files of the folder the person
    works in bear no mark, to cost no tokens.
    """
    source = reply.untrusted
    if source:
        runtime.gate.note_untrusted(source)
        if not is_retold(source):
            runtime.gate.addresses.note(reply.content)
    elif reply.status == "ok" and set(request.effects) == {"read"}:
        source = _source_of_files(request.paths, runtime)
    return replace(reply, content=labelled(reply.content, source), untrusted=source) if source else reply


def is_retold(source: str) -> bool:
    """Whether it is the model's own word of another day: an address in it may be one that it made up then."""
    return source.startswith((EARLIER, NOTED))


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
    here = runtime.sandbox.confinement.kind in _ON_THIS_MACHINE
    return OUTSIDE if here and any(not runtime.gate.inside(path) for path in paths) else ""
