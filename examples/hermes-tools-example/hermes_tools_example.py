"""A tool for hermes: how many words a text file has."""

from typing import Annotated, Any

from safety.gate import EffectRequest
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import error_reply, ok_reply, tool


def _describe(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    path = arguments["path"] = runtime.sandbox.canonical(arguments["path"])
    return EffectRequest("count_words", ("read",), f"count the words of {path}", (path,))


@tool(effects=("read",), describe=_describe)
async def count_words(
    runtime: ToolRuntime,
    path: Annotated[str, "a text file"],
    longer_than: Annotated[int, "count words with more letters only"] = 0,
) -> ToolReply:
    """Count the words of a text file."""
    try:
        text = (await runtime.sandbox.read_file(path, size=10_000_000)).decode()
    except UnicodeDecodeError:
        return error_reply(f"{path} is not a text file", path=path)
    words = [word for word in text.split() if len(word) > longer_than]
    return ok_reply(path=path, words=len(words), different=len(set(words)))
