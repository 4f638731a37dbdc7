"""`hermes data compress`: rows that are too long get a summary in place of their middle."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safety.terminal_text import neutralize

if TYPE_CHECKING:
    from corpus.compress_journal import Journal
    from corpus.compress_plan import Limits
    from corpus.compress_record import Terms, Totals
    from corpus.compress_summary import Summariser
    from corpus.tokenizer import Tokenizer
    from models.chat_model import ChatModel

NO_MODEL = (
    "hermes: no model is set up, so turns are not summarised but shortened to a line each; "
    "--model or --base-url names one"
)

STOPPING = b"hermes: ending with the requests that are under way; Ctrl-C again ends at once\n"


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", metavar="OUT", required=True, help="Where the rows go.")
@click.option(
    "--budget", metavar="N", required=True, type=click.IntRange(min=1), help="Tokens a row may have."
)
@click.option(
    "--tokenizer",
    metavar="T",
    required=True,
    help="What counts them: a tokenizer.json, its folder, a name in the Hugging Face cache, or `estimate` "
    "(four characters a token).",
)
@click.option("--download", is_flag=True, help="Fetch that tokenizer if the cache lacks it.")
@click.option("-m", "--model", metavar="NAME", help="The model that writes the summaries.")
@click.option("--provider", metavar="NAME", help="The provider that serves it; `offline` needs none.")
@click.option("--base-url", metavar="URL", help="Any OpenAI-compatible server, up to /v1.")
@click.option(
    "--concurrency", metavar="N", type=click.IntRange(1, 1024), default=16, help="Requests at a time (16)."
)
@click.option(
    "--keep-last", metavar="N", type=click.IntRange(min=1), default=4, help="Turns kept at the end (4)."
)
@click.option(
    "--summary-tokens",
    metavar="N",
    type=click.IntRange(min=16),
    default=750,
    help="Tokens a summary may have (750).",
)
@click.option(
    "--turn-tokens",
    metavar="N",
    type=click.IntRange(min=0),
    default=5,
    help="Tokens the chat template adds to each turn (5).",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped; try again what failed.")
def compress(files: tuple[str, ...], output: str, **given: Any) -> None:
    """Fit every row of FILE... into a budget of tokens.

    Rows that fit stay as they are. In the others a summary takes the place of turns in the middle, of as
    few as it takes; the first turn of each kind and the last turns stay. OUT.failed.jsonl gets the rows that
    cannot fit or had no summary, with the reason, and OUT.metrics.json the numbers.

    Exit code 1 if a summary failed (--resume tries again), 130 if interrupted (--resume goes on).
    """
    from corpus.compress_journal import Journal
    from corpus.compress_plan import Limits
    from corpus.tokenizer import TokenizerError, load_tokenizer
    from corpus.writing import OutputError, refuse_inputs

    if output == "-" or output.endswith(".gz"):
        raise click.UsageError("OUT grows row by row: it must be a plain file, not compressed and no pipe")
    if given["resume"] and "-" in files:
        raise click.UsageError("--resume reads its files once more, which standard input cannot give")
    limits = Limits(given["budget"], given["summary_tokens"], given["keep_last"], given["turn_tokens"])
    try:
        sizes = [_size(file) for file in files]
        refuse_inputs(output, files)
        tokenizer = load_tokenizer(given["tokenizer"], download=given["download"])
        model, summariser = _summariser(given)
        journal = Journal(Path(output), _terms(sizes, tokenizer, summariser, limits), resume=given["resume"])
        code = asyncio.run(_run(files, journal, tokenizer, summariser, limits, model, given["concurrency"]))
    except (TokenizerError, OutputError) as error:
        raise click.ClickException(neutralize(str(error))) from None
    if code:
        raise SystemExit(code)


def _size(file: str) -> tuple[str, int]:
    """The file's whole path and its bytes; raises click.UsageError."""
    if file == "-":
        return file, 0
    try:
        size = Path(file).stat().st_size
    except OSError as error:
        raise click.UsageError(neutralize(f"cannot read {file}: {error.strerror}")) from None
    if Path(file).is_dir() or not os.access(file, os.R_OK):
        raise click.UsageError(neutralize(f"cannot read {file}: it is a folder, or not yours to read"))
    return str(Path(file).absolute()), size


