"""Points of a chart of a check's past: values at a fixed step, computed from samples or from roll-ups."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, isnan
from operator import mul

from monitor.history.buckets import Buckets, Spreads
from monitor.history.samples import BUCKET_SECONDS, STATUSES, Samples, micros
from monitor.model.checks import Status

MAX_POINTS = 2000
USUAL_POINTS = 500
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Steps in seconds that are chosen if the client requests none."""

_UNITS = (  # the first match counts
    ("_ms", "ms"),
    ("_seconds", "s"),
    ("_percent", "%"),
    ("percent", "%"),
    ("_mb", "MiB"),
    ("_kb", "KiB"),
    ("_bytes", "B"),
    ("_ratio", "x"),
    ("_per_second", "/s"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """Requested period in epoch seconds. ``step`` is the number of seconds between two points.

    If ``step`` is None, `choose_scale` chooses it.
    """

    since: float
    until: float
    step: float | None = None


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Times of the points: every ``step`` seconds from ``since`` to ``until``. ``since`` is a multiple of ``step``.

    If ``raw`` is true, the points are computed from samples, else from roll-ups.
    """

    since: float
    until: float
    step: float
    raw: bool

    @property
    def resolution(self) -> str:
        """Return ``raw`` if the points are computed from samples, ``5m`` if from roll-ups."""
        return "raw" if self.raw else "5m"

    @property
    def times(self) -> list[float]:
        """Return the start of each point, in epoch seconds."""
        return [self.since + self.step * place for place in range(ceil((self.until - self.since) / self.step))]


@dataclass(frozen=True, slots=True)
class Curve:
    """Minimum, mean and maximum of one series at each point. None at a point without values."""

    unit: str
    low: list[float | None]
    mean: list[float | None]
    high: list[float | None]


@dataclass(frozen=True, slots=True)
class Curves:
    """Points of a check. ``status`` is the worst status that held within each point, None if no status held."""

    scale: TimeScale
    status: list[Status | None]
    series: dict[str, Curve] = field(default_factory=dict)


def choose_scale(since: float, until: float, *, step: float | None = None, raw_since: float | None) -> TimeScale:
    """Return the scale for a period.

    1. The step is ``step``. If it is None, it is the shortest step with at most ``USUAL_POINTS`` points.
    2. If the step gives more than ``MAX_POINTS`` points, a longer step is used.
    3. If the step is shorter than five minutes and the samples reach back to ``since``, samples are used. ``raw_since``
       is the time of the oldest sample.
    4. Otherwise roll-ups are used, and the step is rounded up to a multiple of five minutes.
    """
    chosen_step = step or next(
        (each for each in STEPS if (until - since) / each <= USUAL_POINTS), _day_step(since, until)
    )
    least = (until - since) / (MAX_POINTS - 1)  # the first point may begin before the period
    if chosen_step < least:
        chosen_step = next((each for each in STEPS if each >= least), _day_step(since, until))
    raw = chosen_step < BUCKET_SECONDS and raw_since is not None and since >= raw_since
    if not raw:
        chosen_step = ceil(chosen_step / BUCKET_SECONDS) * BUCKET_SECONDS
    return TimeScale(since // chosen_step * chosen_step, until, chosen_step, raw)


def sparkline_scale(count: int, since: float, until: float) -> TimeScale:
    """Return the scale of a sparkline: at most ``count`` points, from roll-ups."""
    step = max(1, ceil((until - since) / max(1, count - 1) / BUCKET_SECONDS)) * BUCKET_SECONDS
    return TimeScale(since // step * step, until, step, raw=False)


def curves_of_samples(samples: Samples, scale: TimeScale, names: Iterable[str] | None = None) -> Curves:
    """Return the curves of samples. ``samples`` must be the result of `Samples.holding` for the period of the scale.

    ``names`` are the series to return, None for all.
    """
    begins = [micros(time) for time in (*scale.times, scale.until)]
    times = samples.at.tolist()
    edges = [bisect_left(times, begin) for begin in begins]
    status: list[Status | None] = []
    codes = samples.codes
    for begin, (first, last) in zip(begins, pairwise(edges), strict=False):
        first_holding = samples.first_holding(first, begin)
        status.append(STATUSES[max(codes[first_holding:last])] if first_holding < last else None)
    chosen = samples.series if names is None else {n: samples.series[n] for n in names if n in samples.series}
    return Curves(scale, status, {name: _curve_of_column(name, column, edges) for name, column in chosen.items()})


def curves_of_buckets(buckets: Buckets, scale: TimeScale, names: Iterable[str] | None = None) -> Curves:
    """Return the curves of buckets. The step of the scale must be a multiple of ``BUCKET_SECONDS``.

    ``names`` are the series to return, None for all.
    """
    places = _places(buckets, scale)
    chosen = buckets.series if names is None else {n: buckets.series[n] for n in names if n in buckets.series}
    curves = {name: _curve_of_spreads(name, spreads, places) for name, spreads in chosen.items()}
    return Curves(scale, _worst_statuses(buckets, places), curves)


def sparkline_values(buckets: Buckets, scale: TimeScale, name: str) -> tuple[list[Status | None], list[float | None]]:
    """Return the status and the mean of one series at each point.

    This is faster than :func:`curves_of_buckets`, which also computes minima and maxima.
    """
    places = _places(buckets, scale)
    spreads = buckets.series.get(name)
    return _worst_statuses(buckets, places), [None] * len(scale.times) if spreads is None else list(
        _means(spreads, places)
    )


def unit_of(name: str) -> str:
    """Return the unit of a series, which the end of its name determines. Empty if the number has no unit."""
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def _curve_of_column(name: str, column: array[float], edges: Sequence[int]) -> Curve:
    curve = Curve(unit_of(name), [], [], [])
    is_complete = not any(map(isnan, column))
    values = column.tolist()
    low, mean, high = curve.low.append, curve.mean.append, curve.high.append
    for first, last in pairwise(edges):
        found = values[first:last]
        if not is_complete:
            found = [value for value in found if not isnan(value)]
        if found:
            low(min(found))
            mean(sum(found) / len(found))
            high(max(found))
        else:
            _append_none(curve)
    return curve


def _places(buckets: Buckets, scale: TimeScale) -> list[int]:
    return [*map(buckets.place, scale.times), len(buckets)]


def _worst_statuses(buckets: Buckets, places: Sequence[int]) -> list[Status | None]:
    found: list[Status | None] = [None] * (len(places) - 1)
    for status, column in zip(STATUSES, buckets.times, strict=True):
        if not any(column):
            continue
        for point, (first, last) in enumerate(pairwise(places)):
            if any(column[first:last]):
                found[point] = status
    return found


def _means(spreads: Spreads, places: Sequence[int]) -> Iterator[float | None]:
    for first, last in pairwise(places):
        counts = spreads.count[first:last]
        total = sum(counts)
        yield _seven_digits(sum(map(mul, counts, spreads.mean[first:last])) / total) if total else None


def _curve_of_spreads(name: str, spreads: Spreads, places: Sequence[int]) -> Curve:
    curve = Curve(unit_of(name), [], [*_means(spreads, places)], [])
    for mean, (first, last) in zip(curve.mean, pairwise(places), strict=True):
        is_empty = mean is None
        curve.low.append(None if is_empty else _seven_digits(min(spreads.low[first:last])))
        curve.high.append(None if is_empty else _seven_digits(max(spreads.high[first:last])))
    return curve


def _append_none(curve: Curve) -> None:
    curve.low.append(None)
    curve.mean.append(None)
    curve.high.append(None)


def _seven_digits(value: float) -> float:
    """Return the value rounded to seven digits. A roll-up has no more."""
    return float(f"{value:.7g}")


def _day_step(since: float, until: float) -> float:
    return ceil((until - since) / USUAL_POINTS / 86_400) * 86_400
