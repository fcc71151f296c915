"""Measurement of a group, derived from an observation of the cluster and the group's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from monitor.model.consumer_groups import GroupObservation, PartitionObservation, TopicPartition
from monitor.policy.consumer_groups import window
from monitor.policy.consumer_groups.lag import DELETED, UNSUBSCRIBED, GroupLags, PartitionLag, derive_lags
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measurement import CommitRewind, Measurement, RecordLoss, StuckPartition
from monitor.policy.consumer_groups.memory import GroupMemory, PartitionMark, RememberedLoss, RememberedRewind

E = TypeVar("E", RememberedRewind, RememberedLoss)

REBALANCING = frozenset({"PreparingRebalance", "CompletingRebalance", "AwaitingSync", "Assigning", "Reconciling"})
"""Group states during a rebalance, in brokers from 0.9 on. The last two are states of the KIP-848 protocol."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """Changes since the last observation. ``consumed`` and ``produced`` are numbers of messages."""

    marks: Mapping[TopicPartition, PartitionMark]
    consumed: int = 0
    produced: int = 0
    has_commit: bool = False
    rewound: RememberedRewind | None = None


def derive_measurement(
    observation: GroupObservation, memory: GroupMemory, now: float, limits: Limits
) -> tuple[GroupMemory, Measurement]:
    """Return the group's new memory and its measurement.

    After missing observations, all standstills begin again.
    """
    has_gap = window.is_gap(memory, now, limits)
    before = restart_standstills(memory, now) if has_gap or window.is_interrupted(memory, now, limits) else memory
    before = replace(before, observed_at=now, buckets=(), rebalanced_at=None) if has_gap else before
    observation = with_known_positions(observation, memory.partitions)
    ends = {tp: mark.end for tp, mark in memory.partitions.items() if mark.end is not None}
    group_lags = derive_lags(observation, ends, limits.skew_min_lag, find_passed_over(observation, before, now, limits))
    progress = _progress(observation, group_lags, before, now, limits)
    rebalancing = observation.state in REBALANCING
    count = len(observation.members)
    is_settling = before.settled_at is None and count >= limits.min_consumers and not rebalancing
    entry = window.WindowEntry(group_lags.skew, count, rebalancing)
    if not has_gap:
        entry = replace(
            entry, consumed=progress.consumed, produced=progress.produced, busy=_has_waiting_records(memory)
        )
    after = replace(
        window.add_entry(window.forget_consumer_counts(before) if is_settling else before, entry, now, limits),
        usual_interval_seconds=window.usual_interval(memory, now),
        observed_at=now,
        last_commit_at=now if progress.has_commit else before.last_commit_at,
        last_member_at=now if count else before.last_member_at,
        settled_at=now if is_settling else before.settled_at,
        rebalanced_at=now if rebalancing else before.rebalanced_at,
        rewound=progress.rewound or _if_recent(before.rewound, now, limits),
        lost=_find_loss(group_lags, now, limits) or _if_recent(before.lost, now, limits),
        partitions=progress.marks,
        deleted_at=None,
    )
    return after, _measurement(observation, group_lags, after, now, limits)


def restart_standstills(memory: GroupMemory, now: float) -> GroupMemory:
    """Return the memory with ``now`` as the start of each standstill and without conditions.

    While the monitor could not observe the group, the group may have been unable to consume, for example because the
    broker was down.
    """
    marks = {tp: mark._replace(still_since=None, passed_over_since=None) for tp, mark in memory.partitions.items()}
    return replace(memory, last_commit_at=now, last_member_at=now, recent=(), condition_since={}, partitions=marks)


def with_known_positions(
    observation: GroupObservation, marks: Mapping[TopicPartition, PartitionMark]
) -> GroupObservation:
    """Return the observation with the stored ``next_record`` of each partition whose committed offset has not moved."""
    known = {
        tp: replace(observation.partitions[tp], next_record=mark.next_record)
        for tp, mark in marks.items()
        if mark.next_record is not None
        and tp in observation.partitions
        and _is_next_record_valid(observation.partitions[tp], mark)
    }
    return replace(observation, partitions={**observation.partitions, **known}) if known else observation


def find_passed_over(
    observation: GroupObservation, memory: GroupMemory, now: float, limits: Limits
) -> set[TopicPartition]:
    """Return the partitions that the group has passed over for at least ``window_seconds``.

    The group passes over a partition if the partition has records but no commit, and its owner reads nothing although
    it has no other records to read.
    """
    return {
        tp
        for tp, mark in memory.partitions.items()
        if mark.passed_over_since is not None
        and now - mark.passed_over_since >= limits.window_seconds
        and tp in observation.partitions
        and observation.partitions[tp].end == mark.end
    }


def drain_eta(lag: int, rate: float | None) -> float | None:
    """Return the seconds until ``lag`` messages are consumed. None if the rate is 0 or unknown.

    ``rate`` is in messages per second.
    """
    if lag == 0:
        return 0.0
    return lag / rate if rate else None


def unreachable_threshold(threshold: float | None, group_lags: GroupLags) -> str | None:
    """Return a remark if the skew cannot exceed its threshold, else None.

    The skew of a topic is max / mean of its partitions' lags, so it is at most the number of partitions. With
    unknown lags it is rarely above the number of known lags.
    """
    if (
        threshold is None
        or group_lags.max_partitions == 0
        or threshold < group_lags.max_known_lags
        or (group_lags.skew or 0.0) > threshold
    ):
        return None
    if threshold >= group_lags.max_partitions:
        count_text = f"{group_lags.max_partitions} partitions"
        return f"the skew threshold of {threshold}x cannot be exceeded: no topic has more than {count_text}"
    count_text = (
        f"{group_lags.max_known_lags} partition{'s' if group_lags.max_known_lags != 1 else ''} with a committed offset"
    )
    return f"the skew threshold of {threshold}x may be out of reach: no topic has more than {count_text}"


def _measurement(
    observation: GroupObservation, group_lags: GroupLags, memory: GroupMemory, now: float, limits: Limits
) -> Measurement:
    rates = window.rates(memory, now, limits)
    consume_rate, produce_rate = rates or (None, None)
    owned = {tp for member in observation.members for tp in member.assigned}
    unassigned = [tp for tp in observation.partitions if tp not in owned]
    hint = unreachable_threshold(limits.skew_threshold, group_lags)
    return Measurement(
        skew=window.windowed_skew(memory, group_lags.skew),
        consumers=window.windowed_consumers(memory, len(observation.members)),
        lag=group_lags.total,
        lag_seconds=_oldest_record_age(observation, group_lags, now),
        retention_share=_retention_share(observation, group_lags),
        drain_eta_seconds=drain_eta(group_lags.total, window.drain_rate(memory, limits)),
        consume_rate=consume_rate,
        produce_rate=produce_rate,
        partitions=len(observation.partitions),
        hottest=f"{group_lags.hottest.topic}[{group_lags.hottest.partition}]" if group_lags.hottest else None,
        state=observation.state,
        unassigned=len(unassigned),
        unowned=_unowned_count(observation, owned, unassigned),
        memberless_seconds=0.0 if observation.members else now - memory.last_member_at,
        silent_seconds=now - memory.last_commit_at,
        stuck=_stuck_partitions(group_lags, memory, now, limits),
        rewind=_as_rewind(memory.rewound, now),
        loss=RecordLoss(memory.lost.tp, memory.lost.records, now - memory.lost.when) if memory.lost else None,
        rebalancing=window.rebalancing_share(memory, now, limits),
        settled=memory.settled_at is not None,
        unmatched=observation.unmatched,
        remarks=tuple(filter(None, (*group_lags.remarks, _unread_remark(observation), hint))),
    )


def _oldest_record_age(observation: GroupObservation, group_lags: GroupLags, now: float) -> float | None:
    """Return the age in seconds of the oldest waiting record in the partition with the most lag.

    0 if no record waits. None if the age is unknown.
    """
    if group_lags.hottest is None:
        return _zero_if_ends_known(observation)
    oldest = observation.oldest
    return max(0.0, now - oldest.written_at) if oldest is not None and oldest.at == group_lags.hottest else None


def _retention_share(observation: GroupObservation, group_lags: GroupLags) -> float | None:
    """Return lag / number of stored records, for the partition with the most lag.

    0 if no record waits. At 1, the next records that retention deletes are waiting ones. None if unknown.
    """
    if group_lags.hottest is None:
        return _zero_if_ends_known(observation)
    partition = observation.partitions[group_lags.hottest]
    if partition.end is None or partition.beginning is None or partition.end <= partition.beginning:
        return None
    return min(1.0, (group_lags.partitions[group_lags.hottest].lag or 0) / (partition.end - partition.beginning))


def _zero_if_ends_known(observation: GroupObservation) -> float | None:
    return None if any(partition.end is None for partition in observation.partitions.values()) else 0.0


def _unread_remark(observation: GroupObservation) -> str | None:
    if not observation.unread:
        return None
    count, first = len(observation.unread), observation.unread[0]
    plural = "s" if count > 1 else ""
    return f"{count} partition{plural} that no member reads, such as {first.topic}[{first.partition}]"


def _has_waiting_records(memory: GroupMemory) -> bool:
    """Return whether records waited to be consumed at the last observation."""
    marks = memory.partitions.values()
    return any(
        mark.committed is not None and mark.end is not None and mark.end > max(mark.committed, mark.next_record or 0)
        for mark in marks
    )


def _unowned_count(observation: GroupObservation, owned: set[TopicPartition], unassigned: list[TopicPartition]) -> int:
    """Return the number of partitions without an owner. 0 during a rebalance.

    Only topics with at least one owned partition count. Partitions without a commit do not count, because they may be
    new: clients discover new partitions only every ``metadata.max.age.ms``, by default 5 minutes.
    """
    if observation.state in REBALANCING:
        return 0
    topics = {tp.topic for tp in owned}
    candidates = (tp for tp in unassigned if tp.topic in topics and observation.partitions[tp].problem != DELETED)
    return sum(observation.partitions[tp].committed is not None for tp in candidates)


def _stuck_partitions(
    group_lags: GroupLags, memory: GroupMemory, now: float, limits: Limits
) -> tuple[StuckPartition, ...]:
    stuck = [
        StuckPartition(tp, group_lags.partitions[tp].lag or 0, now - mark.still_since)
        for tp, mark in memory.partitions.items()
        if mark.still_since is not None and now - mark.still_since >= limits.stalled_after_seconds
    ]
    return tuple(sorted(stuck, key=lambda partition: (-partition.seconds, partition.tp)))


def _as_rewind(rewound: RememberedRewind | None, now: float) -> CommitRewind | None:
    return CommitRewind(rewound.tp, rewound.records, now - rewound.when) if rewound else None


def _if_recent(event: E | None, now: float, limits: Limits) -> E | None:
    return event if event and now - event.when < limits.window_seconds else None


def _find_loss(group_lags: GroupLags, now: float, limits: Limits) -> RememberedLoss | None:
    # One lost offset may be the end marker of a transaction, so it is not necessarily a lost record.
    losses = [(lag.lost, tp) for tp, lag in group_lags.partitions.items() if lag.lost >= limits.stalled_min_lag]
    return RememberedLoss(now, max(losses)[1], max(losses)[0]) if losses else None


def _is_next_record_valid(partition: PartitionObservation, mark: PartitionMark) -> bool:
    # A smaller end offset means that the topic was deleted and created again.
    same_topic = partition.end is None or mark.end is None or partition.end >= mark.end
    return same_topic and partition.next_record is None and partition.committed == mark.committed


def _partitions_of_idle_members(
    observation: GroupObservation, group_lags: GroupLags, memory: GroupMemory
) -> set[TopicPartition]:
    """Return the partitions of idle members.

    A member is idle if it has committed since the last observation and has no lag now. Its partitions without a commit
    do not count: if the member used `auto.offset.reset=earliest`, it would read them.
    """
    idle: set[TopicPartition] = set()
    for member in observation.members:
        commits = {tp: observation.partitions[tp].committed for tp in member.assigned if tp in observation.partitions}
        commits = {tp: committed for tp, committed in commits.items() if committed is not None}
        has_moved = any(tp in memory.partitions and memory.partitions[tp].committed != to for tp, to in commits.items())
        if has_moved and all(group_lags.partitions[tp].lag == 0 for tp in commits):
            idle |= member.assigned
    return idle


def _progress(
    observation: GroupObservation, group_lags: GroupLags, memory: GroupMemory, now: float, limits: Limits
) -> _Progress:
    marks: dict[TopicPartition, PartitionMark] = {}
    idle = _partitions_of_idle_members(observation, group_lags, memory)
    consumed = produced = 0
    has_commit, rewound = False, None
    for tp, partition in observation.partitions.items():
        if partition.problem == UNSUBSCRIBED:
            continue
        before = memory.partitions.get(tp, PartitionMark(None, None))
        end = before.end if partition.end is None else partition.end
        is_recreated = end is not None and before.end is not None and end < before.end
        has_moved = partition.committed != before.committed
        if before.committed is not None and partition.committed is not None and not is_recreated:
            consumed += max(0, partition.committed - before.committed)
            if partition.committed < before.committed:
                rewound = RememberedRewind(now, tp, before.committed - partition.committed)
        if end is not None and before.end is not None:
            produced += max(0, end - before.end)
        has_commit = has_commit or (has_moved and partition.committed is not None)
        still_since = _still_since(group_lags.partitions[tp], before, has_moved or is_recreated, now, limits)
        passed_over_since = None
        if (
            group_lags.partitions[tp].upper_bound
            and end == before.end
            and partition.committed is None is before.committed
        ):
            passed_over_since = before.passed_over_since or (now if tp in idle else None)
        marks[tp] = PartitionMark(partition.committed, end, still_since, partition.next_record, passed_over_since)
    return _Progress(marks, consumed, produced, has_commit, rewound)


def _still_since(lag: PartitionLag, before: PartitionMark, has_moved: bool, now: float, limits: Limits) -> float | None:
    if (lag.lag or 0) < max(1, limits.stalled_min_lag):
        return None
    return now if has_moved or before.still_since is None else before.still_since
