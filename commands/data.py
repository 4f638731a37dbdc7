"""`hermes data`: look at files of training rows, and make better ones of them."""

from __future__ import annotations

import click

from commands.group import Entry, LazyGroup

COMMANDS = {
    "stats": Entry("commands.data_stats:stats", "Count what is in them: rows, tokens, tools, outcomes."),
    "view": Entry("commands.data_view:view", "Make a page to read them in a browser."),
    "validate": Entry("commands.data_validate:validate", "Check every row against its layout."),
    "filter": Entry("commands.data_filter:filter_rows", "Keep the rows that an expression holds for."),
    "dedupe": Entry("commands.data_dedupe:dedupe", "Leave out what is there twice."),
    "sample": Entry("commands.data_sample:sample", "Draw a number of rows at random."),
    "split": Entry("commands.data_split:split", "Part them for training and testing."),
    "compress": Entry("commands.data_compress:compress", "Fit rows to a budget of tokens."),
    "redact": Entry("commands.data_redact:redact", "Take secrets out."),
}


@click.group(cls=LazyGroup, entries=COMMANDS)
def data() -> None:
    """Look at files of training rows, and make better ones of them.

    A FILE holds JSON lines in any format that hermes writes (it may be compressed with gzip), or is a session
    file; - is standard input. A line that is no row is named and left out. Files are never changed in place.
    """
