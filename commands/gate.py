"""`hermes gate`: what the gate would say to a command, and what was allowed for good."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from safety.confinement import Confinement
    from safety.gate import Decision, Gate, Mode

MODES = ("ask", "auto-edit", "yolo", "deny")


@click.group()
def gate() -> None:
    """Try the rules for commands, and see and take back what you allowed for good."""


class _Explain(click.Command):
    """Says what to do where an option of the command to try is taken for one of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            told = (
                f"{error.option_name} is no option of explain. Put -- before the command that you want to try"
            )
            raise click.UsageError(f"{told}: hermes gate explain -- COMMAND", ctx) from None


@gate.command(cls=_Explain)
@click.option("--mode", type=click.Choice(MODES), help="As gate.mode; the one that is set if not given.")
@click.option("--cwd", type=click.Path(exists=True, file_okay=False), default=".", help="The working folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; many without a COMMAND.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def explain(mode: Mode | None, cwd: str, as_json: bool, command: tuple[str, ...]) -> None:
    """Say what would happen to COMMAND, and why. Nothing is run.

    Give it in one piece: hermes gate explain -- 'git log | head'. Several words are the words of one program.
    With --json and no COMMAND, each line of the input is a command as a JSON string, and each line of the
    output is the answer.
    """
    tried = _make_gate(mode, cwd, attended=True)
    if command:
        text = command[0] if len(command) == 1 else shlex.join(command)
        click.echo(_json_line(tried, text, cwd) if as_json else _told(tried, mode, text, cwd))
    elif as_json:
        for line in _answers(tried, cwd):
            sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace") + b"\n")
            sys.stdout.buffer.flush()
    else:
        raise click.UsageError("there is no command. Give one after --, or use --json and send them as lines")


@gate.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_(as_json: bool) -> None:
    """List the commands you allowed always, with the folder each is for."""
    import json

    rows = _permissions_of(lambda permissions: permissions.all())
    if as_json:
        kept = [
            {"number": number, "folder": folder, "command": grant.name,
             "options": None if grant.options is None else sorted(grant.options)}
            for number, (folder, grant) in enumerate(rows, 1)
        ]  # fmt: skip
        click.echo(json.dumps({"permissions": kept}, ensure_ascii=False))
    elif not rows:
        click.echo("Nothing is allowed for good.")
    for number, (folder, grant) in enumerate([] if as_json else rows, 1):
        click.echo(f"{number:3}  {grant}  in {folder}")


@gate.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--all", "everything", is_flag=True, help="All of them, also where the file is damaged.")
def forget(number: int | None, everything: bool) -> None:
    """Take back what `hermes gate list` shows as NUMBER."""
    if (number is None) != everything:
        raise click.UsageError("give the number that `hermes gate list` shows, or --all")
    try:
        count = _permissions_of(lambda permissions: permissions.remove(number))
    except IndexError:
        raise click.ClickException(f"there is no number {number}; see: hermes gate list") from None
    click.echo(f"{count} taken back.")


def _permissions_of(use: Any) -> Any:
    from safety.permissions import Permissions, PermissionsError
    from settings import hermes_home

    try:
        return use(Permissions(hermes_home() / "permissions.yaml"))
    except PermissionsError as error:
        raise click.ClickException(str(error)) from None


def _make_gate(mode: Mode | None, cwd: str, *, attended: bool) -> Gate:
    """The gate as a conversation in `cwd` would have it, were its policy `mode`."""
    from msgspec.structs import replace

    from safety.gate import Gate
    from safety.permissions import Permissions
    from sandboxes.backend import confinement
    from sandboxes.sandbox import SandboxError
    from settings import hermes_home, is_trusted, load_settings, logs_dir

    folder = Path(cwd).resolve()
    trusted = is_trusted(folder)
    settings = load_settings(cwd=folder, project_trusted=trusted).settings
    if mode:
        settings = replace(settings, gate=replace(settings.gate, mode=mode))
    try:
        held = confinement(settings, str(folder), os.environ, attended=attended)
    except SandboxError as error:
        raise click.ClickException(f"hermes would refuse to run any command: {error}") from None
    chosen: Mode = settings.gate.mode or "ask"
    return Gate(
        chosen,
        workspace=str(folder),
        protected=(str(hermes_home()), str(logs_dir())),
        explicit=bool(settings.gate.mode),
        trusted=trusted,
        confinement=held,
        permissions=Permissions(hermes_home() / "permissions.yaml"),
    )


def _request(command: str, cwd: str) -> Any:
    from safety.gate import EffectRequest

    return EffectRequest("terminal", ("exec",), command, command=command, cwd=os.path.abspath(cwd))


def _json_line(tried: Gate, command: str, cwd: str) -> str:
    import json

    decision = tried.decide(_request(command, cwd))
    return json.dumps({"command": command, **_facts(decision)}, ensure_ascii=True)


def _facts(decision: Decision) -> dict[str, Any]:
    return {
        "decision": decision.verdict, "effects": list(decision.effects), "part": decision.part,
        "rule": decision.rule, "reason": decision.reason,
    }  # fmt: skip


def _answers(tried: Gate, cwd: str) -> Iterator[str]:
    import json

    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            command = json.loads(line.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            command = None
        if isinstance(command, str):
            yield _json_line(tried, command, cwd)
        else:
            yield json.dumps({"error": f"line {number} of the input is not a JSON string"})


def _told(tried: Gate, mode: Mode | None, command: str, cwd: str) -> str:
    """For a person: what happens where somebody can be asked, and where nobody can."""
    from safety.terminal_text import neutralize

    decision = tried.decide(_request(command, cwd))
    lines = [
        f"{decision.verdict}: {decision.reason}",
        f"  part        {decision.part or '-'}",
        f"  rule        {decision.rule or '-'}",
        f"  effects     {', '.join(decision.effects) or 'none'}",
        f"  policy      {tried.mode}, in a folder {'you trust' if tried.trusted else 'not trusted'}",
        f"  held by     {_spelled(tried.confinement)}",
        f"  unattended  {_told_unattended(mode, command, cwd)}",
    ]
    return neutralize("\n".join(lines))


def _told_unattended(mode: Mode | None, command: str, cwd: str) -> str:
    try:
        alone = _make_gate(mode, cwd, attended=False)
    except click.ClickException as error:
        return error.message
    decision = asyncio.run(alone.authorize(_request(command, cwd)))
    return f"{decision.verdict}, held by {_spelled(alone.confinement)}"


def _spelled(held: Confinement) -> str:
    if held.kind == "none":
        return "nothing"
    if held.kind == "ssh":
        return "nothing: on the other machine commands do whatever that login may"
    return f"{held.kind}, {'with' if held.network else 'without'} network"
