"""The definitions: the lag of a partition, and how unevenly lag lies on the partitions of a topic."""

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
"""The last two are also what a look says of a partition: its topic is no more, or not consumed any more."""

_NOTES = {
    NO_END: "without an end offset",
    EXPIRED: "whose committed offset is no longer there",
    BEYOND_END: "committed beyond the end",
    UNCOMMITTED: "without a committed offset: lag unknown",
    DELETED: "of a topic that is no more",
    UNSUBSCRIBED: "of a topic that no member subscribes to",
}


class PartitionLag(NamedTuple):
    """The lag of a partition in messages, None where it is not known (``unclean`` says why, if there is something).

    ``at_most`` bounds a lag that is not known: all records that are still there; None where that is not known either,
    or where the partition is none of the group's. ``lost`` records were deleted before the group committed them.
    """

    lag: int | None
    unclean: str | None = None
    at_most: int | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class GroupLags:
    """The lags of a group. ``skew`` is None where the ends of a topic are not all known, and no other topic has one.

    ``widest`` is the largest number of partitions of a topic, ``known`` the largest number of those whose lag is known.
    """

    partitions: Mapping[TopicPartition, PartitionLag]
    total: int
    skew: float | None
    hottest: TopicPartition | None
    widest: int
    known: int
    notes: tuple[str, ...]


def lags(
    sight: GroupObservation,
    last_ends: Mapping[TopicPartition, int],
    min_lag: int,
    passed_over: Collection[TopicPartition] = (),
) -> GroupLags:
    """Return the lags of a group. An end that its leader did not tell now is taken to be what it told last.

    ``passed_over`` are partitions without a commit whose records the group has been seen not to want.
    """
    others = any(partition.committed is not None for partition in sight.partitions.values())
    found = {at: partition_lag(partition, last_ends.get(at), others) for at, partition in sight.partitions.items()}
    ratios = topic_ratios(found, min_lag, passed_over)
    counted = {at: lag.lag for at, lag in found.items() if lag.lag}
    untold = any(lag.unclean == NO_END for lag in found.values())
    return GroupLags(
        partitions=found,
        total=sum(counted.values()),
        skew=max(ratios.values(), default=None if untold else 1.0),
        hottest=max(counted, key=lambda at: (counted[at], at), default=None),
        widest=max(Counter(at.topic for at in found).values(), default=0),
        known=max(Counter(at.topic for at, lag in found.items() if lag.lag is not None).values(), default=0),
        notes=_notes(found.values()),
    )


def topic_ratios(
    found: Mapping[TopicPartition, PartitionLag], min_lag: int, passed_over: Collection[TopicPartition] = ()
) -> dict[str, float]:
    """Return the skew ratio of each topic whose ends are all known."""
    known: defaultdict[str, list[int]] = defaultdict(list)
    unknown: defaultdict[str, list[int]] = defaultdict(list)
    for at, lag in found.items():
        if lag.lag is not None:
            known[at.topic].append(lag.lag)
        elif lag.at_most is not None:
            unknown[at.topic].append(0 if at in passed_over else lag.at_most)
    without_end = {at.topic for at, lag in found.items() if lag.unclean == NO_END}
    return {
        topic: skew_ratio(lags_known, min_lag, unknown[topic])
        for topic, lags_known in known.items()
        if topic not in without_end
    }


def partition_lag(partition: PartitionObservation, last_end: int | None, others_commit: bool) -> PartitionLag:
    """Return the lag: end - max(committed, beginning, next record), never negative; or a bound of it."""
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
    wanted = max(committed, partition.next_record or 0)
    lag, lost = max(0, end - max(wanted, beginning)), max(0, beginning - wanted)
    unclean = NO_END if partition.end is None else EXPIRED if lost else None
    return PartitionLag(lag, unclean, lost=lost)


def skew_ratio(partition_lags: Sequence[int], min_lag: int, unknown: Sequence[int] = ()) -> float:
    """Return max / mean of the lags of a topic's partitions, to two decimals: between 1 and their number.

    ``unknown`` are bounds of the lags that are not known. They count in the mean and never in the maximum, so that the
    ratio is not above the true one. 1 where it means nothing: with less than ``min_lag`` messages in all, or fewer than
    two partitions. With one record on one of six idle partitions the bare formula says 6.
    """
    total, count = sum(partition_lags), len(partition_lags) + len(unknown)
    if count < 2 or total < max(1, min_lag):
        return 1.0
    return max(1.0, round(max(partition_lags) * count / (total + sum(unknown)), 2))


def _uncommitted(partition: PartitionObservation, others_commit: bool) -> PartitionLag:
    if partition.end is None:
        return PartitionLag(None, NO_END)
    # Nothing was ever in it, or nothing is left: there is nothing to commit.
    if partition.end in (0, partition.beginning):
        return PartitionLag(0)
    bound = max(0, partition.end - (partition.beginning or 0))
    return PartitionLag(None, UNCOMMITTED if others_commit else None, bound)


def _notes(found: Iterable[PartitionLag]) -> tuple[str, ...]:
    found = [lag for lag in found if lag.unclean]
    counts = Counter(lag.unclean for lag in found)
    bounds = {UNCOMMITTED: sum(lag.at_most or 0 for lag in found if lag.unclean == UNCOMMITTED)}
    return tuple(
        f"{counts[word]} partition{'s' if counts[word] > 1 else ''} {text}"
        + (f", at most {bounds[word]}" if word in bounds else "")
        for word, text in _NOTES.items()
        if counts[word]
    )