async def _run(
    files: tuple[str, ...],
    journal: Journal,
    tokenizer: Tokenizer,
    summariser: Summariser,
    limits: Limits,
    model: ChatModel | None,
    concurrency: int,
) -> int:
    from commands.compress_progress import compress_progress
    from commands.stop_signals import StopSignals, leave_now
    from corpus.compress_run import CompressRun
    from corpus.compress_summary import SummariserUnusable

    if model is None:
        click.echo(NO_MODEL, err=True)

    def stop() -> None:
        run.stop()
        os.write(2, STOPPING)

    problem = ""
    with compress_progress(files) as progress:
        run = CompressRun(
            files,
            journal,
            tokenizer,
            summariser,
            limits,
            concurrency=concurrency,
            advance=progress.advance,
            tell=progress.tell,
        )
        signals = StopSignals(stop)
        try:
            await run.run()
        except SummariserUnusable as error:
            problem = str(error)
        finally:
            if model is not None:
                await model.aclose()
    with signals.writing():
        for line in _report(run.totals, journal):
            click.echo(line)
        if problem:
            click.echo(f"hermes: stopped, because there are no summaries to be had: {problem}", err=True)
        elif signals.number:
            click.echo("hermes: interrupted; the same command with --resume goes on", err=True)
    if signals.number:
        leave_now(128 + signals.number)
    return int(bool(problem or run.totals.failed))


def _report(totals: Totals, journal: Journal) -> list[str]:
    outputs = journal.outputs
    cost = "" if not totals.usage.cost else f", ${totals.usage.cost:,.4f}"
    lines = [
        f"{totals.rows:,} rows: {totals.untouched:,} as they were, {totals.compressed:,} compressed, "
        f"{totals.too_large:,} too large, {totals.failed:,} failed, {totals.unreadable:,} unreadable",
        f"{outputs.out}: {totals.tokens_before:,} -> {totals.tokens_after:,} tokens "
        f"in {totals.seconds:,.1f} s{cost}",
    ]
    if totals.too_large or totals.failed or totals.unreadable:
        lines.append(f"what is not in it, and why: {outputs.failed}")
    return lines


def _summariser(given: dict[str, Any]) -> tuple[ChatModel | None, Summariser]:
    """The model that was asked for, or none and the rule that stands in for it.

    Raises:
        settings.SettingsError: the settings cannot be used.
    """
    from commands.chat_options import ChatOptions
    from commands.open_agent import load
    from corpus.compress_summary import DigestSummariser, ModelSummariser
    from models.connect import connect_model
    from models.providers import resolve_endpoint
    from settings import read_secrets

    flags = {
        "model.name": given["model"],
        "model.provider": given["provider"],
        "model.base_url": given["base_url"],
        "model.stream": False,
    }
    settings, secrets = load(ChatOptions(flags)).settings, read_secrets()
    endpoint = resolve_endpoint(settings, secrets)
    if endpoint.name == "offline":
        return None, DigestSummariser()
    model = connect_model(settings, secrets)
    name = model.name or "the server's first model"
    click.echo(f"hermes: {name} at {endpoint.host} writes the summaries", err=True)
    return model, ModelSummariser(model)


def _terms(
    sizes: list[tuple[str, int]], tokenizer: Tokenizer, summariser: Summariser, limits: Limits
) -> Terms:
    from corpus.compress_record import Terms

    return Terms(
        sizes,
        limits.budget,
        tokenizer.name,
        summariser.name,
        limits.summary_tokens,
        limits.keep_last,
        limits.turn_tokens,
    )
