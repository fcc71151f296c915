"""Curves are what brute force over the samples says, at any step, from samples and from roll-ups."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.history import series
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, HOUR_SECONDS, Sample, gather
from monitor.history.series import MAX_POINTS, TimeScale
from monitor.model.checks import Status
from tests.support import brute
from tests.support.builders.samples import MIDNIGHT, samples
from tests.unit.history.test_uptime import kept

NAMES = ("response_time_ms", "percent", "lag")


@settings(max_examples=60, deadline=None)
@given(
    past=samples(),
    since=st.integers(0, 2 * DAY_SECONDS),
    step=st.sampled_from([1, 7, 10, 60, 60, 299.5, 300, 3600, 50_000]),
    points=st.integers(1, 60),
)
def test_curves_of_samples(past: list[Sample], since: int, step: float, points: int) -> None:
    """Worst status that held, least, mean and greatest number of each step."""
    at = TimeScale(MIDNIGHT + since, MIDNIGHT + since + points * step - step / 3, step, raw=True)
    curves = series.curves_of_samples(gather(past).holding(at.since, at.until), at)
    times = at.times
    assert len(times) == points
    for place, time in enumerate(times):
        end = min(time + step, at.until)
        assert curves.status[place] == brute.worst(past, time, end)
        for name in NAMES:
            values = brute.measured(past, name, time, end)
            curve = curves.series.get(name)
            if not values:
                assert curve is None or (curve.low[place], curve.mean[place], curve.high[place]) == (None, None, None)
                continue
            assert curve is not None
            assert (curve.low[place], curve.high[place]) == (min(values), max(values))
            assert curve.mean[place] == pytest.approx(sum(values) / len(values), rel=1e-9, abs=1e-9)


def test_a_step_begins_exactly_with_a_sample() -> None:
    """The sample before it, which is valid for longer, does not count in this step."""
    past = [Sample(MIDNIGHT, Status.ERROR, MIDNIGHT + 900), Sample(MIDNIGHT + 60, Status.OK, MIDNIGHT + 900)]
    at = TimeScale(MIDNIGHT, MIDNIGHT + 120, 60, raw=True)
    assert series.curves_of_samples(gather(past), at).status == [Status.ERROR, Status.OK]


@settings(max_examples=40, deadline=None)
@given(past=samples(), since=st.integers(0, 500), buckets=st.integers(1, 50), points=st.integers(1, 40))
def test_curves_of_buckets(past: list[Sample], since: int, buckets: int, points: int) -> None:
    """The same of whole buckets; numbers have seven digits."""
    step = buckets * BUCKET_SECONDS
    at = TimeScale(
        MIDNIGHT + since * BUCKET_SECONDS, MIDNIGHT + since * BUCKET_SECONDS + points * step, step, raw=False
    )
    found = kept(past, at.until).rollups(["db"], at.since)["db"]
    curves = series.curves_of_buckets(found, at)
    for name in NAMES:
        mean = curves.series[name].mean if name in curves.series else [None] * len(at.times)
        assert series.sparkline_values(found, at, name) == (curves.status, mean)
    for place, time in enumerate(at.times):
        assert curves.status[place] == brute.worst(past, time, time + step)
        for name in NAMES:
            values = brute.measured(past, name, time, time + step)
            curve = curves.series.get(name)
            if not values:
                assert curve is None or (curve.low[place], curve.mean[place], curve.high[place]) == (None, None, None)
            elif (size := max(map(abs, values))) < 1e30:
                assert curve is not None
                assert curve.low[place] == pytest.approx(min(values), rel=1e-6, abs=1e-30)
                assert curve.high[place] == pytest.approx(max(values), rel=1e-6, abs=1e-30)
                assert curve.mean[place] == pytest.approx(sum(values) / len(values), rel=1e-6, abs=2e-6 * size + 1e-30)


@pytest.mark.parametrize(
    ("span", "step", "raw_back", "wanted"),
    [
        pytest.param(HOUR_SECONDS, None, DAY_SECONDS, (10, "raw"), id="an hour"),
        pytest.param(DAY_SECONDS, 60, DAY_SECONDS, (60, "raw"), id="a day by the minute"),
        pytest.param(DAY_SECONDS, None, DAY_SECONDS, (300, "5m"), id="a day"),
        pytest.param(DAY_SECONDS, 60, HOUR_SECONDS, (300, "5m"), id="samples do not reach back so far"),
        pytest.param(HOUR_SECONDS, 60, None, (300, "5m"), id="there are no samples"),
        pytest.param(DAY_SECONDS, 1, DAY_SECONDS, (60, "raw"), id="too many points: the step is widened"),
        pytest.param(DAY_SECONDS, 301, DAY_SECONDS, (600, "5m"), id="whole buckets"),
        pytest.param(90 * DAY_SECONDS, None, DAY_SECONDS, (21_600, "5m"), id="ninety days"),
        pytest.param(90 * DAY_SECONDS, 300, DAY_SECONDS, (7200, "5m"), id="ninety days as fine as it gets"),
        pytest.param(3650 * DAY_SECONDS, None, None, (8 * DAY_SECONDS, "5m"), id="ten years"),
    ],
)
def test_the_server_chooses(span: float, step: float | None, raw_back: float | None, wanted: tuple[float, str]) -> None:
    """The step that was asked for, or a round one; never more than so many points."""
    now = MIDNIGHT + 12_345.678
    scale = series.choose_scale(now - span, now, step=step, raw_since=None if raw_back is None else now - raw_back)
    assert (scale.step, scale.resolution) == wanted
    assert scale.since % scale.step == 0
    assert scale.since <= now - span < scale.since + scale.step


@given(span=st.floats(0.001, 4000 * DAY_SECONDS), step=st.none() | st.floats(0.001, 1e6), raw=st.booleans())
def test_never_too_many_points(span: float, step: float | None, raw: bool) -> None:
    """Whatever is asked."""
    now = MIDNIGHT + 0.5
    scale = series.choose_scale(now - span, now, step=step, raw_since=0.0 if raw else None)
    assert 1 <= len(scale.times) <= MAX_POINTS


@given(count=st.integers(1, 2000), span=st.floats(1, 91 * DAY_SECONDS))
def test_sparklines(count: int, span: float) -> None:
    """At most so many points of whole buckets, but two at least when a bucket begins within the window."""
    now = MIDNIGHT + 17.25
    scale = series.sparkline_scale(count, now - span, now)
    assert scale.step % BUCKET_SECONDS == 0
    assert len(scale.times) <= max(count, 2)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("latency_ms", "ms"), ("percent", "%"), ("rss_mb", "MiB"), ("oldest_task_seconds", "s"), ("pending_tasks", "")],
)
def test_units(name: str, unit: str) -> None:
    """They are at the end of the name."""
    assert series.unit_of(name) == unit
