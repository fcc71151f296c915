"""What history keeps of one observation, and of five minutes of them. Times are epoch seconds by the store's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.model import Status

HOUR_SECONDS = 3600
DAY_SECONDS = 86_400
BUCKET_SECONDS = 300
"""Roll-ups are of five minutes, aligned to the epoch."""

RESPONSE_TIME = "response_time_ms"
"""The series that every check has."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One observation: the status as it was judged then, which holds until ``valid_until`` or the next sample.

    ``series`` are the numbers that the check's kind declares, and ``response_time_ms``. A number that was not measured
    is absent.
    """

    at: float
    status: Status
    valid_until: float
    reason: str | None = None
    series: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spread:
    """What became of one series within a bucket."""

    count: int
    low: float
    total: float
    high: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """Five minutes of a check, from ``start`` on. The seconds add up to ``BUCKET_SECONDS``.

    ``incidents`` is how many stretches of ``error`` began in it. ``last`` is the last status that was observed in it,
    None when none was: what tells whether an error in the next bucket goes on or begins.
    """

    start: int
    ok: float = 0.0
    warning: float = 0.0
    error: float = 0.0
    unknown: float = 0.0
    unobserved: float = float(BUCKET_SECONDS)
    incidents: int = 0
    last: Status | None = None
    series: Mapping[str, Spread] = field(default_factory=dict)
