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
"""Irregularities. `DELETED` (the topic) and `UNSUBSCRIBED` are also values of `PartitionObservation.problem`."""

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

    - ``irregularity`` is a code such as `NO_END` if something is irregular about the partition. If the lag is unknown,
      it is the cause.
    - ``upper_bound`` is set only for an unknown lag: the number of stored records. It is None if this number is unknown
      or if the group does not consume the topic.
    - ``lost`` is the number of records that were deleted before the group committed them.
    """

    lag: int | None
    irregularity: str | None = None
    upper_bound: int | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class GroupLags:
    """Lags of a group.

    - ``skew`` is the highest skew of a topic. It is None if no topic has a skew because an end offset is unknown.
    - ``hottest`` is the partition with the most lag, None if there is no lag.
    - ``max_partitions`` is the number of partitions of the topic that has most partitions. ``max_known_lags`` is the
      same, but counts only partitions with a known lag.
    """

    partitions: Mapping[TopicPartition, PartitionLag]
    total: int
    skew: float | None
    hottest: TopicPartition | None
    max_partitions: int
    max_known_lags: int
    remarks: tuple[str, ...]


def derive_lags(
    observation: GroupObservation,
    last_ends: Mapping[TopicPartition, int],
    min_lag: int,
    passed_over: Collection[TopicPartition] = (),
) -> GroupLags:
    """Return the lags of a group.

    If the observation has no end offset of a partition, its value in ``last_ends`` is used. ``passed_over`` is the
    result of `measuring.find_passed_over`: for the skew, the lag of these partitions is 0.
    """
    group_commits = any(partition.committed is not None for partition in observation.partitions.values())
    lags_by_partition = {
        tp: partition_lag(partition, last_ends.get(tp), group_commits)
        for tp, partition in observation.partitions.items()
    }
    ratios = skew_by_topic(lags_by_partition, min_lag, passed_over)
    nonzero_lags = {tp: lag.lag for tp, lag in lags_by_partition.items() if lag.lag}
    has_unknown_end = any(lag.irregularity == NO_END for lag in lags_by_partition.values())
    return GroupLags(
        partitions=lags_by_partition,
        total=sum(nonzero_lags.values()),
        skew=max(ratios.values(), default=None if has_unknown_end else 1.0),
        hottest=max(nonzero_lags, key=lambda tp: (nonzero_lags[tp], tp), default=None),
        max_partitions=max(Counter(tp.topic for tp in lags_by_partition).values(), default=0),
        max_known_lags=max(
            Counter(tp.topic for tp, lag in lags_by_partition.items() if lag.lag is not None).values(), default=0
        ),
        remarks=_remarks(lags_by_partition.values()),
    )


def skew_by_topic(
    lags_by_partition: Mapping[TopicPartition, PartitionLag], min_lag: int, passed_over: Collection[TopicPartition] = ()
) -> dict[str, float]:
    """Return the skew of each topic. A topic with an unknown end offset is left out."""
    known: defaultdict[str, list[int]] = defaultdict(list)
    unknown: defaultdict[str, list[int]] = defaultdict(list)
    for tp, lag in lags_by_partition.items():
        if lag.lag is not None:
            known[tp.topic].append(lag.lag)
        elif lag.upper_bound is not None:
            unknown[tp.topic].append(0 if tp in passed_over else lag.upper_bound)
    without_end = {tp.topic for tp, lag in lags_by_partition.items() if lag.irregularity == NO_END}
    return {
        topic: skew_ratio(lags_known, min_lag, unknown[topic])
        for topic, lags_known in known.items()
        if topic not in without_end
    }


def partition_lag(partition: PartitionObservation, last_end: int | None, group_commits: bool) -> PartitionLag:
    """Return the lag of a partition: end - max(committed, beginning, next record), at least 0.

    ``last_end`` is used if the observation has no end offset. ``group_commits`` is true if the group has a commit in
    any partition.
    """
    if partition.problem in (DELETED, UNSUBSCRIBED):
        return PartitionLag(None, partition.problem)
    committed, beginning = partition.committed, partition.beginning or 0
    if committed is None:
        return _uncommitted_lag(partition, group_commits)
    end = last_end if partition.end is None else partition.end
    if end is None:
        return PartitionLag(None, NO_END)
    if partition.end is not None and committed > end:
        return PartitionLag(None, BEYOND_END, max(0, end - beginning))
    position = max(committed, partition.next_record or 0)
    lag, lost = max(0, end - max(position, beginning)), max(0, beginning - position)
    irregularity = NO_END if partition.end is None else EXPIRED if lost else None
    return PartitionLag(lag, irregularity, lost=lost)


def skew_ratio(partition_lags: Sequence[int], min_lag: int, unknown: Sequence[int] = ()) -> float:
    """Return max / mean of the lags of a topic's partitions, rounded to two decimals.

    ``unknown`` are upper bounds of unknown lags. The mean includes them and the maximum does not, so the result is
    never above the true ratio. The result is 1 with fewer than two partitions, and with fewer than ``min_lag`` messages
    in total. Otherwise one waiting message in one of six partitions would give 6.
    """
    total, count = sum(partition_lags), len(partition_lags) + len(unknown)
    if count < 2 or total < max(1, min_lag):
        return 1.0
    return max(1.0, round(max(partition_lags) * count / (total + sum(unknown)), 2))


def _uncommitted_lag(partition: PartitionObservation, group_commits: bool) -> PartitionLag:
    if partition.end is None:
        return PartitionLag(None, NO_END)
    # The partition is empty (it never had records, or all were deleted), so a commit is not expected.
    if partition.end in (0, partition.beginning):
        return PartitionLag(0)
    bound = max(0, partition.end - (partition.beginning or 0))
    return PartitionLag(None, UNCOMMITTED if group_commits else None, bound)


def _remarks(partition_lags: Iterable[PartitionLag]) -> tuple[str, ...]:
    irregular = [lag for lag in partition_lags if lag.irregularity]
    counts = Counter(lag.irregularity for lag in irregular)
    bounds = {UNCOMMITTED: sum(lag.upper_bound or 0 for lag in irregular if lag.irregularity == UNCOMMITTED)}
    return tuple(
        f"{counts[irregularity]} partition{'s' if counts[irregularity] > 1 else ''} {text}"
        + (f", at most {bounds[irregularity]}" if irregularity in bounds else "")
        for irregularity, text in _REMARKS.items()
        if counts[irregularity]
    )
