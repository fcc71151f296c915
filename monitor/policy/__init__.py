"""Rules that judge values. They are pure: no IO, no clock; ``now`` is an argument."""

from monitor.policy.states import (
    FUTURE_TOLERANCE_SECONDS,
    GroupHold,
    Reading,
    advance,
    as_result,
    expire,
    fails,
    group_passes,
    overall,
    read_status,
)

__all__ = [
    "FUTURE_TOLERANCE_SECONDS",
    "GroupHold",
    "Reading",
    "advance",
    "as_result",
    "expire",
    "fails",
    "group_passes",
    "overall",
    "read_status",
]
