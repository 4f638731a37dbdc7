"""What a server answered, as a reply: text in bounds, everything longer or not text in files."""

from __future__ import annotations

import base64
import binascii
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from safety.terminal_text import strip_controls
from sandboxes.sandbox import SandboxError
from sandboxes.spill_file import private_folder
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import error_reply, ok_reply

if TYPE_CHECKING:
    from mcp_types import CallToolResult

SHOWN_HEAD, SHOWN_TAIL = 8_000, 2_000
"""Characters of a long answer that the model sees."""
MOST_PARTS = 200
_ENDINGS = {
    "image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp",
    "image/svg+xml": ".svg", "audio/wav": ".wav", "audio/mpeg": ".mp3", "application/pdf": ".pdf",
}  # fmt: skip
_ON_THIS_MACHINE = frozenset({"none", "bubblewrap", "landlock"})


async def reply_of(server: str, result: CallToolResult, runtime: ToolRuntime) -> ToolReply:
    """`result` as the model reads it; the text is marked as the server's."""
    parts = [await _part(each, server, runtime) for each in result.content[:MOST_PARTS]]
    if len(result.content) > MOST_PARTS:
        parts.append(f"[{len(result.content) - MOST_PARTS} more parts are left out]")
    if not any(parts) and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text, more = await _in_bounds("\n\n".join(part for part in parts if part), server, runtime)
    if result.is_error:
        reply = error_reply(text or "the tool failed and gave no reason", **more)
    else:
        reply = ok_reply(result=text, **more)
    return ToolReply(reply.content, reply.status, untrusted=source(server))


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
    path = await _keep(data, server, _ENDINGS.get(kind.lower(), ".bin"), runtime)
    where = f", saved as {path}" if path else ", which could not be saved"
    return f"[{what}, {len(data)} bytes{where}]"


async def _in_bounds(text: str, server: str, runtime: ToolRuntime) -> tuple[str, dict[str, Any]]:
    if len(text) <= SHOWN_HEAD + SHOWN_TAIL:
        return text, {}
    path = await _keep(text.encode("utf-8", "replace"), server, ".txt", runtime)
    left_out = len(text) - SHOWN_HEAD - SHOWN_TAIL
    shown = f"{text[:SHOWN_HEAD]}\n[... {left_out} characters left out ...]\n{text[-SHOWN_TAIL:]}"
    return shown, {"characters": len(text), **({"whole_text_in": path} if path else {})}


async def _keep(data: bytes, server: str, ending: str, runtime: ToolRuntime) -> str:
    """Where the tools of this task can read it; "" if it cannot be written.

    On this machine it counts as output that was kept (see sandboxes.spill_file), so that old files go.
    """
    try:
        if runtime.sandbox.confinement.kind in _ON_THIS_MACHINE:
            handle, path = tempfile.mkstemp(
                prefix=f"output-mcp-{server}-", suffix=ending, dir=private_folder()
            )
            with open(handle, "wb") as file:
                file.write(data)
            return path
        path = f"/tmp/hermes-mcp/{server}-{os.urandom(4).hex()}{ending}"
        await runtime.sandbox.write_file(path, data)
    except (OSError, SandboxError):
        return ""
    return path
