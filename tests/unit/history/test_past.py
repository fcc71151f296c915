"""A check at a moment of the past."""

from __future__ import annotations

import pytest

from monitor.history.samples import Sample
from monitor.history.status_at import status_at
from monitor.model.checks import Status
from tests.support.builders.samples import MIDNIGHT

SAMPLE = Sample(MIDNIGHT, Status.ERROR, MIDNIGHT + 30, "timeout", {"response_time_ms": 5000.0})


@pytest.mark.parametrize(
    ("sample", "at", "status", "reason"),
    [
        pytest.param(SAMPLE, MIDNIGHT, Status.ERROR, "timeout", id="at the very moment"),
        pytest.param(SAMPLE, MIDNIGHT + 30, Status.ERROR, "timeout", id="while it is valid"),
        pytest.param(SAMPLE, MIDNIGHT + 30.1, Status.STALE, "stale", id="then it is stale"),
        pytest.param(SAMPLE, MIDNIGHT - 1, Status.UNKNOWN, "not_observed", id="before it"),
        pytest.param(None, MIDNIGHT, Status.UNKNOWN, "not_observed", id="without one"),
    ],
)
def test_then(sample: Sample | None, at: float, status: Status, reason: str) -> None:
    """As it would have been read."""
    found = status_at(sample, at)
    assert (found.status, found.reason) == (status, reason)
