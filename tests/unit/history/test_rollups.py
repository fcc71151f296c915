"""Rolling up in any pieces comes to the same."""

from __future__ import annotations

from array import array
from math import isclose

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.history.rollups import RollupDay, append_samples, empty_day, replace_hours
from monitor.history.samples import DAY_SECONDS, Sample, Samples, gather
from tests.support.builders.samples import MIDNIGHT, samples


@settings(max_examples=100, deadline=None)
@given(past=samples(), cut=st.integers(0, 80))
def test_twice_is_once(past: list[Sample], cut: int) -> None:
    """An hour that was rolled up from a part of its samples, and then from all, is as if it had been done once."""
    day = of_day(past)
    whole = replace_hours(empty_day(MIDNIGHT), day)
    assert replace_hours(replace_hours(empty_day(MIDNIGHT), day[:cut]), day) == whole
    assert replace_hours(whole, day) == whole


@settings(max_examples=100, deadline=None)
@given(past=samples(), cut=st.integers(0, 80))
def test_more_is_the_same_as_all(past: list[Sample], cut: int) -> None:
    """What comes later can be added to what is there: times and counts exactly."""
    day = of_day(past)
    whole, parts = (
        replace_hours(empty_day(MIDNIGHT), day),
        append_samples(replace_hours(empty_day(MIDNIGHT), day[:cut]), day[cut:]),
    )
    assert parts is not None
    assert (parts.heads, parts.times, parts.began, parts.goes_on) == (
        whole.heads,
        whole.times,
        whole.began,
        whole.goes_on,
    )
    assert_close(parts, whole)


def test_what_is_earlier_is_not_more() -> None:
    """It belongs between samples that are in the buckets already."""
    early, late = (gather([Sample(MIDNIGHT + at, "ok", MIDNIGHT + at + 5)]) for at in (10, 20))
    assert append_samples(replace_hours(empty_day(MIDNIGHT), late), early) is None
    assert append_samples(replace_hours(empty_day(MIDNIGHT), late), late) is None


def of_day(past: list[Sample]) -> Samples:
    """What of it is of the first day."""
    return gather(past).within(MIDNIGHT, MIDNIGHT + DAY_SECONDS)


def assert_close(some: RollupDay, others: RollupDay) -> None:
    """Equal series, but for the last digits of means."""
    assert some.series.keys() == others.series.keys()
    for name, spreads in some.series.items():
        other = others.series[name]
        assert (spreads.count, spreads.low, spreads.high) == (other.count, other.low, other.high)
        for mean, another, low, high in zip(
            spreads.mean, other.mean, array("d", spreads.low), spreads.high, strict=True
        ):
            size = max(abs(low), abs(high))
            assert isclose(mean, another, rel_tol=1e-6, abs_tol=1e-6 * size) or size > 1e30
