"""How much is tried: the same examples each time, no files kept. HERMES_FUZZ=10 tries ten times as many."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("HERMES_FUZZ", "1"))


def fuzz(examples: int) -> settings:
    return settings(
        max_examples=examples * TIMES,
        database=None,
        deadline=None,
        derandomize=TIMES == 1,
        suppress_health_check=list(HealthCheck),
    )
