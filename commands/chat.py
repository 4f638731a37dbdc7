"""`hermes` and `hermes chat`: talk to the agent, at a prompt or with one question."""

from __future__ import annotations

import sys
from typing import Any

import click

from commands.chat_options import ChatOptions
from safety.terminal_text import neutralize

POLICIES = ("ask", "auto-edit", "yolo", "deny")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-q", "--query", metavar="TEXT", help="Ask once, print the answer and leave; - reads stdin.")
@click.option("--json", "json_lines", is_flag=True, help="With -q: print every event as a JSON line.")
@click.option("-m", "--model", metavar="NAME", help="The model to talk to.")
@click.option("--provider", metavar="NAME", help="The provider that serves it; `offline` needs none.")
@click.option("--base-url", metavar="URL", help="Any OpenAI-compatible server, up to /v1.")
@click.option("-t", "--toolsets", metavar="A,B", help="The toolsets that are on.")
@click.option("--max-turns", type=click.IntRange(min=1), help="Requests for one message.")
@click.option("--max-cost", type=click.FloatRange(min=0), help="US dollars the conversation may cost.")
@click.option("--personality", metavar="NAME", help="The personality to start with.")
@click.option("--system", metavar="TEXT", default="", help="Added to the system text of this run; not saved.")
@click.option("-r", "--resume", metavar="ID", default="", help="Go on with a session (a unique prefix does).")
@click.option("-c", "--continue", "continue_last", is_flag=True, help="Go on with the last session.")
@click.option("--fork", is_flag=True, help="With --resume or --continue: go on in a copy.")
@click.option("--image", "images", metavar="PATH", multiple=True, help="With -q: show a picture; repeatable.")
@click.option("--policy", type=click.Choice(POLICIES), help="What tools may do without asking.")
@click.option("--yolo", is_flag=True, help="The same as --policy yolo: everything.")
@click.option("--no-stream", is_flag=True, help="Ask for whole answers.")
@click.option("--no-save", is_flag=True, help="Do not save this conversation.")
@click.option("-Q", "--quiet", is_flag=True, help="With -q: nothing on stderr but what went wrong.")
@click.option("-v", "--verbose", is_flag=True, help="Show more of what the tools do.")
@click.argument("words", nargs=-1, metavar="")
def chat(query: str | None, json_lines: bool, system: str, words: tuple[str, ...], **given: Any) -> None:
    """Talk to the agent. Without -q this opens a prompt.

    Exit codes of -q: 0 done, 1 failed, 2 wrong usage, 3 a limit was reached, 4 only a partial answer,
    75 the model could not be reached (try again later), 130 interrupted.
    """
    if words not in ((), ("chat",)):  # `hermes --yolo chat -q …`: the options of chat before its name
        raise click.UsageError(f'unexpected {words[0]!r}; to ask something: hermes -q "…"')
    if given["max_cost"] is not None and not given["max_cost"] < float("inf"):
        raise click.UsageError("--max-cost wants a number of US dollars")
    options = ChatOptions(
        flags=_flags(given),
        system=system,
        resume=given["resume"],
        continue_last=given["continue_last"],
        fork=given["fork"],
        images=given["images"],
    )
    asked = query is not None
    if query is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        query = "-"
    if query is None and json_lines:
        raise click.UsageError("--json goes with -q")
    if query is None and options.images:
        raise click.UsageError("--image goes with -q; at the prompt name a picture as @PATH, or paste it")
    if query is None:
        from commands.interactive import run_interactive

        sys.exit(run_interactive(options))
    from commands.one_shot import read_question

    question = read_question(query)
    if not (question.strip() or asked or json_lines):
        click.echo('hermes: nothing was asked. A terminal opens a prompt; else: hermes -q "…"', err=True)
        sys.exit(0)
    if not question.strip():
        raise click.UsageError('the question is empty: hermes -q "…", or -q - with text on stdin')
    sys.exit(_ask_once(question, options, json_lines, bool(given["verbose"]), bool(given["quiet"])))


def _ask_once(question: str, options: ChatOptions, json_lines: bool, verbose: bool, quiet: bool) -> int:
    import asyncio
    import signal

    # Nothing is begun yet. As an exception it could get lost: C code that looks an attribute up drops any.
    signal.signal(signal.SIGINT, _leave)
    from commands.one_shot import Reporter, run_one_shot
    from commands.open_agent import explained, load, open_agent
    from commands.shown_pictures import open_pictures, unsent_pictures, with_pictures

    pictures = open_pictures(options.images)
    if not quiet and (unsent := unsent_pictures(question, options.images)):
        click.echo(f"hermes: {neutralize(unsent)}", err=True)
    with explained():
        agent = open_agent(options, load(options))
    reporter = Reporter(
        sys.stdout, sys.stderr, agent.redactor, json_lines=json_lines, verbose=verbose, quiet=quiet
    )
    asked_for = "offline" in (agent.settings.model.provider, agent.settings.model.name)
    if agent.provider == "offline" and not (asked_for or json_lines or quiet):
        from models.offline import offline_notice

        click.echo(f"hermes: {offline_notice()}", err=True)
    message = with_pictures(agent, question, options.images, pictures)
    return asyncio.run(run_one_shot(agent, message, reporter.show))


def _leave(*_: object) -> None:
    from commands.stop_signals import leave_now

    click.echo("hermes: interrupted", err=True)
    leave_now(130)


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that options speak of, by their dotted names; None where nothing was said."""
    toolsets = given["toolsets"]
    return {
        "model.name": given["model"],
        "model.provider": given["provider"],
        "model.base_url": given["base_url"],
        "tools.enabled": [name.strip() for name in toolsets.split(",") if name.strip()] if toolsets else None,
        "agent.max_turns": given["max_turns"],
        "agent.max_cost": given["max_cost"],
        "agent.personality": given["personality"],
        "gate.mode": "yolo" if given["yolo"] else given["policy"],
        "model.stream": False if given["no_stream"] else None,
        "sessions.save": False if given["no_save"] else None,
        "display.verbose": True if given["verbose"] else None,
    }
