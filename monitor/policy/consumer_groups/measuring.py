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
"""Group states during a rebalance, as brokers from 0.9 on name them. The last two belong to KIP-848."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """Changes since the last observation: new positions of the partitions, and messages produced and consumed."""

    marks: Mapping[TopicPartition, PartitionMark]
    consumed: int = 0
    produced: int = 0
    committed: bool = False
    rewound: RememberedRewind | None = None


def derive_measurement(
    observation: GroupObservation, memory: GroupMemory, now: float, limits: Limits
) -> tuple[GroupMemory, Measurement]:
    """Return the group's new memory and its measurement. Time without observations does not count as a standstill."""
    gap = window.is_gap(memory, now, limits)
    before = restart_standstills(memory, now) if gap or window.is_interrupted(memory, now, limits) else memory
    before = replace(before, observed_at=now, buckets=(), rebalanced_at=None) if gap else before
    observation = with_known_positions(observation, memory.partitions)
    ends = {at: mark.end for at, mark in memory.partitions.items() if mark.end is not None}
    group_lags = derive_lags(observation, ends, limits.skew_min_lag, find_passed_over(observation, before, now, limits))
    progress = _progress(observation, group_lags, before, now, limits)
    rebalancing = observation.state in REBALANCING
    count = len(observation.members)
    settles = before.settled_at is None and count >= limits.min_consumers and not rebalancing
    entry = window.WindowEntry(group_lags.skew, count, rebalancing)
    if not gap:
        entry = replace(entry, consumed=progress.consumed, produced=progress.produced, busy=_waited(memory))
    after = replace(
        window.add_entry(window.forget_consumer_counts(before) if settles else before, entry, now, limits),
        usual_interval_seconds=window.usual_interval(memory, now),
        observed_at=now,
        last_commit_at=now if progress.committed else before.last_commit_at,
        last_member_at=now if count else before.last_member_at,
        settled_at=now if settles else before.settled_at,
        rebalanced_at=now if rebalancing else before.rebalanced_at,
        rewound=progress.rewound or _if_recent(before.rewound, now, limits),
        lost=_find_loss(group_lags, now, limits) or _if_recent(before.lost, now, limits),
        partitions=progress.marks,
        deleted_at=None,
    )
    return after, _measurement(observation, group_lags, after, now, limits)


def restart_standstills(memory: GroupMemory, now: float) -> GroupMemory:
    """Return the memory with all standstills beginning now.

    A group that could not be observed may have been unable to consume, for example because the broker was down.
    """
    marks = {at: mark._replace(still_since=None, passed_over_since=None) for at, mark in memory.partitions.items()}
    return replace(memory, last_commit_at=now, last_member_at=now, recent=(), condition_since={}, partitions=marks)


def with_known_positions(
    observation: GroupObservation, marks: Mapping[TopicPartition, PartitionMark]
) -> GroupObservation:
    """Return the observation with the ``next_record`` values that earlier runs have read.

    They apply to partitions whose committed offset has not moved since.
    """
    known = {
        at: replace(observation.partitions[at], next_record=mark.next_record)
        for at, mark in marks.items()
        if mark.next_record is not None
        and at in observation.partitions
        and _still_holds(observation.partitions[at], mark)
    }
    return replace(observation, partitions={**observation.partitions, **known}) if known else observation


def find_passed_over(
    observation: GroupObservation, memory: GroupMemory, now: float, limits: Limits
) -> set[TopicPartition]:
    """Return the partitions without a commit whose records the group has not read for an entire window."""
    return {
        at
        for at, mark in memory.partitions.items()
        if mark.passed_over_since is not None
        and now - mark.passed_over_since >= limits.window_seconds
        and at in observation.partitions
        and observation.partitions[at].end == mark.end
    }


def drain_eta(lag: int, rate: float | None) -> float | None:
    """Return the seconds until all waiting messages are consumed at this rate, in messages per second.

    None if nothing is consumed.
    """
    if lag == 0:
        return 0.0
    return lag / rate if rate else None


