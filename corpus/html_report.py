"""The page of `hermes data stats --html`: what is in files of rows, drawn. No script, nothing loaded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from corpus.html_report_plot import histogram, percent, share_bar, short, stacked_bar, text
from corpus.spread import Spread
from corpus.statistics import Statistics, ToolCount
from corpus.writing import replaced

FOLDER = Path(__file__).parent
POLICY = "default-src 'none'; style-src '{style}'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded, no script runs, and no style but the page's own holds."""

SHOWN = 12
"""Names of a list that are seen at once; the others are folded away."""

_GOOD, _BAD = {"done", "completed"}, {"failed", "error", "unavailable"}
_UNSAID = "(not said)"


def write_report(statistics: Statistics, path: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Writes the page to `path`, in one step, mode 0600. `inputs` are files it must not replace.

    Raises:
        OutputError: it cannot be written.
    """
    page = report(statistics).encode("utf-8", "replace")
    with replaced(path, inputs) as file:
        file.write(page)


def report(statistics: Statistics) -> str:
    """The page. The same statistics make the same page."""
    theme, style = (FOLDER / name for name in ("view/page/theme.css", "html_report.css"))
    css = theme.read_text(encoding="utf-8") + style.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    files = statistics.files
    names = [Path(file.path).name if file.path != "-" else "standard input" for file in files]
    title = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    about = f"{statistics.rows:,} rows in {_files(len(files))}, {_size(sum(file.bytes for file in files))}"
    fields = {
        "policy": POLICY.replace("{style}", f"sha256-{digest}"),
        "style": css,
        "title": text(title or "No files"),
        "about": text(about),
        "body": "\n".join(_body(statistics)),
        "footer": text(f"Made by hermes data stats. Tokens: {statistics.tokens_by}."),
    }
    page = (FOLDER / "html_report.html").read_text(encoding="utf-8")
    head, *rest = page.split("{")
    for part in rest:
        name, _, after = part.partition("}")
        head += fields[name] + after
    return head


def _body(statistics: Statistics) -> Iterator[str]:
    yield _tiles(statistics)
    yield '<div class="sheets">'
    yield _lengths("Tokens in a row", statistics.tokens, "tokens")
    yield _lengths("Turns of the person in a row", statistics.turns, "turns")
    yield _lengths("Messages in a row", statistics.messages, "messages")
    yield _lengths("Tool calls in a row", statistics.calls, "calls")
    yield _parts(statistics)
    yield _named("Outcomes", statistics.outcomes, statistics.rows, colours=True)
    yield _reasoning(statistics)
    yield _named("Models", statistics.models, statistics.rows)
    if statistics.tools:
        yield _tools(statistics.tools)
    if statistics.flags:
        yield _named("Flags", statistics.flags, statistics.rows)
    yield _named("Formats", statistics.formats, statistics.rows)
    if len(statistics.files) > 1:
        yield _file_table(statistics)
    if statistics.skipped:
        yield _skipped(statistics)
    yield "</div>"


def _tiles(statistics: Statistics) -> str:
    calls = sum(tool.calls for tool in statistics.tools)
    failed = sum(tool.failed for tool in statistics.tools)
    usage = statistics.usage
    skipped = sum(count for kind, count in statistics.lines_skipped.items() if kind != "blank")
    tiles = [
        ("Rows", _whole(statistics.rows), f"{skipped:,} more lines skipped" if skipped else ""),
        ("Tokens", _whole(statistics.tokens.total), f"{statistics.tokens.mean:,.0f} in a row on average"),
        ("Answers", _whole(statistics.answers), ""),
        ("With reasoning", percent(statistics.reasoning_share), "of the answers"),
        ("Tool calls", _whole(calls), f"{percent(1 - failed / calls)} without an error" if calls else ""),
    ]
    if usage.rows_with_cost:
        known = "" if usage.rows_with_cost == statistics.rows else f"of {usage.rows_with_cost:,} rows"
        tiles.append(("Cost", f"${usage.cost:,.2f}", known))
    if usage.rows:
        paid = usage.prompt_tokens + usage.completion_tokens
        tiles.append(("Paid tokens", _whole(paid), f"{_whole(usage.completion_tokens)} of them written"))
    return '<dl class="tiles">' + "".join(_tile(*tile) for tile in tiles) + "</dl>"


def _tile(name: str, value: str, more: str) -> str:
    below = f'<div class="soft">{text(more)}</div>' if more else ""
    return (
        f'<div class="tile"><dt>{text(name)}</dt><dd><div class="big">{text(value)}</div>{below}</dd></div>'
    )


def _section(title: str, inside: str, *, more: str = "", wide: bool = False) -> str:
    told = f'<p class="soft numbers">{text(more)}</p>' if more else ""
    kind = ' class="wide"' if wide else ""
    return f'<section{kind}><div class="head"><h2>{text(title)}</h2>{told}</div>{inside}</section>'


def _lengths(title: str, spread: Spread, unit: str) -> str:
    told = f"{spread.least:,.0f} to {spread.most:,.0f}, 99 % up to {spread.p99:,.0f}" if spread.count else ""
    return _section(title, histogram(spread, unit), more=told)


def _parts(statistics: Statistics) -> str:
    parts = statistics.parts
    named = [
        ("System text", parts.system, "system"),
        ("What people said", parts.human, "human"),
        ("Reasoning", parts.reasoning, "reasoning"),
        ("Answers", parts.answers, "answers"),
        ("Calls", parts.calls, "calls"),
        ("Results of tools", parts.results, "results"),
    ]
    total = sum(size for _, size, _ in named)
    if not total:
        return _section("What the tokens are", '<p class="nothing">There is no text.</p>')
    rows = "".join(
        f'<tr><td class="name"><span class="key {kind}"></span>{text(name)}</td>'
        f'<td class="number">{size:,}</td><td class="number">{percent(size / total)}</td></tr>'
        for name, size, kind in named
    )
    bar = f'<div class="stack">{stacked_bar(named)}</div>'
    return _section("What the tokens are", f"{bar}<table>{rows}</table>", more=f"{total:,} tokens")


def _reasoning(statistics: Statistics) -> str:
    parts = statistics.parts
    shares = [
        ("Answers that have it", statistics.answers_with_reasoning, statistics.answers),
        ("Rows that have it", statistics.rows_with_reasoning, statistics.rows),
        ("Of the tokens models wrote", parts.reasoning, parts.reasoning + parts.answers + parts.calls),
    ]
    lines = []
    for name, share, whole in shares:
        part = share / whole if whole else 0.0
        bar = share_bar(1.0, "reasoning", second=1 - part, second_kind="empty")
        lines.append(
            f'<tr><td class="name">{text(name)}</td><td class="plot">{bar}</td>'
            f'<td class="number">{share:,}</td><td class="number">{percent(part)}</td></tr>'
        )
    return _section("Reasoning", _folded(lines, ""))


def _named(title: str, counts: Mapping[str, int], rows: int, *, colours: bool = False) -> str:
    most = max([1, *counts.values()])
    lines = [
        f'<tr><td class="name">{text(name) or "(empty)"}</td>'
        f'<td class="plot">{share_bar(count / most, _colour(name) if colours else "plain")}</td>'
        f'<td class="number">{count:,}</td>'
        f'<td class="number">{percent(min(1.0, count / rows)) if rows else ""}</td></tr>'
        for name, count in counts.items()
    ]
    if not lines:
        return _section(title, '<p class="nothing">None.</p>')
    return _section(title, _folded(lines, ""), more=f"{len(lines):,} different" if len(lines) > SHOWN else "")


def _colour(outcome: str) -> str:
    if outcome == _UNSAID:
        return "rest"
    return "good" if outcome in _GOOD else "bad" if outcome in _BAD else "mixed"


def _tools(tools: Sequence[ToolCount]) -> str:
    most = max(tool.calls for tool in tools)
    head = (
        '<tr><th>Tool</th><th>Calls, failed ones in red</th><th class="number">Calls</th>'
        '<th class="number">Failed</th><th class="number">Success</th><th class="number">Rows</th></tr>'
    )
    lines = [
        f'<tr><td class="name">{text(tool.name) or "(empty)"}</td>'
        f'<td class="plot">{_tool_bar(tool, most)}</td>'
        f'<td class="number">{tool.calls:,}</td>'
        f'<td class="number{" bad-text" if tool.failed else ""}">{tool.failed:,}</td>'
        f'<td class="number">{percent(tool.success)}</td><td class="number">{tool.rows:,}</td></tr>'
        for tool in tools
    ]
    more = f"{len(tools):,} tools" if len(tools) > 1 else ""
    return _section("Tools", f'<div class="scroll">{_folded(lines, head)}</div>', more=more, wide=True)


def _tool_bar(tool: ToolCount, most: int) -> str:
    failed = tool.failed / tool.calls if tool.calls else 0.0
    return share_bar(tool.calls / most if most else 0, "good", second=failed, second_kind="bad")


def _folded(lines: Sequence[str], head: str) -> str:
    table = f"<table>{head}{''.join(lines[:SHOWN])}</table>"
    if len(lines) <= SHOWN:
        return table
    rest = f"<table>{head}{''.join(lines[SHOWN:])}</table>"
    return f"{table}<details><summary>{len(lines) - SHOWN:,} more</summary>{rest}</details>"


def _file_table(statistics: Statistics) -> str:
    head = (
        '<tr><th>File</th><th class="number">Rows</th><th class="number">Skipped</th>'
        '<th class="number">Size</th></tr>'
    )
    lines = [
        f'<tr><td class="where">{text(file.path)}</td><td class="number">{file.rows:,}</td>'
        f'<td class="number">{file.skipped:,}</td><td class="number">{text(_size(file.bytes))}</td></tr>'
        for file in statistics.files
    ]
    return _section("Files", _folded(lines, head), wide=True)


def _skipped(statistics: Statistics) -> str:
    several = len(statistics.files) > 1
    lines = [
        f'<tr><td class="where">{text(f"{each.file}:{each.line}" if several else f"line {each.line}")}</td>'
        f'<td class="reason">{text(each.reason)}</td></tr>'
        for each in statistics.skipped
    ]
    kinds = ", ".join(
        f"{count:,} {kind.replace('_', ' ')}"
        for kind, count in statistics.lines_skipped.items()
        if kind != "blank"
    )
    return _section("Skipped lines", _folded(lines, ""), more=kinds, wide=True)


def _whole(number: float) -> str:
    return f"{number:,.0f}" if number < 100_000 else short(number)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
