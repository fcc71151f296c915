"""Partitions that would fail a group by standing still, although their records may be aborted ones."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.model.consumer_groups import GroupObservation, TopicPartition
from monitor.policy.consumer_groups import window
from monitor.policy.consumer_groups.lag import EXPIRED, GroupLags, lags, topic_ratios
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measuring import drain_eta, passed_over, with_known_positions
from monitor.policy.consumer_groups.memory import GroupMemory, PartitionMark

MAX_PARTITIONS = 20
"""So many partitions of a group are looked into at most, those with the most lag."""

Starts = Mapping[TopicPartition, int]


def standing_partitions(sight: GroupObservation, memory: GroupMemory | None, now: float, limits: Limits) -> Starts:
    """Return the partitions that have not moved since the last run and would fail the group, and where to read.

    A client that commits the offset behind its last record never commits over an aborted transaction: a lag that
    no consumer can work off.
    """
    marks = memory.partitions if memory is not None and memory.known else {}
    sight = with_known_positions(sight, marks)
    waits = {at: read_from for at in sight.partitions if (read_from := _stands(sight, at, marks)) is not None}
    if not waits or sight.problem is not None:
        return {}
    ends = {at: mark.end for at, mark in marks.items() if mark.end is not None}
    skipped = passed_over(sight, memory, now, limits) if memory is not None else set()
    found = lags(sight, ends, limits.skew_min_lag, skipped)
    hot = _hot_topics(found, limits, skipped)
    everything = _fails_by_lag(found, memory, limits)
    failing = [
        at
        for at in waits
        if found.partitions[at].unclean != EXPIRED
        and (everything or at.topic in hot or _has_stalled(found, marks.get(at), at, now, limits))
    ]
    failing.sort(key=lambda at: -(found.partitions[at].lag or 0))
    return {at: waits[at] for at in failing[:MAX_PARTITIONS]}


def _stands(sight: GroupObservation, at: TopicPartition, marks: Mapping[TopicPartition, PartitionMark]) -> int | None:
    partition = sight.partitions[at]
    if partition.committed is None or partition.end is None or partition.problem is not None:
        return None
    read_from = max(partition.committed, partition.next_record or 0)
    has_moved = at in marks and marks[at].committed != partition.committed
    return None if has_moved or partition.end <= read_from else read_from


def _hot_topics(found: GroupLags, limits: Limits, skipped: set[TopicPartition]) -> set[str]:
    threshold = limits.skew_threshold
    if threshold is None:
        return set()
    ratios = topic_ratios(found.partitions, limits.skew_min_lag, skipped)
    return {topic for topic, ratio in ratios.items() if ratio > threshold}


def _fails_by_lag(found: GroupLags, memory: GroupMemory | None, limits: Limits) -> bool:
    if limits.max_lag is not None and found.total > limits.max_lag:
        return True
    if limits.max_drain_eta_seconds is None or memory is None:
        return False
    eta = drain_eta(found.total, window.drain_rate(memory, limits))
    return eta is not None and eta > limits.max_drain_eta_seconds


def _has_stalled(found: GroupLags, mark: PartitionMark | None, at: TopicPartition, now: float, limits: Limits) -> bool:
    if mark is None or mark.still_since is None or (found.partitions[at].lag or 0) < limits.stalled_min_lag:
        return False
    return now - mark.still_since >= limits.stalled_after_seconds
