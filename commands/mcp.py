"""`hermes mcp`: tool servers are added, looked at and removed."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from commands.mcp_look import Look, changes, look_at, show
from commands.tool_listing import print_table
from configuration.home import SECRET_WORDS, SettingsError, changing, hermes_home, write_private
from configuration.settings_file import parse_settings, read_settings_file
from configuration.tool_settings import McpServerSettings
from models.providers import shown_url
from tools.mcp.approval import (
    ApprovalError,
    approve,
    forget_approval,
    is_server_name,
    read_approval,
)
from tools.mcp.launch import launch_problem, placeholders, url_problem
from tools.mcp.server_tools import TOOLSET_PREFIX, server_problem, server_tools
from tools.mcp.trouble import ServerError
from tools.surroundings import Surroundings, surroundings_here

_SECRET = re.compile(SECRET_WORDS, re.IGNORECASE)


@click.group()
def mcp() -> None:
    """Tool servers that speak the Model Context Protocol.

    Each is a toolset mcp-NAME. A server that you add runs as you, outside every sandbox.
    """


@mcp.command()
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--url", default="", help="A server that is spoken to over streamable HTTP.")
@click.option("--header", "headers", multiple=True, metavar="K=V", help="Sent to the url; V may hold ${KEY}.")
@click.option("--env", multiple=True, metavar="K=V", help="A variable for the command; V may hold ${KEY}.")
@click.option("--env-pass", multiple=True, metavar="NAME", help="A variable of yours that the command sees.")
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="Use this tool alone; may be repeated.")
@click.option("--off", is_flag=True, help="Have it on only where mcp-NAME is named.")
@click.option("--insecure", is_flag=True, help="Allow http:// to another machine.")
@click.option("--yes", is_flag=True, help="Use what it offers without a question.")
def add(name: str, command: tuple[str, ...], yes: bool, **given: Any) -> None:
    """Add a server: hermes mcp add NAME -- COMMAND ARGUMENTS…, or with --url.

    It is started once. You see its tools, and they are used only when you say so. A key goes into .env
    (hermes config set-key KEY) and is named: --env TOKEN='${KEY}'.
    """
    if not is_server_name(name):
        raise click.UsageError(f"{name!r} is no name for a server: letters, digits, _ and -, at most 32")
    server = _described(command, **given)
    around = surroundings_here()
    if name in around.settings.mcp:
        raise click.UsageError(f"there is a server {name} already; see it with: hermes mcp list")
    look = _look(name, server, around)
    show(look)
    if not _agreed(look, yes):
        click.echo("Nothing was written.")
        click.get_current_context().exit(1)
    _write(name, server)
    approve(name, look.approval(server), hermes_home())
    on = (
        "It is on in new sessions"
        if server.enabled
        else f"It is on with --toolsets default,{TOOLSET_PREFIX}{name}"
    )
    click.echo(f"{name} is added to {hermes_home() / 'config.yaml'}. {on}.")


@mcp.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_servers(as_json: bool) -> None:
    """List the servers: whether they are approved and on, their tools and tokens."""
    around = surroundings_here()
    tools = server_tools(around)
    rows = []
    for name, server in around.settings.mcp.items():
        own = {called: each for called, each in tools.items() if each.offer and each.offer.server == name}
        problem = server_problem(name, around) or launch_problem(server, around)
        rows.append({
            "name": name,
            "state": "unusable" if problem else "on" if server.enabled else "off",
            "tools": len(own),
            "tokens": sum(each.tokens for each in own.values()),
            "server": shown_url(server.url) or " ".join([server.command, *server.args]),
            "why": problem,
        })  # fmt: skip
    if as_json:
        click.echo(msgspec.json.encode({"servers": rows}))
    elif rows:
        print_table(("SERVER", "STATE", "TOOLS", "TOKENS", "WHAT", ""), [list(row.values()) for row in rows])
    else:
        click.echo("There are no tool servers. To add one: hermes mcp add NAME -- COMMAND ARGUMENTS…")


@mcp.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Approve what it offers now without a question.")
def test(name: str, yes: bool) -> None:
    """Start a server and compare its tools with those you approved; approve them anew.

    The exit code is 0 if they are the same or you approve them, else 1.
    """
    around = surroundings_here()
    server = _known(name, around)
    look = _look(name, server, around)
    try:
        approval = read_approval(name, server, hermes_home())
    except ApprovalError:
        show(look)
    else:
        found = changes(approval, look)
        if not found:
            count = len(look.tools)
            tools = "tool is as you approved it" if count == 1 else f"{count} tools are as you approved them"
            click.echo(f"{name} answers, and its {tools}.")
            return
        click.echo(f"{name} is not as you approved it:\n" + "\n".join(found))
    if not _agreed(look, yes):
        click.echo("Nothing was approved.")
        click.get_current_context().exit(1)
    click.echo(f"Approved in {approve(name, look.approval(server), hermes_home())}.")


@mcp.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take a server out of your settings, and what you approved of it."""
    from configuration.settings_edit import without_value

    path = hermes_home() / "config.yaml"
    with changing(path.parent):
        file = read_settings_file(path)
        text = without_value(file, ["mcp", name]) if file is not None else None
        if file is None or text is None:
            raise click.ClickException(f"there is no server {name} in {path}")
        write_private(path, file.bom + text)
    if is_server_name(name):
        forget_approval(name, hermes_home())
    click.echo(f"{name} is removed from {path}.")


