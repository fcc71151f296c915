"""Reading of history from Redis or Valkey.

The keys are described in `monitor.store.retention`, the writing in `compaction`, the reasons in docs/decisions/0012.
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
class _Kept:
    """The stored days of a check, by day number. ``tail`` is the last sample before them.

    ``is_incomplete`` is True when samples wait for a day of which only the digest was read.
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
        """Return the check's samples in [since, until), preceded by the one that is still valid at ``since``.

        Only the series in ``names`` (all when None) are unpacked, which is most of the work. Raise StoreUnavailable.
        """
        now, (hours,) = self._hours([check], since, until, names)
        return merge(hours).only(names).holding(since, now if until is None else until)

    def latest(self, checks: Iterable[str], at: float) -> dict[str, Sample]:
        """Return each check's last sample at or before ``at``, unless it has expired. Raise StoreUnavailable."""
        found = {}
        names = list(checks)
        for start in range(0, len(names), CHECKS_PER_SCRIPT):
            batch = names[start : start + CHECKS_PER_SCRIPT]
            _, answers = self._hours(batch, at, at)
            for check, hours in zip(batch, answers, strict=True):
                before = merge(hours).within(at - HOLD_SECONDS, at + 1e-6)
                if before:
                    found[check] = before[-1]
        return found

    def rollups(self, checks: Iterable[str], since: float, until: float | None = None) -> dict[str, Buckets]:
        """Return each check's buckets from the one of ``since`` on, up to ``until`` or now. Raise StoreUnavailable."""
        found: dict[str, Buckets] = {}
        last = "" if until is None else int(until // DAY_SECONDS)
        for check, clock, kept in self._rolled_up(checks, int(since // DAY_SECONDS), last):
            found[check] = join_days(kept.ordered, kept.tail, since, clock if until is None else until)
        return found

    def uptimes(self, checks: Iterable[str], spans: Mapping[str, float], day_count: int) -> dict[str, Uptimes]:
        """Return the uptime figures for windows that end now, and for UTC days. Raise StoreUnavailable.

        Digests are enough for most days. Blocks are read for today and for the days in which windows begin.
        """
        names, now = list(checks), self._connection.now()
        since = max(earliest_needed([*spans.values(), 0.0], now, day_count), now - MAX_SPAN_SECONDS)
        first, today = int(since // DAY_SECONDS), int(now // DAY_SECONDS)
        window_days = {int((now - span) // DAY_SECONDS) for span in spans.values()} | {today}
        found: dict[str, Uptimes] = {}
        for check, _, kept in self._rolled_up(names, first, today, window_days):
            if kept.is_incomplete:
                (buckets,) = self.rollups([check], since, now).values()
                found[check] = uptimes(buckets, spans, day_count)
            else:
                found[check] = _combined_uptimes(kept, spans, day_count, first, now)
        return found

    def reaches(self) -> HistoryBounds:
        """Return how far back samples and roll-ups reach. Raise StoreUnavailable.

        The index has only hours and days. For the very first hour and day, return the time of the first sample.
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
        raw_since = _within(begins, oldest, HOUR_SECONDS)
        return HistoryBounds(raw_since, raw_since if day is None else _within(begins, day, DAY_SECONDS))

    def _hours(
        self, checks: Sequence[str], since: float, until: float | None, series: Collection[str] | None = None
    ) -> tuple[float, list[list[Samples]]]:
        """Return the time, and each check's samples by hour, from ``since`` to ``until``.

        The last hour before ``since`` that has samples is included, unless it is too old.
        """
        first, last = int(since // HOUR_SECONDS), "" if until is None else int(until // HOUR_SECONDS)
        arguments: list[Argument] = [self._names.prefix, LIMIT_BYTES, first, last, HOURS_BACK, *checks]
        clock, *answers = self._connection.run("history_samples", [self._names.open, self._names.raw], arguments)
        return int(clock) / 1e6, [_hours_of(answer, series) for answer in answers]

    def _rolled_up(
        self, checks: Iterable[str], first: int, last: int | str, block_days: Collection[int] | None = None
    ) -> Iterator[tuple[str, float, _Kept]]:
        """Yield each check with the time and its days from ``first`` to ``last``.

        Blocks are read for the days in ``block_days``, for all when None; of other days only the digests.
        """
        names = list(checks)
        day_list = "" if block_days is None else f",{','.join(map(str, block_days))},"
        for start in range(0, len(names), CHECKS_PER_SCRIPT):
            batch = names[start : start + CHECKS_PER_SCRIPT]
            arguments = [self._names.prefix, LIMIT_BYTES, DIGEST_BYTES, first, last, DAYS_BACK, day_list, *batch]
            keys = [self._names.open, self._names.roll]
            clock, *answers = self._connection.run("history_rollups", keys, arguments)
            for check, answer in zip(batch, answers, strict=True):
                yield check, int(clock) / 1e6, self._kept(check, first, block_days, answer)

    def _kept(self, check: str, first: int, block_days: Container[int] | None, answer: list[Any]) -> _Kept:
        tail_day, raw_digest, blocks, hours = answer
        before = decode_digest(raw_digest, int(tail_day) * DAY_SECONDS) if tail_day else None
        kept = _Kept(before.tail if before else None)
        for number, raw in zip(map(int, blocks[::2]), blocks[1::2], strict=True):
            digest, day = decode_digest(raw, number * DAY_SECONDS), None
            if block_days is None or number in block_days:
                day = decode_day(raw, number * DAY_SECONDS, with_series=block_days is None)
                digest = digest if day else None
            if day is not None:
                kept.days[number] = day
            if digest is not None:
                kept.digests[number] = digest
        for hour, has_raw, lines in sorted(zip(map(int, hours[::3]), hours[1::3], hours[2::3], strict=True)):
            samples = _within_hour(gather(decode_lines(lines)), hour)
            if not samples:
                continue
            number = hour * HOUR_SECONDS // DAY_SECONDS
            if number < first:
                last = LastSample(samples.codes[-1], samples.at[-1], samples.until[-1])
                kept.tail = max(kept.tail or last, last, key=lambda each: each.at)
            elif block_days is None or number in block_days:
                day = kept.days.get(number) or empty_day(number * DAY_SECONDS)
                kept.days[number] = day = self._with_waiting(check, day, samples, has_raw)
                if block_days is not None and day.heads:
                    kept.digests[number] = digest_of(day)
            else:
                kept.is_incomplete = True
        return kept

    def _with_waiting(self, check: str, day: RollupDay, samples: Samples, has_raw: int) -> RollupDay:
        hour = int(samples[0].at // HOUR_SECONDS)
        added = append_samples(day, samples) if hour % 24 in day.heads or not has_raw else None
        if added is None and has_raw:
            # Late samples, or a lost block of roll-ups: compute what the next compaction will write.
            _, (hours,) = self._hours([check], hour * HOUR_SECONDS, hour * HOUR_SECONDS)
            added = add_waiting_samples(day, _within_hour(merge(hours), hour), samples)
        return day if added is None else added


def _within(moment: float | None, start: float | None, seconds: float) -> float | None:
    """Return the moment if it lies in the ``seconds`` after ``start``, else ``start``."""
    is_within = moment is not None and start is not None and start <= moment < start + seconds
    return moment if is_within else start


def _combined_uptimes(kept: _Kept, spans: Mapping[str, float], day_count: int, first: int, now: float) -> Uptimes:
    """Compute uptimes from the digests of entire days, and from the blocks of today and of windows' first days."""
    today = int(now // DAY_SECONDS)
    days = day_segments(kept.digests, kept.tail, first, today)

    def from_moment(since: float) -> list[UptimeSegment]:
        number = int(since // DAY_SECONDS)
        before = max((at for at in kept.digests if at < number), default=None)
        tail = kept.tail if before is None else kept.digests[before].tail
        until = min(now, (number + 1) * DAY_SECONDS)
        buckets = join_days([kept.days[number]] if number in kept.days else [], tail, since, until)
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
