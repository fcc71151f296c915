"""Lag of a partition, and the skew of lag over the partitions of a topic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monitor.model.consumer_groups import GroupObservation, PartitionObservation, TopicPartition

NO_END = "no_end"
EXPIRED = "expired"
BEYOND_END = "beyond_end"
UNCOMMITTED = "uncommitted"
DELETED = "deleted"
UNSUBSCRIBED = "unsubscribed"
"""`DELETED` and `UNSUBSCRIBED` are also problems of an observation: the topic was deleted, or is no longer consumed."""

_REMARKS = {
    NO_END: "without an end offset",
    EXPIRED: "whose committed offset is no longer there",
    BEYOND_END: "committed beyond the end",
    UNCOMMITTED: "without a committed offset: lag unknown",
    DELETED: "of a deleted topic",
    UNSUBSCRIBED: "of a topic that no member subscribes to",
}


class PartitionLag(NamedTuple):
    """Lag of a partition in messages, None if unknown.

    ``unclean`` is the irregularity of the partition, if there is one, such as the cause of an unknown lag. ``at_most``
    is an upper bound of an unknown lag: the number of stored records. It is None if that is unknown too, or if the
    partition does not belong to the group. ``lost`` is the number of records that were deleted before the group
    committed them.
    """

    lag: int | None
    unclean: str | None = None
    at_most: int | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class GroupLags:
    """Lags of a group.

    ``skew`` is None if no topic has a skew and some end offset is unknown. ``widest`` is the largest number of
    partitions of a topic. ``known`` is the largest number of partitions of a topic whose lag is known.
    """

    partitions: Mapping[TopicPartition, PartitionLag]
    total: int
    skew: float | None
    hottest: TopicPartition | None
    widest: int
    known: int
    remarks: tuple[str, ...]


def derive_lags(
    observation: GroupObservation,
    last_ends: Mapping[TopicPartition, int],
    min_lag: int,
    passed_over: Collection[TopicPartition] = (),
) -> GroupLags:
    """Return the lags of a group. If a leader did not report an end offset, its last reported one is used.

    ``passed_over`` are partitions without a commit whose records the group does not read although it could.
    """
    others = any(partition.committed is not None for partition in observation.partitions.values())
    lags_by_partition = {
        at: partition_lag(partition, last_ends.get(at), others) for at, partition in observation.partitions.items()
    }
    ratios = skew_by_topic(lags_by_partition, min_lag, passed_over)
    counted = {at: lag.lag for at, lag in lags_by_partition.items() if lag.lag}
    has_unknown_end = any(lag.unclean == NO_END for lag in lags_by_partition.values())
    return GroupLags(
        partitions=lags_by_partition,
        total=sum(counted.values()),
        skew=max(ratios.values(), default=None if has_unknown_end else 1.0),
        hottest=max(counted, key=lambda at: (counted[at], at), default=None),
        widest=max(Counter(at.topic for at in lags_by_partition).values(), default=0),
        known=max(
            Counter(at.topic for at, lag in lags_by_partition.items() if lag.lag is not None).values(), default=0
        ),
        remarks=_remarks(lags_by_partition.values()),
    )


def skew_by_topic(
    lags_by_partition: Mapping[TopicPartition, PartitionLag], min_lag: int, passed_over: Collection[TopicPartition] = ()
) -> dict[str, float]:
    """Return the skew ratio of each topic whose ends are all known."""
    known: defaultdict[str, list[int]] = defaultdict(list)
    unknown: defaultdict[str, list[int]] = defaultdict(list)
    for at, lag in lags_by_partition.items():
        if lag.lag is not None:
            known[at.topic].append(lag.lag)
        elif lag.at_most is not None:
            unknown[at.topic].append(0 if at in passed_over else lag.at_most)
    without_end = {at.topic for at, lag in lags_by_partition.items() if lag.unclean == NO_END}
    return {
        topic: skew_ratio(lags_known, min_lag, unknown[topic])
        for topic, lags_known in known.items()
        if topic not in without_end
    }


def partition_lag(partition: PartitionObservation, last_end: int | None, others_commit: bool) -> PartitionLag:
    """Return the lag: end - max(committed, beginning, next record), at least 0; or an upper bound of an unknown lag."""
    if partition.problem in (DELETED, UNSUBSCRIBED):
        return PartitionLag(None, partition.problem)
    committed, beginning = partition.committed, partition.beginning or 0
    if committed is None:
        return _uncommitted(partition, others_commit)
    end = last_end if partition.end is None else partition.end
    if end is None:
        return PartitionLag(None, NO_END)
    if partition.end is not None and committed > end:
        return PartitionLag(None, BEYOND_END, max(0, end - beginning))
    position = max(committed, partition.next_record or 0)
    lag, lost = max(0, end - max(position, beginning)), max(0, beginning - position)
    unclean = NO_END if partition.end is None else EXPIRED if lost else None
    return PartitionLag(lag, unclean, lost=lost)


def skew_ratio(partition_lags: Sequence[int], min_lag: int, unknown: Sequence[int] = ()) -> float:
    """Return max / mean of the lags of a topic's partitions, rounded to two decimals: between 1 and their number.

    ``unknown`` are upper bounds of unknown lags. They count in the mean and never in the maximum, so the result is
    never above the true ratio. The result is 1 if the ratio has no meaning: with fewer than ``min_lag`` messages in
    total, or with fewer than two partitions. For example, one record in one of six idle partitions would give 6.
    """
    total, count = sum(partition_lags), len(partition_lags) + len(unknown)
    if count < 2 or total < max(1, min_lag):
        return 1.0
    return max(1.0, round(max(partition_lags) * count / (total + sum(unknown)), 2))


def _uncommitted(partition: PartitionObservation, others_commit: bool) -> PartitionLag:
    if partition.end is None:
        return PartitionLag(None, NO_END)
    # An empty partition has nothing to commit: it never had records, or all were deleted.
    if partition.end in (0, partition.beginning):
        return PartitionLag(0)
    bound = max(0, partition.end - (partition.beginning or 0))
    return PartitionLag(None, UNCOMMITTED if others_commit else None, bound)


def _remarks(partition_lags: Iterable[PartitionLag]) -> tuple[str, ...]:
    irregular = [lag for lag in partition_lags if lag.unclean]
    counts = Counter(lag.unclean for lag in irregular)
    bounds = {UNCOMMITTED: sum(lag.at_most or 0 for lag in irregular if lag.unclean == UNCOMMITTED)}
    return tuple(
        f"{counts[word]} partition{'s' if counts[word] > 1 else ''} {text}"
        + (f", at most {bounds[word]}" if word in bounds else "")
        for word, text in _REMARKS.items()
        if counts[word]
    )
