"""`hermes data stats`: count what is in files of rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from commands.data_files import NAMED, counted, files_argument, input_files, place
from corpus.statistics import Statistics, StatisticsCounter
from corpus.writing import refuse_inputs
from safety.terminal_text import neutralize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from corpus.spread import Spread

SHOWN = 15
"""Names of one list that the table shows."""


@click.command()
@files_argument
@click.option(
    "--tokenizer",
    metavar="T",
    help="Count tokens with it: a tokenizer.json, its folder or a name in the Hugging Face cache. Else "
    "they are estimated.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--html", metavar="OUT", type=click.Path(), help="Write a page with plots here as well.")
def stats(files: tuple[str, ...], tokenizer: str | None, as_json: bool, html: str | None) -> None:
    """Count what is in FILE...: rows, turns, tokens, tools, reasoning, lengths, outcomes, models, flags.

    Percentiles are at most 1 % off; memory does not grow with the files.
    """
    counter = _counter(tokenizer)
    with input_files(files) as inputs:
        if html is not None:
            refuse_inputs(html, files)
        for name in files:
            counter.begin(name)
        for name, item in inputs.items("counting"):
            counter.begin(name)
            counter.add(item)
        statistics = counter.statistics()
        if html is not None:  # before the table, whose reader may leave
            from corpus.html_report import write_report

            write_report(statistics, html, files)
    if as_json:
        click.echo(msgspec.json.encode(statistics))
    else:
        _show(statistics)
    if not statistics.rows:
        raise SystemExit(1)


def _counter(name: str | None) -> StatisticsCounter:
    if name is None:
        return StatisticsCounter()
    from corpus.tokenizer import TokenizerError, load_tokenizer

    try:
        tokenizer = load_tokenizer(name)
    except TokenizerError as error:
        raise click.ClickException(neutralize(str(error))) from None
    return StatisticsCounter(tokenizer.count, tokenizer.name)


def _show(statistics: Statistics) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    for line in _summary(statistics):
        console.print(neutralize(line))
    if statistics.rows:
        console.print(_lengths(statistics, console.width))
    if statistics.tools:
        console.print(_tools(statistics))
    for title, names in (
        ("Outcomes", statistics.outcomes),
        ("Models", statistics.models),
        ("Flags", statistics.flags),
    ):
        if names:
            console.print(_names(title, names, statistics.rows))
    _tell_skipped(statistics, console)


def _summary(statistics: Statistics) -> Iterator[str]:
    parts, usage = statistics.parts, statistics.usage
    formats = ", ".join(f"{count:,} {name}" for name, count in statistics.formats.items())
    size = sum(file.bytes for file in statistics.files) / 1e6
    files = counted(len(statistics.files), "file")
    yield f"{counted(statistics.rows, 'row')} in {files}, {size:,.1f} MB: {formats or 'nothing to count'}"
    yield f"tokens: {statistics.tokens.total:,.0f} ({statistics.tokens_by})"
    shares = [(name, getattr(parts, name)) for name in parts.__struct_fields__]
    whole = max(1, sum(count for _, count in shares))
    yield "  of them: " + ", ".join(f"{name} {count / whole:.0%}" for name, count in shares)
    yield (
        f"reasoning: in {statistics.answers_with_reasoning:,} of {counted(statistics.answers, 'answer')} "
        f"({statistics.reasoning_share:.0%}), in {counted(statistics.rows_with_reasoning, 'row')}"
    )
    if usage.rows:
        cost = (
            f", ${usage.cost:,.2f} (of {counted(usage.rows_with_cost, 'row')})"
            if usage.rows_with_cost
            else ""
        )
        yield (
            f"usage as {counted(usage.rows, 'row')} report it: {usage.prompt_tokens:,} tokens read "
            f"({usage.cached_tokens:,} from a cache), {usage.completion_tokens:,} written{cost}"
        )


_LENGTHS = ("least", "p25", "median", "p75", "p90", "p99", "most", "mean")


def _lengths(statistics: Statistics, width: int) -> Table:
    """On a narrow terminal some columns less, rather than all of them cut short."""
    shown = [name for name in _LENGTHS if width >= 80 or name not in ("p25", "p75", "p99")]
    table = _table("A row has", *shown)
    spreads: Iterable[tuple[str, Spread]] = (
        ("tokens", statistics.tokens),
        ("characters", statistics.characters),
        ("turns", statistics.turns),
        ("messages", statistics.messages),
        ("calls", statistics.calls),
    )
    for name, spread in spreads:
        table.add_row(name, *(_brief(getattr(spread, each), int(each == "mean")) for each in shown))
    return table


def _brief(value: float, places: int = 0) -> str:
    """At most six characters or so: eight of them stand side by side on a terminal of 80 columns."""
    if value < 10_000:
        return f"{value:,.{places if value < 1000 else 0}f}"
    for power, unit in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        if value < 999.5 * power:
            return f"{value / power:.{0 if value >= 99.5 * power else 1}f}{unit}"
    return f"{value:.0e}"


def _tools(statistics: Statistics) -> Table:
    table = _table("Tool", "rows", "calls", "failed", "success")
    for tool in statistics.tools[:SHOWN]:
        success = min(tool.success, 0.9994) if tool.failed else tool.success  # 100 % means none failed
        numbers = (f"{tool.rows:,}", f"{tool.calls:,}", f"{tool.failed:,}", f"{success:.1%}")
        table.add_row(neutralize(tool.name), *numbers)
    _add_rest(table, len(statistics.tools))
    return table


def _names(title: str, names: dict[str, int], rows: int) -> Table:
    table = _table(title, "rows", "share")
    for name, count in list(names.items())[:SHOWN]:
        table.add_row(neutralize(name), f"{count:,}", f"{count / rows:.1%}")
    _add_rest(table, len(names))
    return table


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column(title, overflow="fold", min_width=10)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _add_rest(table: Table, count: int) -> None:
    if count > SHOWN:
        table.add_row(f"and {count - SHOWN:,} more")


def _tell_skipped(statistics: Statistics, console: Console) -> None:
    count = sum(file.skipped for file in statistics.files)
    if not count:
        return
    console.print(f"{counted(count, 'line')} left out:")
    for each in statistics.skipped[:NAMED]:
        console.print(neutralize(f"  {place(each.file, each.line)}: {each.reason}"))
    if count > NAMED:
        console.print(f"  and {count - NAMED:,} more (--json names {len(statistics.skipped)})")
