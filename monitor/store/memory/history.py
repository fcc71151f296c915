"""History in memory. It stores only samples, and computes buckets and uptimes for each request."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping

from monitor.history.buckets import Buckets
from monitor.history.joining import join_days
from monitor.history.rollups import empty_day, replace_hours
from monitor.history.samples import DAY_SECONDS, HOLD_SECONDS, Sample, Samples, gather, micros
from monitor.history.uptime import Uptimes, earliest_needed, uptimes
from monitor.ports.history import CompactionResult, HistoryBounds


class MemoryHistory:
    """A :class:`monitor.ports.history.History` in this process, which keeps samples for ``seconds``."""

    def __init__(self, clock: Callable[[], float], seconds: float = 90 * DAY_SECONDS) -> None:
        self._clock, self._seconds = clock, seconds
        self._kept: dict[str, list[Sample]] = {}

    def add(self, check: str, samples: Iterable[Sample]) -> None:
        """Add samples of a check."""
        self._kept.setdefault(check, []).extend(samples)

    def forget(self, checks: Iterable[str]) -> None:
        """Delete all samples of these checks."""
        for check in checks:
            self._kept.pop(check, None)

    def samples(
        self, check: str, since: float, until: float | None = None, names: Collection[str] | None = None
    ) -> Samples:
        """Return the check's samples in [since, until). An earlier one that is valid at ``since`` is returned first."""
        return self._samples(check).only(names).holding(since, self._clock() if until is None else until)

    def rollups(self, checks: Iterable[str], since: float, until: float | None = None) -> dict[str, Buckets]:
        """Return each check's buckets, computed from its samples."""
        until = self._clock() if until is None else until
        return {check: _rolled_up(self._samples(check), since, until) for check in checks}

    def uptimes(self, checks: Iterable[str], spans: Mapping[str, float], day_count: int) -> dict[str, Uptimes]:
        """Return the uptime figures for windows that end now, and for UTC days."""
        now = self._clock()
        since = earliest_needed([*spans.values(), 0.0], now, day_count)
        return {name: uptimes(each, spans, day_count) for name, each in self.rollups(checks, since, now).items()}

    def latest(self, checks: Iterable[str], at: float) -> dict[str, Sample]:
        """Return each check's last sample in the two days before ``at``."""
        found = {}
        for check in checks:
            samples = self._samples(check)
            place = bisect_right(samples.at, micros(at))
            if place and samples.at[place - 1] > micros(at - HOLD_SECONDS):
                found[check] = samples[place - 1]
        return found

    def reaches(self) -> HistoryBounds:
        """Return the time of the oldest sample as the beginning of samples and of roll-ups."""
        oldest = min((sample.at for samples in self._kept.values() for sample in samples), default=None)
        return HistoryBounds(oldest, oldest)

    def compact(self, now: float) -> CompactionResult:
        """Delete the samples that are older than the retention."""
        for check, samples in self._kept.items():
            self._kept[check] = [sample for sample in samples if sample.at >= now - self._seconds]
        return CompactionResult()

    def _samples(self, check: str) -> Samples:
        return gather(self._kept.get(check, ()))


def _rolled_up(samples: Samples, since: float, until: float) -> Buckets:
    days = []
    place = 0
    while place < len(samples):
        start = int(samples[place].at // DAY_SECONDS) * DAY_SECONDS
        samples_of_day = samples.within(start, start + DAY_SECONDS)
        days.append(replace_hours(empty_day(start), samples_of_day))
        place += len(samples_of_day)
    return join_days(days, None, since, until)
