"""Values over a window, from looks that come when they come: some are missing, some are late."""

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
    """What one look adds. The messages counted are those since the last look; ``busy``: some waited then."""

    skew: float | None
    consumers: int | None
    rebalancing: bool = False
    consumed: int = 0
    produced: int = 0
    busy: bool = False


def is_interrupted(memory: GroupMemory, now: float, limits: Limits) -> bool:
    """Whether looks were missing, so that nothing has held or stood still since: looks that are always rare are not."""
    return now - memory.seen_at > max(2 * limits.sustained_seconds, 3 * memory.pace)


def is_gap(memory: GroupMemory, now: float, limits: Limits) -> bool:
    """Whether they were missing for so long that nothing before counts."""
    return now - memory.seen_at > max(limits.window_seconds, 3 * memory.pace)


def usual_interval(memory: GroupMemory, now: float) -> float:
    """The usual time between two looks. One that was late says little: it doubles at most."""
    passed = round(now - memory.seen_at, 1)
    return min(passed, 2 * memory.pace) if memory.pace else passed


def add_entry(memory: GroupMemory, look: WindowEntry, now: float, limits: Limits) -> GroupMemory:
    """The memory with one look more, and without what has left the window."""
    recent = _recent(memory.recent, look, now, limits)
    return replace(memory, recent=recent, buckets=_buckets(memory, recent, look, now, limits))


def forget_consumer_counts(memory: GroupMemory) -> GroupMemory:
    """The memory without how many consumers there were: they have only just become enough for the first time."""
    recent = tuple(each._replace(consumers=None) for each in memory.recent)
    buckets = tuple(each._replace(consumers_worst=None, consumers_held=None) for each in memory.buckets)
    return replace(memory, recent=recent, buckets=buckets)


def windowed_skew(memory: GroupMemory, now: float | None) -> WindowedValue:
    """Its maximum over the window."""
    buckets = memory.buckets
    return WindowedValue(now, _most(max, (b.skew_worst for b in buckets)), _most(max, (b.skew_held for b in buckets)))


def windowed_consumers(memory: GroupMemory, now: int | None) -> WindowedValue:
    """Their minimum over the window."""
    worst = _most(min, (bucket.consumers_worst for bucket in memory.buckets))
    return WindowedValue(now, worst, _most(min, (bucket.consumers_held for bucket in memory.buckets)))


def rates(memory: GroupMemory, now: float, limits: Limits) -> tuple[float, float] | None:
    """Messages per second consumed and produced, over the window; None until half of it has been seen.

    Over less it would say nothing: a consumer may commit once a minute, and then a minute's work at once.
    """
    if not memory.buckets:
        return None
    seconds = now - memory.buckets[0].since
    if seconds < max(1.0, limits.window_seconds / 2):
        return None
    consumed = sum(bucket.consumed for bucket in memory.buckets)
    return consumed / seconds, sum(bucket.produced for bucket in memory.buckets) / seconds


def drain_rate(memory: GroupMemory, limits: Limits) -> float | None:
    """Messages per second consumed while others waited, within the window; None before a tenth of it was of this sort.

    A group that had nothing to do for most of the window is not slow.
    """
    busy = sum(bucket.busy for bucket in memory.buckets)
    if busy < max(1.0, limits.window_seconds / 10):
        return None
    return sum(bucket.drained for bucket in memory.buckets) / busy


def rebalancing_share(memory: GroupMemory, now: float, limits: Limits) -> float:
    """The share of looks that saw a rebalance, 0 unless they go back long enough and one was seen lately."""
    long, seen = limits.rebalancing_after_seconds, memory.rebalanced_at
    if seen is None or now - seen > limits.sustained_seconds:
        return 0.0
    buckets = [bucket for bucket in memory.buckets if bucket.end >= now - long]
    if not buckets or buckets[0].since > now - long:
        return 0.0
    return sum(bucket.rebalancing for bucket in buckets) / sum(bucket.looks for bucket in buckets)


def _recent(
    before: tuple[RecentValues, ...], look: WindowEntry, now: float, limits: Limits
) -> tuple[RecentValues, ...]:
    last = before[-1] if before else None
    if last is not None and now - last.start < limits.sustained_seconds / SUSTAINED_PIECES:
        skew, consumers = _most(min, (last.skew, look.skew)), _most(max, (last.consumers, look.consumers))
        looks = [*before[:-1], RecentValues(last.start, skew, consumers)]
    else:
        looks = [*before, RecentValues(now, look.skew, look.consumers)]
    while len(looks) > 1 and looks[1].start <= now - limits.sustained_seconds:
        del looks[0]  # the next one reaches far enough back
    return tuple(looks)


def _buckets(
    memory: GroupMemory, recent: tuple[RecentValues, ...], look: WindowEntry, now: float, limits: Limits
) -> tuple[WindowBucket, ...]:
    kept = [bucket for bucket in memory.buckets if bucket.end >= now - limits.window_seconds]
    if not kept or now - kept[-1].start >= limits.window_seconds / WINDOW_BUCKETS:
        kept.append(WindowBucket(memory.seen_at, now, now, 0, 0, 0, 0))
    far_enough = recent[0].start <= now - limits.sustained_seconds
    skews = [each.skew for each in recent] if far_enough and look.skew is not None else []
    counts = [each.consumers for each in recent] if far_enough and look.consumers is not None else []
    last = kept[-1]
    kept[-1] = WindowBucket(
        since=last.since,
        start=last.start,
        end=now,
        looks=last.looks + 1,
        rebalancing=last.rebalancing + look.rebalancing,
        consumed=last.consumed + look.consumed,
        produced=last.produced + look.produced,
        busy=round(last.busy + (now - memory.seen_at if look.busy else 0.0), 1),
        drained=last.drained + (look.consumed if look.busy else 0),
        skew_worst=_most(max, (last.skew_worst, look.skew)),
        skew_held=_most(max, (last.skew_held, _most(min, skews))),
        consumers_worst=_most(min, (last.consumers_worst, look.consumers)),
        consumers_held=_most(min, (last.consumers_held, _most(max, counts))),
    )
    return tuple(kept)


def _most(choose: Callable[[Iterable[N]], N], values: Iterable[N | None]) -> N | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None
