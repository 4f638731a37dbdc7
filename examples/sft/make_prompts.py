"""Writes prompts.jsonl (50 prompts to train on) and held_out.jsonl (10 nobody trains on).

Every prompt asks for a file with a text in it; half of them want it read back. Each of the few words of the
held-out prompts is somewhere in the 50, but never that file with that text.
"""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

FILES = ("notes.txt", "todo.txt", "plan.txt", "list.txt", "ideas.txt")
VERBS = ("buy", "find", "wash", "sell", "paint")
THINGS = ("milk", "bread", "shoes", "chairs", "books")
REQUESTS = ("create {file} with the text {text}", "create {file} with the text {text} and then read it")


def main() -> None:
    folder = Path(__file__).parent
    choices = list(itertools.product(FILES, VERBS, THINGS))
    random.Random(7).shuffle(choices)
    for name, chosen in (("prompts.jsonl", choices[:50]), ("held_out.jsonl", choices[50:60])):
        with (folder / name).open("w", encoding="utf-8") as out:
            for index, (file, verb, thing) in enumerate(chosen):
                text = f"{verb} {thing}"
                prompt = REQUESTS[index % 2].format(file=file, text=text)
                out.write(json.dumps({"prompt": prompt, "file": file, "text": text}) + "\n")


if __name__ == "__main__":
    main()
