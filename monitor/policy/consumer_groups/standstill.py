"""Partitions that do not move and would fail the group, although their waiting records may all be aborted ones."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.model.consumer_groups import GroupObservation, TopicPartition
from monitor.policy.consumer_groups import window
from monitor.policy.consumer_groups.lag import EXPIRED, GroupLags, derive_lags, skew_by_topic
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measuring import drain_eta, find_passed_over, with_known_positions
from monitor.policy.consumer_groups.memory import GroupMemory, PartitionMark

MAX_PARTITIONS = 20
"""Maximum number of partitions of a group to read from, those with the most lag first."""

StartOffsets = Mapping[TopicPartition, int]


def standing_partitions(
    observation: GroupObservation, memory: GroupMemory | None, now: float, limits: Limits
) -> StartOffsets:
    """Return the partitions that have not moved since the last run and would fail the group.

    The values are the offsets to read from. A client that commits the offset after its last record never commits past
    an aborted transaction. This leaves a lag that no consumer can remove, so the records have to be read.
    """
    marks = memory.partitions if memory is not None and memory.known else {}
    observation = with_known_positions(observation, marks)
    offsets = {
        at: read_from
        for at in observation.partitions
        if (read_from := _read_offset(observation, at, marks)) is not None
    }
    if not offsets or observation.problem is not None:
        return {}
    ends = {at: mark.end for at, mark in marks.items() if mark.end is not None}
    not_read = find_passed_over(observation, memory, now, limits) if memory is not None else set()
    group_lags = derive_lags(observation, ends, limits.skew_min_lag, not_read)
    hot = _hot_topics(group_lags, limits, not_read)
    all_fail = _fails_by_lag(group_lags, memory, limits)
    failing = [
        at
        for at in offsets
        if group_lags.partitions[at].unclean != EXPIRED
        and (all_fail or at.topic in hot or _has_stalled(group_lags, marks.get(at), at, now, limits))
    ]
    failing.sort(key=lambda at: -(group_lags.partitions[at].lag or 0))
    return {at: offsets[at] for at in failing[:MAX_PARTITIONS]}


def _read_offset(
    observation: GroupObservation, at: TopicPartition, marks: Mapping[TopicPartition, PartitionMark]
) -> int | None:
    partition = observation.partitions[at]
    if partition.committed is None or partition.end is None or partition.problem is not None:
        return None
    read_from = max(partition.committed, partition.next_record or 0)
    has_moved = at in marks and marks[at].committed != partition.committed
    return None if has_moved or partition.end <= read_from else read_from


def _hot_topics(group_lags: GroupLags, limits: Limits, not_read: set[TopicPartition]) -> set[str]:
    threshold = limits.skew_threshold
    if threshold is None:
        return set()
    ratios = skew_by_topic(group_lags.partitions, limits.skew_min_lag, not_read)
    return {topic for topic, ratio in ratios.items() if ratio > threshold}


def _fails_by_lag(group_lags: GroupLags, memory: GroupMemory | None, limits: Limits) -> bool:
    if limits.max_lag is not None and group_lags.total > limits.max_lag:
        return True
    if limits.max_drain_eta_seconds is None or memory is None:
        return False
    eta = drain_eta(group_lags.total, window.drain_rate(memory, limits))
    return eta is not None and eta > limits.max_drain_eta_seconds


def _has_stalled(
    group_lags: GroupLags, mark: PartitionMark | None, at: TopicPartition, now: float, limits: Limits
) -> bool:
    if mark is None or mark.still_since is None or (group_lags.partitions[at].lag or 0) < limits.stalled_min_lag:
        return False
    return now - mark.still_since >= limits.stalled_after_seconds
