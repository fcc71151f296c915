"""Values over a window, computed from observations that may be late or missing."""

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

    ``consumed`` and ``produced`` count the messages since the previous observation. ``busy`` is true if records waited
    at that time.
    """

    skew: float | None
    consumers: int | None
    rebalancing: bool = False
    consumed: int = 0
    produced: int = 0
    busy: bool = False


def is_interrupted(memory: GroupMemory, now: float, limits: Limits) -> bool:
    """Return whether observations are missing, so that no condition or standstill can be assumed to have lasted.

    An interval that is always long is not an interruption.
    """
    return now - memory.observed_at > max(2 * limits.sustained_seconds, 3 * memory.usual_interval_seconds)


def is_gap(memory: GroupMemory, now: float, limits: Limits) -> bool:
    """Return whether observations are missing for so long that everything before the gap is ignored."""
    return now - memory.observed_at > max(limits.window_seconds, 3 * memory.usual_interval_seconds)


def usual_interval(memory: GroupMemory, now: float) -> float:
    """Return the usual number of seconds between two observations. A late observation at most doubles it."""
    passed = round(now - memory.observed_at, 1)
    return min(passed, 2 * memory.usual_interval_seconds) if memory.usual_interval_seconds else passed


def add_entry(memory: GroupMemory, entry: WindowEntry, now: float, limits: Limits) -> GroupMemory:
    """Return the memory with one more entry, and without the entries that have left the window."""
    recent = _recent(memory.recent, entry, now, limits)
    return replace(memory, recent=recent, buckets=_buckets(memory, recent, entry, now, limits))


def forget_consumer_counts(memory: GroupMemory) -> GroupMemory:
    """Return the memory without consumer counts. Used when the group reaches enough consumers for the first time."""
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

    None until half of the window has been observed. A shorter period has no meaning: a consumer may commit once a
    minute, and then a minute's work at once.
    """
    if not memory.buckets:
        return None
    seconds = now - memory.buckets[0].since
    if seconds < max(1.0, limits.window_seconds / 2):
        return None
    consumed = sum(bucket.consumed for bucket in memory.buckets)
    return consumed / seconds, sum(bucket.produced for bucket in memory.buckets) / seconds


def drain_rate(memory: GroupMemory, limits: Limits) -> float | None:
    """Return the messages consumed per second while others waited, within the window.

    None until records have waited for a tenth of the window. Idle time does not count: a group with nothing to do for
    most of the window is not slow.
    """
    busy = sum(bucket.busy for bucket in memory.buckets)
    if busy < max(1.0, limits.window_seconds / 10):
        return None
    return sum(bucket.drained for bucket in memory.buckets) / busy


def rebalancing_share(memory: GroupMemory, now: float, limits: Limits) -> float:
    """Return the share of observations that found a rebalance.

    0 if the observations do not cover ``rebalancing_after_seconds``, or none found one within ``sustained_seconds``.
    """
    period, last_rebalance = limits.rebalancing_after_seconds, memory.rebalanced_at
    if last_rebalance is None or now - last_rebalance > limits.sustained_seconds:
        return 0.0
    buckets = [bucket for bucket in memory.buckets if bucket.end >= now - period]
    if not buckets or buckets[0].since > now - period:
        return 0.0
    return sum(bucket.rebalancing for bucket in buckets) / sum(bucket.observations for bucket in buckets)


def _recent(
    before: tuple[RecentValues, ...], entry: WindowEntry, now: float, limits: Limits
) -> tuple[RecentValues, ...]:
    last = before[-1] if before else None
    if last is not None and now - last.start < limits.sustained_seconds / SUSTAINED_PIECES:
        skew, consumers = _extreme(min, (last.skew, entry.skew)), _extreme(max, (last.consumers, entry.consumers))
        values = [*before[:-1], RecentValues(last.start, skew, consumers)]
    else:
        values = [*before, RecentValues(now, entry.skew, entry.consumers)]
    while len(values) > 1 and values[1].start <= now - limits.sustained_seconds:
        del values[0]  # the next entry is old enough to cover the period
    return tuple(values)


def _buckets(
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
