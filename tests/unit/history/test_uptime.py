"""Uptime, incidents and roll-ups are what brute force over the samples says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.history import uptime
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, Sample
from monitor.model.checks import Status
from monitor.store.memory.history import MemoryHistory
from tests.support import brute
from tests.support.builders.samples import MIDNIGHT, samples

DAYS = 4


def kept(past: list[Sample], now: float) -> MemoryHistory:
    """A history that has these samples, in this order."""
    history = MemoryHistory(lambda: now)
    history.add("db", past)
    return history


def figures(found: uptime.UptimeSeconds) -> dict[str, float]:
    """What brute force says too."""
    return {**found.seconds, "incidents": found.incidents}


def by_brute_force(past: list[Sample], since: float, until: float) -> dict[str, float]:
    """The same figures."""
    return {**brute.seconds(past, since, until), "incidents": brute.incidents(past, since, until)}


@settings(max_examples=100, deadline=None)
@given(past=samples(), since=st.integers(0, DAYS * 288), span=st.integers(1, DAYS * 288))
def test_any_window_of_buckets(past: list[Sample], since: int, span: int) -> None:
    """From any bucket to any other one: seconds in each status to the microsecond, and incidents."""
    begin, end = MIDNIGHT + since * BUCKET_SECONDS, MIDNIGHT + (since + span) * BUCKET_SECONDS
    (buckets,) = kept(past, end).rollups(["db"], begin, end).values()
    assert figures(uptime.uptime(buckets)) == by_brute_force(past, begin, end)


@settings(max_examples=100, deadline=None)
@given(past=samples(), after=st.floats(0.00001, 5000), windows=st.lists(st.floats(1, 3 * DAY_SECONDS), max_size=3))
def test_windows_that_end_now(past: list[Sample], after: float, windows: list[float]) -> None:
    """Now is anywhere within a bucket, from the last sample on; a window begins with a bucket, and says so."""
    now = round(max((sample.at for sample in past), default=MIDNIGHT) + after, 6)
    named = {str(window): window for window in windows}
    (buckets,) = kept(past, now).rollups(["db"], uptime.earliest_needed(windows, now, 2)).values()
    for name, found in uptime.window_uptimes(buckets, named).items():
        assert found.since == (now - named[name]) // BUCKET_SECONDS * BUCKET_SECONDS
        assert found.until == now
        assert figures(found) == by_brute_force(past, found.since, now)
    days = uptime.daily_uptimes(buckets)
    assert days[-1][1].until == now
    for _, day in days:
        assert figures(day) == by_brute_force(past, day.since, day.until)


@settings(max_examples=40, deadline=None)
@given(past=samples())
def test_each_bucket(past: list[Sample]) -> None:
    """Count, least, mean and greatest of every series; incidents counted once, where they began."""
    end = MIDNIGHT + DAYS * DAY_SECONDS
    (buckets,) = kept(past, end).rollups(["db"], MIDNIGHT, end).values()
    assert sum(bucket.incidents for bucket in buckets) == brute.incidents(past, MIDNIGHT, end)
    for bucket in buckets:
        until = bucket.start + BUCKET_SECONDS
        for name in ("response_time_ms", "percent", "lag"):
            values = brute.measured(past, name, bucket.start, until)
            spread = bucket.series.get(name)
            assert (spread.count if spread else 0) == len(values)
            if spread and max(map(abs, values)) < 1e30:
                size = max(map(abs, values))
                assert spread.low == pytest.approx(min(values), rel=1e-6, abs=1e-30)
                assert spread.high == pytest.approx(max(values), rel=1e-6, abs=1e-30)
                assert spread.mean == pytest.approx(sum(values) / len(values), rel=1e-6, abs=1e-6 * size + 1e-30)


def test_words() -> None:
    """Twenty minutes: up, then down twice with a repair in between, then nobody looks."""
    past = [
        Sample(MIDNIGHT, Status.OK, MIDNIGHT + 900),
        Sample(MIDNIGHT + 300, Status.ERROR, MIDNIGHT + 900),
        Sample(MIDNIGHT + 360, Status.WARNING, MIDNIGHT + 900),
        Sample(MIDNIGHT + 420, Status.ERROR, MIDNIGHT + 480),
        Sample(MIDNIGHT + 600, Status.ERROR, MIDNIGHT + 660),
    ]
    found = uptime.uptime(kept(past, MIDNIGHT + 1200).rollups(["db"], MIDNIGHT)["db"])
    assert found.seconds == {"ok": 300, "warning": 60, "error": 180, "unknown": 0, "unobserved": 660}
    assert found.availability == pytest.approx(360 / 540)
    assert (found.incidents, found.mttr_seconds, found.mtbf_seconds) == (2, 90, 180)


def test_nothing_was_observed() -> None:
    """All of it is unobserved, and no figure is made of nothing."""
    found = uptime.uptime(kept([], MIDNIGHT + 600).rollups(["db"], MIDNIGHT)["db"])
    assert (found.unobserved, found.availability, found.incidents) == (600, None, 0)
    assert (found.mttr_seconds, found.mtbf_seconds) == (None, None)


def test_an_outage_that_began_before_the_window() -> None:
    """It is an incident of the window too: there was one going on."""
    past = [Sample(MIDNIGHT + 10 * number, Status.ERROR, MIDNIGHT + 10 * number + 30) for number in range(120)]
    buckets = kept(past, MIDNIGHT + 1200).rollups(["db"], MIDNIGHT)["db"]
    assert [bucket.incidents for bucket in buckets] == [1, 0, 0, 0]
    assert [bucket.goes_on for bucket in buckets] == [False, True, True, True]
    assert uptime.uptime(buckets, MIDNIGHT + 600).incidents == 1


def test_dates_are_utc() -> None:
    """A day's bar is named after its UTC date; the last one is today's, as far as it has got."""
    past = [Sample(MIDNIGHT + DAY_SECONDS - 60, Status.OK, MIDNIGHT + DAY_SECONDS + 60)]
    buckets = kept(past, MIDNIGHT + DAY_SECONDS + 600).rollups(["db"], MIDNIGHT)["db"]
    assert [(date, day.ok, day.unobserved) for date, day in uptime.daily_uptimes(buckets)] == [
        ("2025-12-27", 60, DAY_SECONDS - 60),
        ("2025-12-28", 60, 540),
    ]
