"""A check at a moment of the past."""

from __future__ import annotations

import pytest

from monitor.history.past import then
from monitor.history.samples import Sample
from monitor.model import Status
from tests.support.builders.samples import T0

SAMPLE = Sample(T0, Status.ERROR, T0 + 30, "timeout", {"response_time_ms": 5000.0})


@pytest.mark.parametrize(
    ("sample", "at", "status", "reason"),
    [
        pytest.param(SAMPLE, T0, Status.ERROR, "timeout", id="at the very moment"),
        pytest.param(SAMPLE, T0 + 30, Status.ERROR, "timeout", id="while it is valid"),
        pytest.param(SAMPLE, T0 + 30.1, Status.STALE, "stale", id="then it is stale"),
        pytest.param(SAMPLE, T0 - 1, Status.UNKNOWN, "not_observed", id="before it"),
        pytest.param(None, T0, Status.UNKNOWN, "not_observed", id="without one"),
    ],
)
def test_then(sample: Sample | None, at: float, status: Status, reason: str) -> None:
    """As it would have been read."""
    found = then(sample, at)
    assert (found.status, found.reason) == (status, reason)
