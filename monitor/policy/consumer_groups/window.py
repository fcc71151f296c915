"""Window over the observations of a group: minima, maxima and rates. Observations may be late or missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measurement import WindowedValue
from monitor.policy.consumer_groups.memory import (
    SUSTAINED_PIECES,
    WINDOW_BUCKETS,
    GroupMemory,
    RecentValues,
    WindowBucket,
)

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class WindowEntry:
    """Values that one observation adds to the window.

    ``consumed`` and ``produced`` are the numbers of messages since the previous observation. ``busy`` is true if
    records waited at the previous observation.
    """

    skew: float | None
    consumers: int | None
    rebalancing: bool = False
    consumed: int = 0
    produced: int = 0
    busy: bool = False


def is_interrupted(memory: GroupMemory, now: float, limits: Limits) -> bool:
    """Return whether observations before ``now`` are missing. All conditions and standstills then begin again.

    The limit depends on the usual interval, so a long interval alone is not an interruption.
    """
    return now - memory.observed_at > max(2 * limits.sustained_seconds, 3 * memory.usual_interval_seconds)


def is_gap(memory: GroupMemory, now: float, limits: Limits) -> bool:
    """Return whether observations are missing for so long that the window begins again."""
    return now - memory.observed_at > max(limits.window_seconds, 3 * memory.usual_interval_seconds)


def usual_interval(memory: GroupMemory, now: float) -> float:
    """Return the usual time between two observations: the time since the last one, at most twice the stored value."""
    passed = round(now - memory.observed_at, 1)
    return min(passed, 2 * memory.usual_interval_seconds) if memory.usual_interval_seconds else passed


def add_entry(memory: GroupMemory, entry: WindowEntry, now: float, limits: Limits) -> GroupMemory:
    """Return the memory with a new entry, and without the entries that are older than the window."""
    recent = _next_recent(memory.recent, entry, now, limits)
    return replace(memory, recent=recent, buckets=_next_buckets(memory, recent, entry, now, limits))


def forget_consumer_counts(memory: GroupMemory) -> GroupMemory:
    """Return the memory without numbers of consumers.

    Used when the group has enough consumers for the first time, so that earlier numbers are not judged.
    """
    recent = tuple(each._replace(consumers=None) for each in memory.recent)
    buckets = tuple(each._replace(consumers_worst=None, consumers_held=None) for each in memory.buckets)
    return replace(memory, recent=recent, buckets=buckets)


def windowed_skew(memory: GroupMemory, now: float | None) -> WindowedValue:
    """Return the skew with its maximum over the window."""
    buckets = memory.buckets
    return WindowedValue(
        now, _extreme(max, (b.skew_worst for b in buckets)), _extreme(max, (b.skew_held for b in buckets))
    )


def windowed_consumers(memory: GroupMemory, now: int | None) -> WindowedValue:
    """Return the number of consumers with its minimum over the window."""
    worst = _extreme(min, (bucket.consumers_worst for bucket in memory.buckets))
    return WindowedValue(now, worst, _extreme(min, (bucket.consumers_held for bucket in memory.buckets)))


def rates(memory: GroupMemory, now: float, limits: Limits) -> tuple[float, float] | None:
    """Return the messages consumed and produced per second, over the window.

    None until half of the window has been observed. In a shorter period the rate is not reliable, because a consumer
    may commit only once a minute.
    """
    if not memory.buckets:
        return None
    seconds = now - memory.buckets[0].since
    if seconds < max(1.0, limits.window_seconds / 2):
        return None
    consumed = sum(bucket.consumed for bucket in memory.buckets)
    return consumed / seconds, sum(bucket.produced for bucket in memory.buckets) / seconds


def drain_rate(memory: GroupMemory, limits: Limits) -> float | None:
    """Return the messages consumed per second, over the time in the window in which records waited.

    Time in which no records waited does not count, so a group that is idle for most of the window is not slow. None
    until records have waited for a tenth of the window.
    """
    busy = sum(bucket.busy for bucket in memory.buckets)
    if busy < max(1.0, limits.window_seconds / 10):
        return None
    return sum(bucket.drained for bucket in memory.buckets) / busy


def rebalancing_share(memory: GroupMemory, now: float, limits: Limits) -> float:
    """Return the share of the observations in the last ``rebalancing_after_seconds`` that found a rebalance.

    0 if the observations do not cover this period, or if the last rebalance is more than ``sustained_seconds`` ago.
    """
    period, last_rebalance = limits.rebalancing_after_seconds, memory.rebalanced_at
    if last_rebalance is None or now - last_rebalance > limits.sustained_seconds:
        return 0.0
    buckets = [bucket for bucket in memory.buckets if bucket.end >= now - period]
    if not buckets or buckets[0].since > now - period:
        return 0.0
    return sum(bucket.rebalancing for bucket in buckets) / sum(bucket.observations for bucket in buckets)


def _next_recent(
    before: tuple[RecentValues, ...], entry: WindowEntry, now: float, limits: Limits
) -> tuple[RecentValues, ...]:
    last = before[-1] if before else None
    if last is not None and now - last.start < limits.sustained_seconds / SUSTAINED_PIECES:
        skew, consumers = _extreme(min, (last.skew, entry.skew)), _extreme(max, (last.consumers, entry.consumers))
        values = [*before[:-1], RecentValues(last.start, skew, consumers)]
    else:
        values = [*before, RecentValues(now, entry.skew, entry.consumers)]
    while len(values) > 1 and values[1].start <= now - limits.sustained_seconds:
        del values[0]  # the next entry is old enough to be the first one of the period
    return tuple(values)


def _next_buckets(
    memory: GroupMemory, recent: tuple[RecentValues, ...], entry: WindowEntry, now: float, limits: Limits
) -> tuple[WindowBucket, ...]:
    kept = [bucket for bucket in memory.buckets if bucket.end >= now - limits.window_seconds]
    if not kept or now - kept[-1].start >= limits.window_seconds / WINDOW_BUCKETS:
        kept.append(WindowBucket(memory.observed_at, now, now, 0, 0, 0, 0))
    covers_period = recent[0].start <= now - limits.sustained_seconds
    skews = [each.skew for each in recent] if covers_period and entry.skew is not None else []
    counts = [each.consumers for each in recent] if covers_period and entry.consumers is not None else []
    last = kept[-1]
    kept[-1] = WindowBucket(
        since=last.since,
        start=last.start,
        end=now,
        observations=last.observations + 1,
        rebalancing=last.rebalancing + entry.rebalancing,
        consumed=last.consumed + entry.consumed,
        produced=last.produced + entry.produced,
        busy=round(last.busy + (now - memory.observed_at if entry.busy else 0.0), 1),
        drained=last.drained + (entry.consumed if entry.busy else 0),
        skew_worst=_extreme(max, (last.skew_worst, entry.skew)),
        skew_held=_extreme(max, (last.skew_held, _extreme(min, skews))),
        consumers_worst=_extreme(min, (last.consumers_worst, entry.consumers)),
        consumers_held=_extreme(min, (last.consumers_held, _extreme(max, counts))),
    )
    return tuple(kept)


def _extreme(choose: Callable[[Iterable[N]], N], values: Iterable[N | None]) -> N | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None
