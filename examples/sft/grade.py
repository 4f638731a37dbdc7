"""What became of the held-out prompts: is the file of each row right, and does the last answer say so?

python grade.py data/tuned/trajectories.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tool_call_parsers import get_parser


def main() -> None:
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    parser = get_parser("hermes")
    written = told = 0
    for row in rows:
        answers = [turn["value"] for turn in row["conversations"] if turn["from"] == "gpt"]
        calls = [call["function"] for answer in answers for call in parser.parse(answer).tool_calls]
        wanted = {"path": row["file"], "content": row["text"] + "\n"}
        written += [json.loads(call["arguments"]) for call in calls if call["name"] == "write_file"] == [
            wanted
        ]
        told += row["text"] in answers[-1] and row["file"] in answers[-1]
    print(f"of {len(rows)} prompts {written} wrote the right file, {told} ended on the right answer")


if __name__ == "__main__":
    main()
