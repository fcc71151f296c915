"""How much of the past is kept: samples of each check, and transitions."""

from __future__ import annotations

from monitor.model import Result

TRANSITIONS_KEPT = 10_000
DAY_SECONDS = 86_400
ENTRY_OVERHEAD_BYTES = 12  # of a list's packed nodes, measured on Redis 7.0


def samples_kept(result: Result, sample_bytes: int, budget_bytes: int) -> int:
    """At least 1: what a day brings, unless that is more than the check's share of the memory budget.

    The interval is taken to be a third of what the result is valid for, which is its default.
    """
    interval_seconds = max(0.1, (result.valid_until - result.observed_at) / 3)
    return max(1, min(int(DAY_SECONDS / interval_seconds), budget_bytes // (sample_bytes + ENTRY_OVERHEAD_BYTES)))