def _known(name: str, around: Surroundings) -> McpServerSettings:
    server = around.settings.mcp.get(name)
    if server is None:
        there = ", ".join(around.settings.mcp) or "none"
        raise click.UsageError(f"there is no server {name} in the settings; there are: {there}")
    if not is_server_name(name):
        raise click.ClickException(server_problem(name, around))
    return server


def _look(name: str, server: McpServerSettings, around: Surroundings) -> Look:
    try:
        return asyncio.run(look_at(name, server, around))
    except ServerError as error:
        raise click.ClickException(str(error)) from None


def _agreed(look: Look, yes: bool) -> bool:
    """Whether the person wants these tools; nobody there is no."""
    if not look.tools:
        click.echo("It offers no tool that can be used.")
        return False
    if yes:
        return True
    if not os.isatty(0):
        click.echo("Nobody is here to approve this; with --yes it is used.")
        return False
    return click.confirm(f"\nUse {'these tools' if len(look.tools) > 1 else 'this tool'}?", default=False)


def _described(
    command: Sequence[str], url: str, headers: Sequence[str], env: Sequence[str], env_pass: Sequence[str],
    tools: Sequence[str], off: bool, insecure: bool,
) -> McpServerSettings:  # fmt: skip
    """The settings of what was asked for. Raises click.UsageError."""
    if bool(command) == bool(url):
        raise click.UsageError("give either a command behind -- or a --url")
    problem = url_problem(url, insecure=insecure) if url else ""
    if problem:
        raise click.UsageError(problem.replace("set insecure", "give --insecure"))
    program, *args = command or ("",)
    if os.sep in program:
        program = os.path.abspath(os.path.expanduser(program))
    server = McpServerSettings(
        command=program, args=args, url=url, env=_pairs("--env", env), headers=_pairs("--header", headers),
        env_pass=list(env_pass), tools=list(tools), enabled=not off, insecure=insecure,
    )  # fmt: skip
    if (server.headers and command) or ((server.env or server.env_pass) and url):
        raise click.UsageError("--header is for a --url, --env and --env-pass are for a command")
    return server


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option} takes NAME=VALUE, not {each!r}")
        if _SECRET.search(name) and not placeholders(McpServerSettings(env={name: value})):
            key = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
            raise click.UsageError(
                f"{name} looks like a secret, which does not belong into the settings. Store it with: "
                f"hermes config set-key {key}; and give {option} {name}='${{{key}}}'"
            )
        pairs[name] = value
    return pairs


def _write(name: str, server: McpServerSettings) -> None:
    """Only what is not as built in; comments and order of the file stay. Raises SettingsError."""
    from configuration.settings_edit import with_value

    plain, built_in = msgspec.to_builtins(server), msgspec.to_builtins(McpServerSettings())
    value = {key: each for key, each in plain.items() if each != built_in[key]}
    path = hermes_home() / "config.yaml"
    with changing(path.parent):
        file = read_settings_file(path) or parse_settings("", path)
        if name in (file.data.get("mcp") or {}):
            raise SettingsError(f"{path} has a server {name} already")
        write_private(path, file.bom + with_value(file, ("mcp", name), value))
