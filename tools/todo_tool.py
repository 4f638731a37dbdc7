"""The agent's list of things to do, one per task."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypedDict

from conversation.event import Display
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import error_reply, tool

_MARKS = {"pending": "[ ]", "in_progress": "[>]", "completed": "[x]", "cancelled": "[-]"}
_MOST_ITEMS = 200


class _ItemKey(TypedDict):
    id: str


class TodoItem(_ItemKey, total=False):
    """One thing to do. A new one needs `content`; its status is `pending` if none is given."""

    content: str
    status: Literal["pending", "in_progress", "completed", "cancelled"]


class TodoError(ValueError):
    """The list was not changed; the text says why."""


class TodoStore:
    """The list of one task, in the order the items were first given."""

    def __init__(self) -> None:
        self._items: dict[str, TodoItem] = {}

    @property
    def items(self) -> list[TodoItem]:
        return [item.copy() for item in self._items.values()]

    def write(self, items: list[TodoItem], *, merge: bool) -> None:
        """Replace the list, or with `merge` change and add the items given.

        Raises:
            TodoError: an item without content, an id twice, too many items, or two in progress.
        """
        changed = {key: item.copy() for key, item in self._items.items()} if merge else {}
        seen: set[str] = set()
        for item in items:
            key = item["id"]
            if key in seen:
                raise TodoError(f"the id {key!r} is there twice")
            seen.add(key)
            known = changed.get(key, {"id": key, "content": "", "status": "pending"})
            changed[key] = {**known, **item}
            if not changed[key].get("content", "").strip():
                raise TodoError(f"the item {key!r} has no content")
        if len(changed) > _MOST_ITEMS:
            raise TodoError(f"{len(changed)} items are too many; keep at most {_MOST_ITEMS}")
        active = [key for key, item in changed.items() if item.get("status") == "in_progress"]
        if len(active) > 1:
            raise TodoError(f"only one item may be in_progress, not {', '.join(active)}")
        self._items = changed

    def counts(self) -> dict[str, int]:
        statuses = [item.get("status", "pending") for item in self._items.values()]
        return {"total": len(statuses), **{each: statuses.count(each) for each in _MARKS if each in statuses}}

    def as_text(self) -> str:
        """One line an item, with its mark, for people."""
        return "\n".join(
            f"{_MARKS[item.get('status', 'pending')]} {item.get('content', '')}"
            for item in self._items.values()
        )


def check_todo_requirements(around: Surroundings | None = None) -> str:
    """Always "": nothing is needed beyond this program."""
    return ""


@tool(effects=("read",), requires=check_todo_requirements)
async def todo(
    runtime: ToolRuntime,
    items: list[TodoItem] | None = None,
    merge: Annotated[bool, "change items by id instead of replacing the list"] = False,
) -> ToolReply:
    """Your task list, for work of 3+ steps. Without items: read it. Keep one item in_progress."""
    store = runtime.store(TodoStore)
    if items is not None:
        try:
            store.write(items, merge=merge)
        except TodoError as error:
            return error_reply(f"{error}; the list is unchanged", items=store.items)
    reply: dict[str, Any] = {"items": store.items, "counts": store.counts()}
    return ToolReply(json.dumps(reply, ensure_ascii=False), display=Display("todo", store.as_text()))
