"""Search for partitions whose lag would make the group fail, although all waiting records may be aborted ones."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.model.consumer_groups import GroupObservation, TopicPartition
from monitor.policy.consumer_groups import window
from monitor.policy.consumer_groups.lag import EXPIRED, GroupLags, derive_lags, skew_by_topic
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measuring import drain_eta, find_passed_over, with_known_positions
from monitor.policy.consumer_groups.memory import GroupMemory, PartitionMark

MAX_PARTITIONS = 20
"""Maximum number of partitions of a group to read from. If there are more, those with the most lag are read."""

StartOffsets = Mapping[TopicPartition, int]


def standing_partitions(
    observation: GroupObservation, memory: GroupMemory | None, now: float, limits: Limits
) -> StartOffsets:
    """Return the partitions to read records from, with the offset of the first record to read.

    These are the partitions whose committed offset has not moved since the last run and whose lag would make the group
    fail. Their waiting records may be aborted ones: a client that commits the offset after its last record never
    commits past an aborted transaction at the end of the partition. No consumer can remove this lag. Only reading the
    records shows whether a record really waits.
    """
    marks = memory.partitions if memory is not None and memory.known else {}
    observation = with_known_positions(observation, marks)
    offsets = {
        tp: first_offset
        for tp in observation.partitions
        if (first_offset := _first_offset_to_read(observation, tp, marks)) is not None
    }
    if not offsets or observation.problem is not None:
        return {}
    ends = {tp: mark.end for tp, mark in marks.items() if mark.end is not None}
    passed_over = find_passed_over(observation, memory, now, limits) if memory is not None else set()
    group_lags = derive_lags(observation, ends, limits.skew_min_lag, passed_over)
    hot_topics = _hot_topics(group_lags, limits, passed_over)
    is_failing_by_lag = _is_failing_by_lag(group_lags, memory, limits)
    failing = [
        tp
        for tp in offsets
        if group_lags.partitions[tp].irregularity != EXPIRED
        and (is_failing_by_lag or tp.topic in hot_topics or _has_stalled(group_lags, marks.get(tp), tp, now, limits))
    ]
    failing.sort(key=lambda tp: -(group_lags.partitions[tp].lag or 0))
    return {tp: offsets[tp] for tp in failing[:MAX_PARTITIONS]}


def _first_offset_to_read(
    observation: GroupObservation, tp: TopicPartition, marks: Mapping[TopicPartition, PartitionMark]
) -> int | None:
    partition = observation.partitions[tp]
    if partition.committed is None or partition.end is None or partition.problem is not None:
        return None
    first_offset = max(partition.committed, partition.next_record or 0)
    has_moved = tp in marks and marks[tp].committed != partition.committed
    return None if has_moved or partition.end <= first_offset else first_offset


def _hot_topics(group_lags: GroupLags, limits: Limits, passed_over: set[TopicPartition]) -> set[str]:
    threshold = limits.skew_threshold
    if threshold is None:
        return set()
    ratios = skew_by_topic(group_lags.partitions, limits.skew_min_lag, passed_over)
    return {topic for topic, ratio in ratios.items() if ratio > threshold}


def _is_failing_by_lag(group_lags: GroupLags, memory: GroupMemory | None, limits: Limits) -> bool:
    if limits.max_lag is not None and group_lags.total > limits.max_lag:
        return True
    if limits.max_drain_eta_seconds is None or memory is None:
        return False
    eta = drain_eta(group_lags.total, window.drain_rate(memory, limits))
    return eta is not None and eta > limits.max_drain_eta_seconds


def _has_stalled(
    group_lags: GroupLags, mark: PartitionMark | None, tp: TopicPartition, now: float, limits: Limits
) -> bool:
    if mark is None or mark.still_since is None or (group_lags.partitions[tp].lag or 0) < limits.stalled_min_lag:
        return False
    return now - mark.still_since >= limits.stalled_after_seconds
