"""`hermes batch`: many prompts to many trajectories."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from configuration.sandbox_settings import BACKENDS

if TYPE_CHECKING:
    from batches.planning import Wishes
    from settings import LoadedSettings

POLICIES = ("auto-edit", "yolo", "deny")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("prompts", required=False, type=click.Path(path_type=Path))
@click.option("--run", "name", metavar="NAME", help="The run's name, and its folder's below --output.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    metavar="DIR",
    help="Where runs are kept.",
)
@click.option("--resume", is_flag=True, help="Go on with the run; what is recorded is not done again.")
@click.option("-m", "--model", metavar="NAME", help="The model to talk to; `offline` needs no server.")
@click.option("--provider", metavar="NAME", help="The provider that serves it.")
@click.option("--base-url", metavar="URL", help="Any OpenAI-compatible server, up to /v1.")
@click.option("--distribution", metavar="NAME", help="How likely each toolset is on for a prompt.")
@click.option("-t", "--toolsets", metavar="A,B", help="Instead: these toolsets for every prompt.")
@click.option("--list-distributions", is_flag=True, help="List the distributions and leave.")
@click.option("--seed", type=int, help="Toolsets are drawn from it (default 0).")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, resolve_path=True), metavar="DIR",
              help="Each task works in a copy of it (default: in an empty folder).")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(min=1), help="Conversations at once.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Worker processes (default: as many as cores help)."
)
@click.option("--engine", type=click.Choice(["local", "ray"]), help="Where the work is done.")
@click.option(
    "--ray-address", metavar="HOST:PORT", help="The Ray cluster (default: the one of this machine)."
)
@click.option("--max-turns", type=click.IntRange(min=1), help="Requests for one prompt.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Tokens of one answer.")
@click.option("--max-cost", type=click.FloatRange(min=0), help="US dollars the run may cost.")
@click.option("--max-samples", type=click.IntRange(min=1), help="Only the first so many prompts.")
@click.option("--temperature", type=float, help="Sampling temperature.")
@click.option("--reasoning-effort", type=click.Choice(EFFORTS), help="How long the model thinks.")
@click.option("--ephemeral-system-prompt", metavar="TEXT", help="Sent with every request, and in no row.")
@click.option("--prefill", type=click.Path(path_type=Path), metavar="FILE",
              help="Messages (JSON list) sent before each prompt, and in no row.")  # fmt: skip
@click.option("--policy", type=click.Choice(POLICIES), help="What tools may do; see above.")
@click.option("--sandbox", type=click.Choice(BACKENDS), help="Where commands run (terminal.backend).")
@click.option("--keep-folders", is_flag=True, default=None, help="Keep each task's working folder.")
def batch(prompts: Path | None, name: str | None, list_distributions: bool, **given: Any) -> None:
    """Hold a conversation for each line of PROMPTS and keep them as training rows.

    PROMPTS has one JSON object a line: {"prompt": "…"} and any other fields, which are carried to the rows.
    The rows are DIR/NAME/trajectories.jsonl.

    Nobody is there to be asked. Without --policy, commands run confined to the task's own folder; where
    nothing can confine them, tools may write in that folder and run no commands. yolo lets them do
    everything: with --sandbox local as you, on this machine.

    Ctrl-C lets the conversations that run come to their end; a second one breaks them off. Exit codes:
    0 every prompt has a result, 1 something failed, 2 wrong usage, 3 --max-cost was reached, 75 the model
    could not be reached (go on with --resume later), 130 interrupted.
    """
    from commands.batch_run import run_batch
    from commands.chat_options import ChatOptions
    from commands.open_agent import load

    if given["max_cost"] is not None and not given["max_cost"] < float("inf"):
        raise click.UsageError("--max-cost wants a number of US dollars")
    loaded = load(ChatOptions(flags=_flags(given)))
    if list_distributions:
        _list_distributions(loaded)
        return
    if not name or name.startswith(".") or "/" in name:
        raise click.UsageError("give the run a name, without / in it: --run NAME")
    if prompts is None and not given["resume"]:
        raise click.UsageError("give the file of prompts: hermes batch PROMPTS.jsonl --run NAME")
    folder: Path = given["output"] / name
    wishes, address = _wishes(name, given), given["ray_address"] or ""
    if address and wishes.engine != "ray" and not (wishes.engine is None and given["resume"]):
        raise click.UsageError("--ray-address goes with --engine ray")
    sys.exit(run_batch(prompts, folder, wishes, loaded, resume=bool(given["resume"]), ray_address=address))


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that options speak of, by their dotted names; None where nothing was said."""
    return {
        "model.name": given["model"],
        "model.provider": given["provider"],
        "model.base_url": given["base_url"],
        "model.max_tokens": given["max_tokens"],
        "model.temperature": given["temperature"],
        "model.reasoning_effort": given["reasoning_effort"],
        "agent.max_turns": given["max_turns"],
        "gate.mode": given["policy"],
        "terminal.backend": given["sandbox"],
    }


def _wishes(name: str, given: dict[str, Any]) -> Wishes:
    from batches.planning import PlanError, Wishes, read_prefill

    toolsets = given["toolsets"]
    if toolsets is not None and given["distribution"] is not None:
        raise click.UsageError("--toolsets and --distribution exclude each other")
    try:
        prefill = read_prefill(given["prefill"]) if given["prefill"] is not None else None
    except PlanError as error:
        raise click.UsageError(str(error)) from None
    return Wishes(
        run=name,
        distribution=given["distribution"],
        toolsets=[each.strip() for each in toolsets.split(",") if each.strip()] if toolsets else None,
        seed=given["seed"],
        folder=given["folder"],
        concurrency=given["concurrency"],
        workers=given["workers"],
        engine=given["engine"],
        max_cost=given["max_cost"],
        max_samples=given["max_samples"],
        ephemeral_system_prompt=given["ephemeral_system_prompt"],
        prefill=prefill,
        keep_folders=given["keep_folders"],
    )


def _list_distributions(loaded: LoadedSettings) -> None:
    from batches.distributions import built_in_distributions

    own = {name: ("your own", each) for name, each in loaded.settings.distributions.items()}
    found = {name: (each.about, each.toolsets) for name, each in built_in_distributions().items()}
    for name, (about, toolsets) in {**found, **own}.items():
        told = ", ".join(f"{each} {percent:g}" for each, percent in toolsets.items())
        click.echo(f"{name:<16}{about}\n{'':16}{told}")
    click.echo("\nPer cent for each toolset.")
