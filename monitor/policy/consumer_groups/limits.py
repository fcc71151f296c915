"""Limits for judging a consumer group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds and times of the rules. A threshold of None turns its rule off. See docs/kafka.md."""

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
    """Return a duration as text, in the largest unit in which it is a whole number: ``5m``, ``90s`` or ``1h``."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{round(seconds, 1):g}s"


def public_limits(limits: Limits) -> dict[str, Any]:
    """Return the thresholds that a result's data contains."""
    limits_by_name = {
        "window_seconds": limits.window_seconds,
        "skew_threshold": limits.skew_threshold,
        "min_consumers": limits.min_consumers,
    }
    return {name: value for name, value in limits_by_name.items() if value is not None}
