"""Run the conformance suite and print its results as a table in Markdown.

    python -m tests.sandboxes.conformance.table [NAME…]

A cell: ✓ every case passed, ✗ one failed, · it has no meaning there or the place is not on this machine.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.sandboxes.conformance.places import NAMES

FOLDER = Path(__file__).parent


class Results:
    """A pytest plugin: outcomes by behaviour and place."""

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        behaviour, _, parameters = report.nodeid.rpartition("::")[2].partition("[")
        place = parameters.rstrip("]").split("-")[0]
        self.outcomes[behaviour][place].append(report.outcome)


def cell(outcomes: list[str]) -> str:
    if "failed" in outcomes:
        return "✗"
    return "✓" if "passed" in outcomes else "·"


def main(names: list[str]) -> int:
    places = names or list(NAMES)
    results = Results()
    pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", "-m", "", str(FOLDER)], plugins=[results])
    sys.stdout.write("| behaviour | " + " | ".join(places) + " |\n|---" + "|---" * len(places) + "|\n")
    for behaviour, found in results.outcomes.items():
        words = behaviour.removeprefix("test_").replace("_", " ")
        sys.stdout.write(f"| {words} | " + " | ".join(cell(found[place]) for place in places) + " |\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
