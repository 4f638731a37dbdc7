"""The formats a session can be exported in, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from trajectories.formats import atif, axolotl, hf, llamafactory, nemo, trl
from trajectories.openai_messages import OPENAI_COLUMNS, openai_row
from trajectories.prepared import Prepared
from trajectories.row_facts import json_of
from trajectories.sharegpt import SHAREGPT_COLUMNS, sharegpt_row

Rows = Callable[[Prepared], list[dict[str, Any]]]
SideFiles = Callable[[Path, str], dict[Path, str]]


class Format(NamedTuple):
    """One way to write sessions.

    `rows` gives what a session is written as, [] where it cannot be. `unit` says how sessions share a file:
    as `rows` of one table, each as a `document` of its own (or one a line), or as `lines` that fill a file of
    their own. `columns` declares the table for Parquet. `side_files` gives the texts of files that belong
    beside the output, from its path and the name of the target.
    """

    name: str
    description: str
    rows: Rows
    unit: Literal["rows", "document", "lines"] = "rows"
    columns: dict[str, Any] | None = None
    side_files: SideFiles | None = None


def _both(prepared: Prepared) -> list[dict[str, Any]]:
    """The OpenAI row, the ShareGPT row laid over it; `tools` is JSON text, `answers` tells both places."""
    row = openai_row(prepared)
    row["tools"] = json_of(row["tools"])
    turns = sharegpt_row(prepared)
    if turns is None:
        return [row]
    places = json.loads(row["answers"])
    answers = [
        {"message": place["message"], **answer}
        for place, answer in zip(places, json.loads(turns["answers"]), strict=False)
    ]
    return [row | turns | {"answers": json_of(answers + places[len(answers) :])}]


def _sharegpt(prepared: Prepared) -> list[dict[str, Any]]:
    row = sharegpt_row(prepared)
    return [] if row is None else [row]


FORMATS = {
    each.name: each
    for each in (
        Format("both", "sharegpt and openai in one row", _both, columns=OPENAI_COLUMNS | SHAREGPT_COLUMNS),
        Format(
            "sharegpt", "conversations of system, human, gpt and tool", _sharegpt, columns=SHAREGPT_COLUMNS
        ),
        Format("openai", "messages and tools", lambda one: [openai_row(one)], columns=OPENAI_COLUMNS),
        Format("trl", "messages and tools for TRL", trl.rows, columns=trl.COLUMNS),
        Format(
            "llamafactory",
            "conversations for LLaMA-Factory, and dataset_info.json",
            llamafactory.rows,
            columns=llamafactory.COLUMNS,
            side_files=llamafactory.side_files,
        ),
        Format(
            "axolotl",
            "messages for axolotl, and a piece of its YAML",
            axolotl.rows,
            columns=axolotl.COLUMNS,
            side_files=axolotl.side_files,
        ),
        Format("nemo", "messages for NeMo Automodel", nemo.rows, columns=nemo.COLUMNS),
        Format("atif", "an ATIF document for each session", atif.rows, "document"),
        Format("hf", "a trace for the Hugging Face Hub for each session", hf.rows, "lines"),
    )
}
