"""The definitions: the lag of a partition, and how unevenly lag lies on the partitions of a topic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monitor.consumer_groups import GroupSight, PartitionSight, TopicPartition

NO_END = "no_end"
EXPIRED = "expired"
BEYOND_END = "beyond_end"
UNCOMMITTED = "uncommitted"
DELETED = "deleted"
UNSUBSCRIBED = "unsubscribed"
"""The last two are also what a look says of a partition: its topic is no more, or not consumed any more."""

_NOTES = {
    NO_END: "without an end offset",
    EXPIRED: "whose committed offset is no longer there",
    BEYOND_END: "committed beyond the end",
    UNCOMMITTED: "without a committed offset",
    DELETED: "of a topic that is no more",
    UNSUBSCRIBED: "of a topic that no member subscribes to",
}


class Lag(NamedTuple):
    """The lag of a partition in messages, None where it does not count (``unclean`` says why, if there is something).

    ``waiting`` is how many records wait to be consumed, also where the lag does not count: the committed offset has
    expired, so that consumption would go on at the first record that is still there.
    """

    lag: int | None
    waiting: int = 0
    unclean: str | None = None


@dataclass(frozen=True, slots=True)
class Lags:
    """Those of a group. ``skew`` is None where a topic's ends were not all told, and no other topic tells it."""

    partitions: Mapping[TopicPartition, Lag]
    total: int
    skew: float | None
    hottest: TopicPartition | None
    widest: int
    notes: tuple[str, ...]


def lags(sight: GroupSight, last_ends: Mapping[TopicPartition, int], min_lag: int) -> Lags:
    """The lags of a group. An end that its leader did not tell now is taken to be what it told last."""
    others = any(partition.committed is not None for partition in sight.partitions.values())
    found = {at: partition_lag(partition, last_ends.get(at), others) for at, partition in sight.partitions.items()}
    topics: defaultdict[str, list[int]] = defaultdict(list)
    for at, lag in found.items():
        if lag.lag is not None:
            topics[at.topic].append(lag.lag)
    untold = {at.topic for at, lag in found.items() if lag.unclean == NO_END}
    ratios = [skew_ratio(counted, min_lag) for topic, counted in topics.items() if topic not in untold]
    counted = {at: lag.lag for at, lag in found.items() if lag.lag}
    return Lags(
        partitions=found,
        total=sum(counted.values()),
        skew=max(ratios, default=None if untold else 1.0),
        hottest=max(counted, key=lambda at: (counted[at], at), default=None),
        widest=max(Counter(at.topic for at in found).values(), default=0),
        notes=_notes(found.values()),
    )


def partition_lag(partition: PartitionSight, last_end: int | None, others_commit: bool) -> Lag:
    """Lag = end - committed, never negative; what is unclean is said and does not count."""
    if partition.problem in (DELETED, UNSUBSCRIBED):
        return Lag(None, unclean=partition.problem)
    end = last_end if partition.end is None else partition.end
    committed, beginning = partition.committed, partition.beginning
    if committed is None:
        # Nothing was ever in it, or nothing is left: there is nothing to commit.
        empty = partition.end is not None and partition.end in (0, beginning)
        return Lag(0) if empty else Lag(None, unclean=UNCOMMITTED if others_commit else None)
    if end is None:
        return Lag(None, unclean=NO_END)
    lag = max(0, end - committed)
    if partition.end is None:
        return Lag(lag, lag, NO_END)
    if beginning is not None and committed < beginning:
        return Lag(None, max(0, end - beginning), EXPIRED)
    return Lag(lag, lag) if committed <= end else Lag(None, unclean=BEYOND_END)


def skew_ratio(partition_lags: Sequence[int], min_lag: int) -> float:
    """max / mean of the lags of a topic's partitions, to two decimals: between 1 and their number.

    1 where it means nothing: with less than ``min_lag`` messages in all, or fewer than two partitions. With one
    record on one of six idle partitions the bare formula says 6.
    """
    total = sum(partition_lags)
    if len(partition_lags) < 2 or total < max(1, min_lag):
        return 1.0
    return round(max(partition_lags) * len(partition_lags) / total, 2)


def _notes(found: Iterable[Lag]) -> tuple[str, ...]:
    counts = Counter(lag.unclean for lag in found if lag.unclean)
    return tuple(
        f"{counts[word]} partition{'s' if counts[word] > 1 else ''} {text}"
        for word, text in _NOTES.items()
        if counts[word]
    )