def unreachable_threshold(threshold: float | None, group_lags: GroupLags) -> str | None:
    """Return a remark if the skew cannot exceed its threshold, else None.

    The skew is max / mean, so it is at most the number of partitions. Only partitions with a known lag can be the
    maximum.
    """
    if (
        threshold is None
        or group_lags.widest == 0
        or threshold < group_lags.known
        or (group_lags.skew or 0.0) > threshold
    ):
        return None
    if threshold >= group_lags.widest:
        most = f"{group_lags.widest} partitions"
        return f"the skew threshold of {threshold}x cannot be exceeded: no topic has more than {most}"
    most = f"{group_lags.known} partition{'s' if group_lags.known != 1 else ''} with a committed offset"
    return f"the skew threshold of {threshold}x may be out of reach: no topic has more than {most}"


def _measurement(
    observation: GroupObservation, group_lags: GroupLags, memory: GroupMemory, now: float, limits: Limits
) -> Measurement:
    rates = window.rates(memory, now, limits)
    consume_rate, produce_rate = rates or (None, None)
    owned = {at for member in observation.members for at in member.assigned}
    unassigned = [at for at in observation.partitions if at not in owned]
    hint = unreachable_threshold(limits.skew_threshold, group_lags)
    return Measurement(
        skew=window.windowed_skew(memory, group_lags.skew),
        consumers=window.windowed_consumers(memory, len(observation.members)),
        lag=group_lags.total,
        lag_seconds=_age(observation, group_lags, now),
        retention_share=_retention_share(observation, group_lags),
        drain_eta_seconds=drain_eta(group_lags.total, window.drain_rate(memory, limits)),
        consume_rate=consume_rate,
        produce_rate=produce_rate,
        partitions=len(observation.partitions),
        hottest=f"{group_lags.hottest.topic}[{group_lags.hottest.partition}]" if group_lags.hottest else None,
        state=observation.state,
        unassigned=len(unassigned),
        unowned=_unowned(observation, owned, unassigned),
        memberless_seconds=0.0 if observation.members else now - memory.last_member_at,
        silent_seconds=now - memory.last_commit_at,
        stuck=_stuck(group_lags, memory, now, limits),
        rewind=_rewind(memory.rewound, now),
        loss=RecordLoss(memory.lost.at, memory.lost.records, now - memory.lost.when) if memory.lost else None,
        rebalancing=window.rebalancing_share(memory, now, limits),
        settled=memory.settled_at is not None,
        unmatched=observation.unmatched,
        remarks=tuple(filter(None, (*group_lags.remarks, _unread_remark(observation), hint))),
    )


def _age(observation: GroupObservation, group_lags: GroupLags, now: float) -> float | None:
    """Return the age of the oldest waiting record in the partition with the most lag, in seconds. 0 if none waits."""
    if group_lags.hottest is None:
        return _zero_if_ends_known(observation)
    oldest = observation.oldest
    return max(0.0, now - oldest.written_at) if oldest is not None and oldest.at == group_lags.hottest else None


