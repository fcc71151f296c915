"""Status of a check at a time in the past."""

from __future__ import annotations

from typing import NamedTuple

from monitor.history.samples import Sample
from monitor.model.checks import Reason, Status


class PastStatus(NamedTuple):
    """Status of a check at a time in the past. ``sample`` is the last sample up to this time, or None."""

    status: Status
    reason: str | None
    sample: Sample | None = None


def status_at(sample: Sample | None, at: float) -> PastStatus:
    """Return the status that a client would have read at ``at``. ``sample`` is the last sample up to ``at``.

    The status is ``stale`` if the sample had expired. It is ``unknown`` if there is no sample: there was no
    observation, or its sample is no longer stored.
    """
    if sample is None or sample.at > at:
        return PastStatus(Status.UNKNOWN, Reason.NOT_OBSERVED)
    if at > sample.valid_until:
        return PastStatus(Status.STALE, Reason.STALE, sample)
    return PastStatus(sample.status, sample.reason, sample)
