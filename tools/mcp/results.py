"""What a server answered, as a reply: text in bounds, everything longer or not text in files."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from typing import TYPE_CHECKING, Any

from safety.terminal_text import strip_controls
from sandboxes.sandbox import SandboxError
from tools.kept_files import KeptFiles
from tools.pictures import SUFFIXES
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import error_reply, ok_reply

if TYPE_CHECKING:
    from mcp_types import CallToolResult

log = logging.getLogger("hermes.mcp")

SHOWN_HEAD, SHOWN_TAIL = 8_000, 2_000
"""Characters of a long answer that the model sees."""
MOST_PARTS = 200
_SUFFIXES = {
    **SUFFIXES,
    "image/svg+xml": ".svg", "audio/wav": ".wav", "audio/mpeg": ".mp3", "application/pdf": ".pdf",
}  # fmt: skip


async def reply_of(server: str, result: CallToolResult, runtime: ToolRuntime) -> ToolReply:
    """`result` as the model reads it; the text is marked as the server's."""
    parts = [await _part(each, server, runtime) for each in result.content[:MOST_PARTS]]
    if len(result.content) > MOST_PARTS:
        parts.append(f"[{len(result.content) - MOST_PARTS} more parts are left out]")
    if not any(parts) and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text, more = await _in_bounds("\n\n".join(part for part in parts if part), server, runtime)
    if result.is_error:
        return error_reply(text or "the tool failed and gave no reason", **more).by(source(server))
    return ok_reply(result=text, **more).by(source(server))


def source(server: str) -> str:
    """How text of this server is labelled."""
    return f"MCP server {server}"


async def _part(part: Any, server: str, runtime: ToolRuntime) -> str:
    """One part of a result: text, or a line that says what it is and where it lies."""
    if part.type == "text":
        return strip_controls(part.text)
    if part.type in ("image", "audio"):
        return await _saved(part.type, part.data, part.mime_type, server, runtime)
    if part.type == "resource_link":
        return strip_controls(f"[resource {part.name}: {part.uri}]")
    if part.type == "resource":
        found = part.resource
        text = getattr(found, "text", None)
        if text is not None:
            return strip_controls(f"[resource {found.uri}]\n{text}")
        return await _saved("resource", found.blob, found.mime_type or "", server, runtime)
    return f"[a part of an unknown kind: {part.type}]"


async def _saved(what: str, encoded: str, kind: str, server: str, runtime: ToolRuntime) -> str:
    try:
        data = base64.b64decode(encoded, validate=False)
    except (binascii.Error, ValueError):
        return f"[{what} that cannot be read]"
    path = await _keep(data, server, _SUFFIXES.get(kind.lower(), ".bin"), runtime)
    where = f", saved as {path}" if path else ", which could not be saved"
    return f"[{what}, {len(data)} bytes{where}]"


async def _in_bounds(text: str, server: str, runtime: ToolRuntime) -> tuple[str, dict[str, Any]]:
    if len(text) <= SHOWN_HEAD + SHOWN_TAIL:
        return text, {}
    path = await _keep(text.encode("utf-8", "replace"), server, ".txt", runtime)
    left_out = len(text) - SHOWN_HEAD - SHOWN_TAIL
    shown = f"{text[:SHOWN_HEAD]}\n[... {left_out} characters left out ...]\n{text[-SHOWN_TAIL:]}"
    return shown, {"length": len(text), **({"file": path} if path else {})}


async def _keep(data: bytes, server: str, suffix: str, runtime: ToolRuntime) -> str:
    """Where the tools of this task can read it; "" if it cannot be written."""
    try:
        return await runtime.store(KeptFiles).keep(runtime.sandbox, f"mcp-{server}", suffix, data)
    except (OSError, SandboxError) as error:
        log.warning("what the MCP server %s answered is not kept: %s", server, error)
        return ""
