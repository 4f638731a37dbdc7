"""All checks at once, each on its own: one that fails or hangs costs its own lines alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from commands.checks.finding import Check, Finding, Scene, problem
from settings import (
    LoadedSettings,
    SettingsError,
    hermes_home,
    is_trusted,
    load_settings,
    project_file,
    read_secrets,
)

SECONDS = 4.0
"""How long all of it may take; each check has shorter limits of its own."""


class Report(NamedTuple):
    group: str
    findings: list[Finding]


def look_around(cwd: Path, *, offline: bool) -> Scene:
    """The scene for the checks; what cannot be read is a finding. Raises SettingsError: there is no home."""
    hermes_home()
    trusted, trust_problem = False, ""
    try:
        trusted = is_trusted(cwd)
    except SettingsError as error:
        trust_problem = str(error)
    loaded: LoadedSettings | None = None
    problems: tuple[str, ...] = ()
    try:
        loaded = load_settings(cwd=cwd, project_trusted=trusted)
    except SettingsError as error:
        problems = tuple(error.problems)
    if trust_problem and project_file(cwd).exists():  # whether it counts is not known
        loaded, problems = None, (*problems, trust_problem)
    secrets: dict[str, str] = {}
    secrets_problem = ""
    try:
        secrets = read_secrets(names=_named_keys(loaded.settings if loaded else None))
    except SettingsError as error:
        secrets_problem = str(error)
    return Scene(cwd, trusted, loaded, problems, secrets, secrets_problem, trust_problem, offline)


def _named_keys(settings: object) -> list[str]:
    model = getattr(settings, "model", None)
    own = [each.key_env for each in getattr(settings, "providers", {}).values()]
    return [name for name in [getattr(model, "key_env", ""), *own] if name]


def examine(checks: Sequence[tuple[str, Check]], scene: Scene, seconds: float = SECONDS) -> list[Report]:
    """The findings of each check, in the order given; checks of one group stand together."""
    reports = [Report(group, []) for group, _ in checks]
    threads = [
        # Daemons: the process must end though one of them hangs for good.
        threading.Thread(target=_run, args=(check, scene, report.findings), daemon=True)
        for (_, check), report in zip(checks, reports, strict=True)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread, report in zip(threads, reports, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            report.findings.append(
                problem(
                    report.group.lower(),
                    f"no answer within {seconds:g} s",
                    "look what is slow there, and run it again",
                )
            )
    joined: dict[str, list[Finding]] = {}
    for report in reports:
        joined.setdefault(report.group, []).extend(list(report.findings))
    return [Report(group, findings) for group, findings in joined.items()]


def _run(check: Check, scene: Scene, findings: list[Finding]) -> None:
    try:
        for finding in check(scene):
            findings.append(finding)  # one by one: what was found stands if the next hangs
    except Exception as error:  # noqa: BLE001 -- a check must not take the others down
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        name = check.__name__.replace("check_", "").replace("_", " ")
        findings.append(
            problem(name, f"the check itself failed ({what})", "this is a fault of hermes: please report it")
        )
