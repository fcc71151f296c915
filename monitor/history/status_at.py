"""What a check looked like at a moment of the past."""

from __future__ import annotations

from typing import NamedTuple

from monitor.history.samples import Sample
from monitor.model.checks import Reason, Status


class PastStatus(NamedTuple):
    """A check at a moment. ``sample`` is the last one before it, None when there was none."""

    status: Status
    reason: str | None
    sample: Sample | None = None


def status_at(sample: Sample | None, at: float) -> PastStatus:
    """The check at ``at``, by its last sample: what would have been read then. Old is ``stale``, none is ``unknown``.

    An ``unknown`` without a sample may also be one whose last sample is no longer kept.
    """
    if sample is None or sample.at > at:
        return PastStatus(Status.UNKNOWN, Reason.NOT_OBSERVED)
    if at > sample.valid_until:
        return PastStatus(Status.STALE, Reason.STALE, sample)
    return PastStatus(sample.status, sample.reason, sample)
