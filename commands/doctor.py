"""`hermes doctor`: looks at everything hermes stands on, and says what would mend what is broken."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from commands.checks.examination import Report
    from commands.checks.finding import Check, Finding, State

_COLOURS: dict[State, str] = {"ok": "green", "off": "bright_black", "warning": "yellow", "problem": "red"}
_NAME = 15


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--offline", is_flag=True, help="Ask no server.")
def doctor(as_json: bool, offline: bool) -> int:
    """Check keys, server, tools, sandbox, disk and the rest, and say the fix for what is wrong.

    Nothing is changed, and no secret is shown. The exit code is 1 if there is a problem.
    """
    import msgspec

    from commands.checks.examination import examine, look_around
    from commands.crash_report import own_redactor, without_secrets

    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise click.ClickException(
            "the folder you are in does not exist any more; change to another"
        ) from None
    reports = examine(_checks(), look_around(here, offline=offline))
    redactor = own_redactor()
    counts = Counter(finding.state for _, findings in reports for finding in findings)
    if as_json:
        rows = [
            {"group": group, **msgspec.to_builtins(finding)}
            for group, findings in reports
            for finding in findings
        ]
        reply = {"checks": rows, "counts": {state: counts[state] for state in _COLOURS}}
        click.echo(without_secrets(msgspec.json.encode(reply).decode(), redactor))
    else:
        for report in reports:
            click.echo(without_secrets(_shown(report), redactor))
        click.echo(_counted(counts))
    return 1 if counts["problem"] else 0


def _checks() -> list[tuple[str, Check]]:
    from commands.checks.home import check_files, check_folder, check_sessions
    from commands.checks.machine import check_hermes, check_programs, check_screen
    from commands.checks.model import check_key, check_keys, check_server, check_way
    from commands.checks.own_settings import check_hooks, check_settings
    from commands.checks.places import check_place
    from commands.checks.second_models import check_auxiliary, check_drawing, check_mixed_models
    from commands.checks.toolsets import check_toolsets
    from commands.checks.web import check_browser, check_tool_servers, check_web

    return [
        ("Hermes", check_hermes), ("Home", check_folder), ("Home", check_files), ("Home", check_sessions),
        ("Settings", check_settings), ("Settings", check_hooks),
        ("Model", check_keys), ("Model", check_way), ("Model", check_server), ("Model", check_key),
        ("Commands", check_place), ("Tools", check_toolsets),
        ("Tools", check_drawing), ("Tools", check_auxiliary), ("Tools", check_mixed_models),
        ("Web", check_web), ("Web", check_browser), ("Web", check_tool_servers),
        ("Programs", check_programs), ("Screen", check_screen),
    ]  # fmt: skip


def _shown(report: Report) -> str:
    lines = [click.style(report.group, bold=True)]
    for finding in report.findings:
        lines += _lines(finding)
    return "\n".join(lines) + "\n"


def _lines(finding: Finding) -> list[str]:
    import shutil
    import textwrap

    from safety.terminal_text import neutralize

    width = max(50, shutil.get_terminal_size().columns if sys.stdout.isatty() else 100)
    state = click.style(f"{finding.state:<8}", fg=_COLOURS[finding.state])
    margin = " " * (2 + 8 + _NAME + 1)
    text = " ".join(neutralize(finding.text).split())
    wrapped = textwrap.wrap(text, width - len(margin), break_long_words=False, break_on_hyphens=False) or [""]
    name = neutralize(finding.name)
    lines = [f"  {state}{name:<{_NAME}} {wrapped[0]}", *(margin + line for line in wrapped[1:])]
    if finding.fix:
        fix = textwrap.wrap(
            f"→ {' '.join(neutralize(finding.fix).split())}", width - len(margin), subsequent_indent="  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        lines += [margin + line for line in fix]
    return lines


def _counted(counts: Counter[State]) -> str:
    def many(state: State) -> str:
        return f"{counts[state]} {state}{'s' if counts[state] != 1 else ''}"

    quiet = f"{counts['ok']} ok, {counts['off']} off"
    return f"{sum(counts.values())} checks: {quiet}, {many('warning')}, {many('problem')}"
