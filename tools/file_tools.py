"""The file tools: read_file, write_file, patch, search_files.

All of them use the sandbox's file operations, never shell text. Paths may be relative to the
sandbox's cwd. A path is made canonical once, when the gate is told of the call: what it decides on is put in
the place of what the model wrote, and is the file that is used.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from conversation.event import Display
from safety.gate import EffectRequest
from safety.paths import is_within, touches
from tools.files.changes import ChangeError, shown_path, similar_names
from tools.files.kind import binary_kind, irregular_kind, is_always_binary
from tools.files.text_file import detect
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import error_reply, ok_reply, tool

_MOST_LINES = 2000
_HEAD_BYTES = 65_536
_MOST_ENTRIES = 200


def check_file_requirements(around: Surroundings | None = None) -> str:
    """Always "": nothing is needed beyond a sandbox."""
    return ""


def _located(runtime: ToolRuntime, arguments: dict[str, Any]) -> str:
    path = arguments["path"] = runtime.sandbox.canonical(arguments.get("path", "."))
    return path


def _edit_grant(runtime: ToolRuntime, paths: Sequence[str]) -> str:
    """What allowing an edit for this session covers; "" where the files have no folder in common."""
    if all(runtime.gate.inside(path) for path in paths):
        return "file edits in the working folder"
    folders = {posixpath.dirname(path) for path in paths}
    return f"file edits right in {folders.pop()}" if len(folders) == 1 else ""


def _describe_read(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    path = _located(runtime, arguments)
    return EffectRequest("read_file", ("read",), f"read {path}", (path,), "reading files")


def _describe_search(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    path = _located(runtime, arguments)
    summary = f"search {path} for {arguments['pattern']!r}"
    return EffectRequest("search_files", ("read",), summary, (path,), "reading files")


def _describe_write(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    path = _located(runtime, arguments)
    content = arguments["content"]
    summary = f"write {path} ({len(content)} characters):\n{content}"
    return EffectRequest("write_file", ("read", "write"), summary, (path,), _edit_grant(runtime, [path]))


def _describe_patch(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    from tools.files.patching import locate_patch
    from tools.files.v4a_patch import PatchError

    if arguments.get("mode") == "patch":
        text = arguments.get("patch", "")
        try:
            located = arguments["patch"] = locate_patch(runtime.sandbox, text)
        except PatchError:
            # The handler parses the same text and will refuse it too: nothing would be written.
            return EffectRequest("patch", ("read",), f"an unusable patch:\n{text}")
        named = dict.fromkeys(path for each in located.changes for path in each.paths)
        summary, grant = f"apply a patch:\n{text}", _edit_grant(runtime, tuple(named))
        return EffectRequest("patch", ("read", "write"), summary, tuple(named), grant)
    if not arguments.get("path"):
        return EffectRequest("patch", ("read",), "an edit without a path")
    path = _located(runtime, arguments)
    everywhere = ", everywhere" if arguments.get("replace_all") else ""
    removed = "\n".join("-" + line for line in arguments.get("old_string", "").split("\n"))
    added = "\n".join("+" + line for line in arguments.get("new_string", "").split("\n"))
    summary = f"edit {path}{everywhere}:\n{removed}\n{added}"
    return EffectRequest("patch", ("read", "write"), summary, (path,), _edit_grant(runtime, [path]))


@tool(effects=("read",), requires=check_file_requirements, describe=_describe_read)
async def read_file(
    runtime: ToolRuntime,
    path: str,
    offset: Annotated[int, "first line, from 1"] = 1,
    limit: Annotated[int, "lines; 500, at most 2000"] = 500,
) -> ToolReply:
    """Read a text file. Each line is given as NUMBER|text; the number and bar are not in the file."""
    sandbox = runtime.sandbox
    absolute = sandbox.resolve(path)
    shown = shown_path(sandbox, absolute)
    if offset < 1 or limit < 1:
        return error_reply("offset and limit count lines from 1")
    try:
        stat = await sandbox.stat(absolute)
        if stat.is_dir:
            return await _list_folder(runtime, absolute)
        if not stat.is_file:
            return error_reply(f"{shown} is {irregular_kind(stat)}; it is not read")
        head = await sandbox.read_file(absolute, size=_HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        similar = await similar_names(sandbox, absolute)
        return error_reply(f"{shown} does not exist", **({"similar": similar} if similar else {}))
    encoding = None if is_always_binary(head) else detect(head)
    if encoding is None:
        return _binary_reply(shown, head, stat.size)
    from tools.files.reply import window_reply
    from tools.files.view import read_window

    window = await read_window(sandbox, absolute, encoding, offset=offset, limit=min(limit, _MOST_LINES))
    return window_reply(window, encoding, stat.size, offset)


def _binary_reply(path: str, head: bytes, size: int) -> ToolReply:
    kind = binary_kind(head)
    more = "; to see an image takes a vision tool" if kind.endswith("image") else ""
    return error_reply(f"{path} is not text but a {kind} of {size} bytes{more}", kind=kind, file_size=size)


async def _list_folder(runtime: ToolRuntime, folder: str) -> ToolReply:
    entries = sorted(await runtime.sandbox.list_dir(folder))
    shown = [f"{name}/" if stat.is_dir else f"{name} ({stat.size} bytes)" for name, stat in entries]
    more = {"truncated": True} if len(shown) > _MOST_ENTRIES else {}
    return ok_reply(
        directory=shown_path(runtime.sandbox, folder),
        entries=shown[:_MOST_ENTRIES],
        total_entries=len(shown),
        hint="this is a folder; read one of its files, or use search_files",
        **more,
    )


@tool(effects=("read", "write"), requires=check_file_requirements, describe=_describe_write)
async def write_file(runtime: ToolRuntime, path: str, content: str) -> ToolReply:
    """Create a file or replace all of it; folders are made. To change a part, use patch."""
    from tools.files.text_file import UnwritableTextError
    from tools.files.writing import write_whole_file

    try:
        written = await write_whole_file(runtime.sandbox, path, content)
    except (ChangeError, UnwritableTextError) as error:
        return error_reply(f"{shown_path(runtime.sandbox, path)} is not written: {error}")
    reply = {"path": written.path, "action": written.action, "bytes_written": written.size}
    if written.notes:
        reply["note"] = "; ".join(written.notes)
    return ToolReply(json.dumps(reply, ensure_ascii=False), display=Display("diff", written.diff))


@tool(effects=("read", "write"), requires=check_file_requirements, describe=_describe_patch)
async def patch(
    runtime: ToolRuntime,
    mode: Literal["replace", "patch"] = "replace",
    path: str = "",
    old_string: Annotated[str, "unique text to replace"] = "",
    new_string: str = "",
    replace_all: bool = False,
    patch: Annotated[
        str,
        "V4A: '*** Update File: p' ('*** Move to: q'), '@@ line before' and lines with ' ', '-', '+'; "
        "'*** Add File: p' with '+' lines; '*** Delete File: p'",
    ] = "",
) -> ToolReply:
    """Edit files. replace: old_string becomes new_string in path; patch: V4A over files, all or nothing."""
    from tools.files.patching import apply_patch, replace_in_file
    from tools.files.v4a_patch import PatchError

    try:
        if mode == "patch":
            outcome = await apply_patch(runtime.sandbox, patch)
        elif not path:
            return error_reply("path is missing" + ("; for a V4A patch set mode to patch" if patch else ""))
        else:
            outcome = await replace_in_file(
                runtime.sandbox, path, old_string, new_string, replace_all=replace_all
            )
    except (ChangeError, PatchError) as error:
        return error_reply(str(error))
    reply: dict[str, Any] = {"success": True, "files": outcome.files}
    if outcome.notes:
        reply["note"] = "; ".join(outcome.notes)
    display = Display("diff", "\n".join(outcome.diffs))
    return ToolReply(json.dumps(reply, ensure_ascii=False), display=display)


@tool(effects=("read",), requires=check_file_requirements, describe=_describe_search)
async def search_files(
    runtime: ToolRuntime,
    pattern: Annotated[str, "regex for content; glob or part of the name for files"],
    target: Literal["content", "files"] = "content",
    path: str = ".",
    file_glob: Annotated[str, "only these files, e.g. *.py"] = "",
    limit: Annotated[int, "results; 50"] = 50,
    offset: Annotated[int, "results to pass by"] = 0,
    output_mode: Literal["content", "files_only", "count"] = "content",
    context: Annotated[int, "lines around a match"] = 0,
    sort: Annotated[Literal["name", "size", "time"], "for files; largest or newest first"] = "time",
) -> ToolReply:
    """Search in files, or find files by name. Skips .git, binaries and what .gitignore lists."""
    from tools.files.reply import content_reply, names_reply
    from tools.files.search import PatternError

    sandbox = runtime.sandbox
    root = sandbox.resolve(path)
    shown = shown_path(sandbox, root)
    if limit < 1 or offset < 0 or context < 0:
        return error_reply("limit counts from 1, offset and context from 0")
    try:
        stat = await sandbox.stat(root)
        if not stat.is_dir and not stat.is_file:
            return error_reply(f"{shown} is {irregular_kind(stat)}; it is not read")
        head = b"" if stat.is_dir or target == "files" else await sandbox.read_file(root, size=_HEAD_BYTES)
        if detect(head) is None:
            return _binary_reply(shown, head, stat.size)
    except (FileNotFoundError, NotADirectoryError):
        similar = await similar_names(sandbox, root)
        return error_reply(f"{shown} does not exist", **({"similar": similar} if similar else {}))
    # What needs the person's word by name, a search from above passes by.
    skip = _guarded_below(runtime, root)
    try:
        if target == "files":
            return await names_reply(sandbox, pattern, root, skip, sort=sort, offset=offset, limit=limit)
        return await content_reply(
            sandbox, pattern, root, skip, file_glob=file_glob, offset=offset, limit=limit,
            output_mode=output_mode, context=min(context, 20),
        )  # fmt: skip
    except PatternError as error:
        return error_reply(str(error))


def _guarded_below(runtime: ToolRuntime, root: str) -> tuple[str, ...]:
    places = []
    for place in (*runtime.gate.protected, *runtime.gate.private):
        start = posixpath.dirname(place.partition("*")[0]) if "*" in place else place
        above = is_within(start, root) and not touches(root, place)
        if above or ("*" in place and is_within(root, start)):
            places.append(place)
    return tuple(places)