def _retention_share(observation: GroupObservation, group_lags: GroupLags) -> float | None:
    """Return the share of the stored records that wait, in the partition with the most lag.

    At 1, retention deletes waiting records next.
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


def _waited(memory: GroupMemory) -> bool:
    """Return whether records waited to be consumed at the last observation."""
    marks = memory.partitions.values()
    return any(
        mark.committed is not None and mark.end is not None and mark.end > max(mark.committed, mark.next_record or 0)
        for mark in marks
    )


def _unowned(observation: GroupObservation, owned: set[TopicPartition], unassigned: list[TopicPartition]) -> int:
    """Return the number of partitions without an owner, in topics of which members own partitions.

    Partitions without a commit do not count, because they may be new: clients discover partitions only every
    metadata.max.age.ms, 5 minutes.
    """
    if observation.state in REBALANCING:
        return 0
    topics = {at.topic for at in owned}
    candidates = (at for at in unassigned if at.topic in topics and observation.partitions[at].problem != DELETED)
    return sum(observation.partitions[at].committed is not None for at in candidates)


def _stuck(group_lags: GroupLags, memory: GroupMemory, now: float, limits: Limits) -> tuple[StuckPartition, ...]:
    stuck = [
        StuckPartition(at, group_lags.partitions[at].lag or 0, now - mark.still_since)
        for at, mark in memory.partitions.items()
        if mark.still_since is not None and now - mark.still_since >= limits.stalled_after_seconds
    ]
    return tuple(sorted(stuck, key=lambda each: (-each.seconds, each.at)))


def _rewind(rewound: RememberedRewind | None, now: float) -> CommitRewind | None:
    return CommitRewind(rewound.at, rewound.records, now - rewound.when) if rewound else None


def _if_recent(event: E | None, now: float, limits: Limits) -> E | None:
    return event if event and now - event.when < limits.window_seconds else None


def _find_loss(group_lags: GroupLags, now: float, limits: Limits) -> RememberedLoss | None:
    # A single lost offset may be the end marker of a transaction.
    losses = [(lag.lost, at) for at, lag in group_lags.partitions.items() if lag.lost >= limits.stalled_min_lag]
    return RememberedLoss(now, max(losses)[1], max(losses)[0]) if losses else None


def _still_holds(partition: PartitionObservation, mark: PartitionMark) -> bool:
    # A smaller end offset means that the topic was deleted and created again.
    same_topic = partition.end is None or mark.end is None or partition.end >= mark.end
    return same_topic and partition.next_record is None and partition.committed == mark.committed


def _satisfied(observation: GroupObservation, group_lags: GroupLags, memory: GroupMemory) -> set[TopicPartition]:
    """Return the partitions of members that have committed since the last observation and have nothing to read.

    Only partitions with a commit decide this: a member with `earliest` would also read the others.
    """
    satisfied: set[TopicPartition] = set()
    for member in observation.members:
        commits = {at: observation.partitions[at].committed for at in member.assigned if at in observation.partitions}
        commits = {at: committed for at, committed in commits.items() if committed is not None}
        moved = any(at in memory.partitions and memory.partitions[at].committed != to for at, to in commits.items())
        if moved and all(group_lags.partitions[at].lag == 0 for at in commits):
            satisfied |= member.assigned
    return satisfied


def _progress(
    observation: GroupObservation, group_lags: GroupLags, memory: GroupMemory, now: float, limits: Limits
) -> _Progress:
    marks: dict[TopicPartition, PartitionMark] = {}
    satisfied = _satisfied(observation, group_lags, memory)
    consumed = produced = 0
    committed, rewound = False, None
    for at, partition in observation.partitions.items():
        if partition.problem == UNSUBSCRIBED:
            continue
        before = memory.partitions.get(at, PartitionMark(None, None))
        end = before.end if partition.end is None else partition.end
        recreated = end is not None and before.end is not None and end < before.end
        moved = partition.committed != before.committed
        if before.committed is not None and partition.committed is not None and not recreated:
            consumed += max(0, partition.committed - before.committed)
            if partition.committed < before.committed:
                rewound = RememberedRewind(now, at, before.committed - partition.committed)
        if end is not None and before.end is not None:
            produced += max(0, end - before.end)
        committed = committed or (moved and partition.committed is not None)
        still_since = _still_since(group_lags.partitions[at], before, moved or recreated, now, limits)
        passed = None
        if group_lags.partitions[at].at_most and end == before.end and partition.committed is None is before.committed:
            passed = before.passed_over_since or (now if at in satisfied else None)
        marks[at] = PartitionMark(partition.committed, end, still_since, partition.next_record, passed)
    return _Progress(marks, consumed, produced, committed, rewound)


def _still_since(lag: PartitionLag, before: PartitionMark, moved: bool, now: float, limits: Limits) -> float | None:
    if (lag.lag or 0) < max(1, limits.stalled_min_lag):
        return None
    return now if moved or before.still_since is None else before.still_since
