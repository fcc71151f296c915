"""Reader of history in Redis or Valkey.

The keys are described in `monitor.store.retention`. The module `compaction` writes the blocks. For the reasons see
docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.history.blocks import DIGEST_BYTES, decode_day, decode_digest, decode_samples
from monitor.history.buckets import Buckets
from monitor.history.joining import MAX_SPAN_SECONDS, digest_of, join_days
from monitor.history.packing import LIMIT_BYTES
from monitor.history.rollups import Digest, LastSample, RollupDay, add_waiting_samples, append_samples, empty_day
from monitor.history.samples import (
    BUCKET_SECONDS,
    DAY_SECONDS,
    HOLD_SECONDS,
    HOUR_SECONDS,
    MICRO,
    Sample,
    Samples,
    gather,
    merge,
)
from monitor.history.uptime import (
    Uptimes,
    UptimeSegment,
    combine,
    date_of,
    day_segments,
    earliest_needed,
    segment,
    uptimes,
)
from monitor.ports.history import HistoryBounds
from monitor.store.redis.compaction import Compactor
from monitor.store.redis.connection import Argument
from monitor.store.retention import decode_lines

CHECKS_PER_SCRIPT = 25  # a script blocks the server for a few milliseconds at most
HOURS_BACK = HOLD_SECONDS // HOUR_SECONDS
DAYS_BACK = HOLD_SECONDS // DAY_SECONDS


@dataclass
class _StoredDays:
    """The roll-ups of a check, by day number, with the samples that are not packed yet.

    - ``tail`` is the last sample before the first day.
    - ``days`` are the days whose blocks were read, ``digests`` are the days whose digests were read.
    - ``is_incomplete`` is True when a day has unpacked samples but only its digest was read.
    """

    tail: LastSample | None
    days: dict[int, RollupDay] = field(default_factory=dict)
    digests: dict[int, Digest] = field(default_factory=dict)
    is_incomplete: bool = False

    @property
    def ordered(self) -> list[RollupDay]:
        """Return the days in order."""
        return [self.days[number] for number in sorted(self.days)]


class RedisHistory(Compactor):
    """A :class:`monitor.ports.history.History` over the store's connection."""

    def samples(
        self, check: str, since: float, until: float | None = None, names: Collection[str] | None = None
    ) -> Samples:
        """Return the check's samples in [since, until). An earlier one that is valid at ``since`` is returned first.

        Only the series in ``names`` are included, all when None. Fewer series cost less: unpacking them is most of the
        work. Raise StoreUnavailable.
        """
        now, (hours,) = self._read_hours([check], since, until, names)
        return merge(hours).only(names).holding(since, now if until is None else until)

    def latest(self, checks: Iterable[str], at: float) -> dict[str, Sample]:
        """Return each check's last sample in the two days before ``at``. Raise StoreUnavailable."""
        found = {}
        names = list(checks)
        for start in range(0, len(names), CHECKS_PER_SCRIPT):
            batch = names[start : start + CHECKS_PER_SCRIPT]
            _, answers = self._read_hours(batch, at, at)
            for check, hours in zip(batch, answers, strict=True):
                before = merge(hours).within(at - HOLD_SECONDS, at + 1e-6)
                if before:
                    found[check] = before[-1]
        return found

    def rollups(self, checks: Iterable[str], since: float, until: float | None = None) -> dict[str, Buckets]:
        """Return each check's buckets from ``since`` to ``until``, or to the current time. Raise StoreUnavailable."""
        found: dict[str, Buckets] = {}
        last = "" if until is None else int(until // DAY_SECONDS)
        for check, now, stored in self._read_days(checks, int(since // DAY_SECONDS), last):
            found[check] = join_days(stored.ordered, stored.tail, since, now if until is None else until)
        return found

    def uptimes(self, checks: Iterable[str], spans: Mapping[str, float], day_count: int) -> dict[str, Uptimes]:
        """Return the uptime figures for windows that end now, and for UTC days. Raise StoreUnavailable.

        The blocks of today and of the days in which windows begin are read. For the other days the digests are enough.
        """
        names, now = list(checks), self._connection.now()
        since = max(earliest_needed([*spans.values(), 0.0], now, day_count), now - MAX_SPAN_SECONDS)
        first, today = int(since // DAY_SECONDS), int(now // DAY_SECONDS)
        window_days = {int((now - span) // DAY_SECONDS) for span in spans.values()} | {today}
        found: dict[str, Uptimes] = {}
        for check, _, stored in self._read_days(names, first, today, window_days):
            if stored.is_incomplete:
                (buckets,) = self.rollups([check], since, now).values()
                found[check] = uptimes(buckets, spans, day_count)
            else:
                found[check] = _combined_uptimes(stored, spans, day_count, first, now)
        return found

    def reaches(self) -> HistoryBounds:
        """Return the times at which samples and roll-ups begin. Raise StoreUnavailable.

        The index contains only the hour and the day of a block. If the first sample can be read, return its time.
        """
        names = self._names
        keys = [names.open, names.raw, names.roll, names.blocks]
        answer = self._connection.run("history_reaches", keys, [names.prefix, DIGEST_BYTES])
        raw, roll, waiting, _, digests, lines = answer
        hours = [int(hour) for hour in (raw, waiting) if hour]
        oldest = min(hours) * HOUR_SECONDS if hours else None
        day = int(roll) * DAY_SECONDS if roll else None
        first_at = (
            [] if day is None else [found.first_at / MICRO for raw in digests if (found := decode_digest(raw, day))]
        )
        first_at += [sample.at for sample in decode_lines(lines)]
        begins = min(first_at, default=None)
        raw_since = _time_in_first(begins, oldest, HOUR_SECONDS)
        return HistoryBounds(raw_since, raw_since if day is None else _time_in_first(begins, day, DAY_SECONDS))

    def _read_hours(
        self, checks: Sequence[str], since: float, until: float | None, series: Collection[str] | None = None
    ) -> tuple[float, list[list[Samples]]]:
        """Return the store's time, and each check's samples by hour, from ``since`` to ``until``.

        The last hour with samples before ``since`` is included, if it is one of the ``HOURS_BACK`` hours before.
        """
        first, last = int(since // HOUR_SECONDS), "" if until is None else int(until // HOUR_SECONDS)
        arguments: list[Argument] = [self._names.prefix, LIMIT_BYTES, first, last, HOURS_BACK, *checks]
        clock, *answers = self._connection.run("history_samples", [self._names.open, self._names.raw], arguments)
        return int(clock) / 1e6, [_hours_of(answer, series) for answer in answers]

    def _read_days(
        self, checks: Iterable[str], first: int, last: int | str, block_days: Collection[int] | None = None
    ) -> Iterator[tuple[str, float, _StoredDays]]:
        """Yield each check with the store's time and the check's days from ``first`` to ``last``.

        Blocks are read for the days in ``block_days``, or for all days when None. For other days digests are read.
        """
        names = list(checks)
        day_list = "" if block_days is None else f",{','.join(map(str, block_days))},"
        for start in range(0, len(names), CHECKS_PER_SCRIPT):
            batch = names[start : start + CHECKS_PER_SCRIPT]
            arguments = [self._names.prefix, LIMIT_BYTES, DIGEST_BYTES, first, last, DAYS_BACK, day_list, *batch]
            keys = [self._names.open, self._names.roll]
            clock, *answers = self._connection.run("history_rollups", keys, arguments)
            for check, answer in zip(batch, answers, strict=True):
                yield check, int(clock) / 1e6, self._stored_days(check, first, block_days, answer)

    def _stored_days(self, check: str, first: int, block_days: Container[int] | None, answer: list[Any]) -> _StoredDays:
        tail_day, raw_digest, blocks, hours = answer
        before = decode_digest(raw_digest, int(tail_day) * DAY_SECONDS) if tail_day else None
        stored = _StoredDays(before.tail if before else None)
        for number, raw in zip(map(int, blocks[::2]), blocks[1::2], strict=True):
            digest, day = decode_digest(raw, number * DAY_SECONDS), None
            if block_days is None or number in block_days:
                day = decode_day(raw, number * DAY_SECONDS, with_series=block_days is None)
                digest = digest if day else None
            if day is not None:
                stored.days[number] = day
            if digest is not None:
                stored.digests[number] = digest
        for hour, has_raw, lines in sorted(zip(map(int, hours[::3]), hours[1::3], hours[2::3], strict=True)):
            samples = _within_hour(gather(decode_lines(lines)), hour)
            if not samples:
                continue
            number = hour * HOUR_SECONDS // DAY_SECONDS
            if number < first:
                last = LastSample(samples.codes[-1], samples.at[-1], samples.until[-1])
                stored.tail = max(stored.tail or last, last, key=lambda each: each.at)
            elif block_days is None or number in block_days:
                day = stored.days.get(number) or empty_day(number * DAY_SECONDS)
                stored.days[number] = day = self._with_unpacked(check, day, samples, has_raw)
                if block_days is not None and day.heads:
                    stored.digests[number] = digest_of(day)
            else:
                stored.is_incomplete = True
        return stored

    def _with_unpacked(self, check: str, day: RollupDay, samples: Samples, has_raw: int) -> RollupDay:
        hour = int(samples[0].at // HOUR_SECONDS)
        added = append_samples(day, samples) if hour % 24 in day.heads or not has_raw else None
        if added is None and has_raw:
            # The samples are late, or the block of roll-ups was lost. Compute what the next compaction will write.
            _, (hours,) = self._read_hours([check], hour * HOUR_SECONDS, hour * HOUR_SECONDS)
            added = add_waiting_samples(day, _within_hour(merge(hours), hour), samples)
        return day if added is None else added


def _time_in_first(moment: float | None, start: float | None, seconds: float) -> float | None:
    """Return ``moment`` if it is less than ``seconds`` after ``start``, else ``start``."""
    is_within = moment is not None and start is not None and start <= moment < start + seconds
    return moment if is_within else start


def _combined_uptimes(
    stored: _StoredDays, spans: Mapping[str, float], day_count: int, first: int, now: float
) -> Uptimes:
    """Return the uptimes, computed from the blocks of today and of the windows' first days, else from digests."""
    today = int(now // DAY_SECONDS)
    days = day_segments(stored.digests, stored.tail, first, today)

    def from_moment(since: float) -> list[UptimeSegment]:
        number = int(since // DAY_SECONDS)
        before = max((at for at in stored.digests if at < number), default=None)
        tail = stored.tail if before is None else stored.digests[before].tail
        until = min(now, (number + 1) * DAY_SECONDS)
        buckets = join_days([stored.days[number]] if number in stored.days else [], tail, since, until)
        return [segment(buckets, since, until + BUCKET_SECONDS), *days[number + 1 - first :]]

    current = from_moment(today * DAY_SECONDS) if now > today * DAY_SECONDS else []
    found = {}
    for name, span in spans.items():
        since = max(now - span, now - MAX_SPAN_SECONDS)
        is_of_today = since >= today * DAY_SECONDS
        found[name] = combine(from_moment(since) if is_of_today else [*from_moment(since), *current])
    bars = [combine([day]) for day in [*days, *current]][-day_count:] if day_count else []
    return Uptimes(found, [(date_of(bar.since), bar) for bar in bars])


def _hours_of(answer: list[Any], series: Collection[str] | None) -> list[Samples]:
    found = []
    for hour, block, lines in zip(map(int, answer[::3]), answer[1::3], answer[2::3], strict=True):
        parts = [samples for samples in (decode_samples(block, series), gather(decode_lines(lines))) if samples]
        found.append(_within_hour(merge(parts), hour))
    return found


def _within_hour(samples: Samples, hour: int) -> Samples:
    return samples.within(hour * HOUR_SECONDS, (hour + 1) * HOUR_SECONDS)
