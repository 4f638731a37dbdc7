"""One prompt, from its folder to its row: what every engine calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from batches.batch_row import batch_row
from batches.pace import TaskModel
from batches.plan import RunPlan
from batches.task import PromptTask, TaskResult
from batches.task_folder import TaskFolder
from batches.workplace import Workplace
from conversation.event import RetryScheduled, TurnFinished
from settings import Settings
from tools.runtime import PlaceProblem

if TYPE_CHECKING:
    from run_agent import AIAgent
    from sandboxes.sandbox import Sandbox

NO_RESULT = ("failed", "unavailable")
"""Outcomes that are the infrastructure's. All others are the model's own, and are kept."""


async def run_task(
    task: PromptTask, plan: RunPlan, place: Workplace, tell: Callable[[str], None] = lambda text: None
) -> TaskResult:
    """Hold the conversation of `task` in a folder of its own, which is gone afterwards.

    `tell` is told, in a sentence, each time that a request failed and is sent again later.

    Raises only CancelledError; whatever else goes wrong is a result with the status `failed`.
    """
    started = time.monotonic()
    try:
        folder = TaskFolder(place.scratch, task.index)
        try:
            if plan.folder:
                await asyncio.to_thread(folder.fill, plan.folder)
            result = await _converse(task, plan, place, folder, tell)
        finally:
            await asyncio.shield(asyncio.to_thread(folder.remove, keep_work=plan.keep_folders))
    except Exception as error:  # noqa: BLE001 -- one bad conversation must not end the others
        kind = "disk" if isinstance(error, OSError) else "internal"
        result = TaskResult(task.index, "failed", f"{type(error).__name__}: {error}", kind=kind)
    reason, _ = place.redactor.redact(result.reason)  # a server may quote the key that it refuses
    return msgspec.structs.replace(result, reason=reason, seconds=round(time.monotonic() - started, 3))


async def _converse(
    task: PromptTask, plan: RunPlan, place: Workplace, folder: TaskFolder, tell: Callable[[str], None]
) -> TaskResult:
    model = TaskModel(place.model, place.endpoint)
    agent = _agent(task, plan, place, folder, model)
    path = agent.session_path
    finished: TurnFinished | None = None
    try:
        async for event in agent.events(task.prompt):
            if isinstance(event, TurnFinished):
                finished = event
            elif isinstance(event, RetryScheduled):
                tell(f"{event.reason}; trying again")
    finally:
        problems = await agent.aclose()
    assert finished is not None
    assert path is not None
    kind = model.failure.kind if model.failure is not None else "internal"
    if finished.outcome in NO_RESULT and kind != "context":
        reason, hint = finished.reason, finished.hint
        return TaskResult(task.index, "failed", reason, usage=finished.usage, kind=kind, hint=hint)
    if problems:
        return TaskResult(task.index, "failed", problems[0], usage=finished.usage, kind="disk")
    if problem := agent.runtime.store(PlaceProblem).text:
        return TaskResult(task.index, "failed", problem, usage=finished.usage, kind="sandbox")
    return _told(task, plan, place, path, finished)


def _told(
    task: PromptTask, plan: RunPlan, place: Workplace, path: Path, finished: TurnFinished
) -> TaskResult:
    from trajectories.session_list import session_files
    from trajectories.session_load import load_session

    row = batch_row(load_session(path), task, plan, place.redactor)
    if row is None:
        reason = finished.reason or "the model never answered"
        return TaskResult(task.index, "discarded", reason, usage=finished.usage)
    text = path.read_text(encoding="utf-8")
    others = [each for each in session_files(path.parent) if each != path]
    helpers = {each.stem: each.read_text(encoding="utf-8") for each in others}
    return TaskResult(
        task.index, "recorded", finished.reason, row, text, finished.usage, helpers=helpers
    )  # fmt: skip


def _agent(
    task: PromptTask, plan: RunPlan, place: Workplace, folder: TaskFolder, model: TaskModel
) -> AIAgent:
    from run_agent import AIAgent

    task_id = f"task_{task.index}"
    settings = plan.settings
    return AIAgent(
        enabled_toolsets=task.toolsets,
        ephemeral_system_prompt=plan.ephemeral_system_prompt,
        prefill_messages=plan.prefill,
        save=True,
        task_id=task_id,
        settings=settings,
        chat_model=model,
        sandbox=_sandbox(task_id, settings, place, folder),
        cwd=str(folder.work),
        passing_folder=True,
        impersonal=True,
        environ={**place.environ, "HERMES_LOGS": str(folder.logs)},
    )


def _sandbox(task_id: str, settings: Settings, place: Workplace, folder: TaskFolder) -> Sandbox:
    """Whatever a command puts into the folder for temporary files goes when the task does."""
    from sandboxes.backend import make_sandbox

    work = str(folder.work)
    return make_sandbox(
        settings, task_id, work, place.environ, files=folder.files, env=place.child_environ,
        lifeline=place.lifeline,
    )  # fmt: skip
