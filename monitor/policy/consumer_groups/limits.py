"""What a consumer group is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds and times, all in seconds, messages or members; None: that rule is off. See docs/kafka.md."""

    window_seconds: float = 300.0
    sustained_seconds: float = 30.0
    skew_threshold: float | None = 4.0
    skew_min_lag: int = 100
    min_consumers: int = 1
    max_lag: int | None = None
    max_lag_age_seconds: float | None = None
    max_retention_share: float | None = None
    max_drain_eta_seconds: float | None = None
    stalled_after_seconds: float = 300.0
    stalled_min_lag: int = 2
    rebalancing_after_seconds: float = 300.0
    start_grace_seconds: float = 300.0


def format_duration(seconds: float) -> str:
    """A duration in the largest unit that it is a whole number of: ``5m``, ``90s``, ``1h``."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{round(seconds, 1):g}s"


def public_limits(limits: Limits) -> dict[str, Any]:
    """Return the thresholds that are public beside the numbers."""
    given = {
        "window_seconds": limits.window_seconds,
        "skew_threshold": limits.skew_threshold,
        "min_consumers": limits.min_consumers,
    }
    return {name: value for name, value in given.items() if value is not None}
