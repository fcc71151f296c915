"""From a look at a group, and what is remembered of it, to what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from monitor.model.consumer_groups import GroupObservation, PartitionObservation, TopicPartition
from monitor.policy.consumer_groups import window
from monitor.policy.consumer_groups.lag import DELETED, UNSUBSCRIBED, GroupLags, PartitionLag, lags
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measurement import CommitRewind, Measurement, RecordLoss, StuckPartition
from monitor.policy.consumer_groups.memory import GroupMemory, PartitionMark, RememberedLoss, RememberedRewind

E = TypeVar("E", RememberedRewind, RememberedLoss)

REBALANCING = frozenset({"PreparingRebalance", "CompletingRebalance", "AwaitingSync", "Assigning", "Reconciling"})
"""States of the brokers from 0.9 on; the last two are those of KIP-848."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """What has changed since the last look: where the partitions are now, and how many messages went through."""

    marks: Mapping[TopicPartition, PartitionMark]
    consumed: int = 0
    produced: int = 0
    committed: bool = False
    rewound: RememberedRewind | None = None


def derive_measurement(
    sight: GroupObservation, memory: GroupMemory, now: float, limits: Limits
) -> tuple[GroupMemory, Measurement]:
    """What was measured, and what is remembered now. Time during which nobody looked is not taken for a standstill."""
    gap = window.is_gap(memory, now, limits)
    before = restart_standstills(memory, now) if gap or window.is_interrupted(memory, now, limits) else memory
    before = replace(before, seen_at=now, buckets=(), rebalanced_at=None) if gap else before
    sight = with_known_positions(sight, memory.partitions)
    ends = {at: mark.end for at, mark in memory.partitions.items() if mark.end is not None}
    found = lags(sight, ends, limits.skew_min_lag, passed_over(sight, before, now, limits))
    moves = _moves(sight, found, before, now, limits)
    rebalancing = sight.state in REBALANCING
    count = len(sight.members)
    settles = before.settled_at is None and count >= limits.min_consumers and not rebalancing
    look = window.WindowEntry(found.skew, count, rebalancing)
    if not gap:
        look = replace(look, consumed=moves.consumed, produced=moves.produced, busy=_waited(memory))
    after = replace(
        window.add_entry(window.forget_consumer_counts(before) if settles else before, look, now, limits),
        pace=window.usual_interval(memory, now),
        seen_at=now,
        moved_at=now if moves.committed else before.moved_at,
        member_at=now if count else before.member_at,
        settled_at=now if settles else before.settled_at,
        rebalanced_at=now if rebalancing else before.rebalanced_at,
        rewound=moves.rewound or _lately(before.rewound, now, limits),
        lost=_lost(found, now, limits) or _lately(before.lost, now, limits),
        partitions=moves.marks,
        gone_at=None,
    )
    return after, _measurement(sight, found, after, now, limits)


def restart_standstills(memory: GroupMemory, now: float) -> GroupMemory:
    """Who could not be looked at could perhaps not consume either: the broker was down, the group not there."""
    marks = {at: mark._replace(still_since=None, passed_over_since=None) for at, mark in memory.partitions.items()}
    return replace(memory, moved_at=now, member_at=now, recent=(), spells={}, partitions=marks)


def with_known_positions(sight: GroupObservation, marks: Mapping[TopicPartition, PartitionMark]) -> GroupObservation:
    """Return the sight, with what was read earlier of partitions whose committed offset has not moved since."""
    known = {
        at: replace(sight.partitions[at], next_record=mark.next_record)
        for at, mark in marks.items()
        if mark.next_record is not None and at in sight.partitions and _still_holds(sight.partitions[at], mark)
    }
    return replace(sight, partitions={**sight.partitions, **known}) if known else sight


def passed_over(sight: GroupObservation, memory: GroupMemory, now: float, limits: Limits) -> set[TopicPartition]:
    """Return the partitions without a commit whose records the group has left alone for a whole window."""
    return {
        at
        for at, mark in memory.partitions.items()
        if mark.passed_over_since is not None
        and now - mark.passed_over_since >= limits.window_seconds
        and at in sight.partitions
        and sight.partitions[at].end == mark.end
    }


def drain_eta(lag: int, rate: float | None) -> float | None:
    """Return how long it takes to consume what waits, at this rate; None when nothing is consumed."""
    if lag == 0:
        return 0.0
    return lag / rate if rate else None


def unreachable_threshold(threshold: float | None, found: GroupLags) -> str | None:
    """Return a note on a threshold of the skew that cannot be passed: max / mean is at most the number of partitions.

    Only partitions whose lag is known can have the maximum.
    """
    if threshold is None or found.widest == 0 or threshold < found.known or (found.skew or 0.0) > threshold:
        return None
    if threshold >= found.widest:
        return f"the skew threshold of {threshold}x cannot be passed: no topic has more than {found.widest} partitions"
    few = f"{found.known} partition{'s' if found.known != 1 else ''} with a committed offset"
    return f"the skew threshold of {threshold}x may be out of reach: no topic has more than {few}"


def _measurement(
    sight: GroupObservation, found: GroupLags, memory: GroupMemory, now: float, limits: Limits
) -> Measurement:
    speed = window.rates(memory, now, limits)
    consume_rate, produce_rate = speed or (None, None)
    owned = {at for member in sight.members for at in member.assigned}
    unassigned = [at for at in sight.partitions if at not in owned]
    hint = unreachable_threshold(limits.skew_threshold, found)
    return Measurement(
        skew=window.windowed_skew(memory, found.skew),
        consumers=window.windowed_consumers(memory, len(sight.members)),
        lag=found.total,
        lag_seconds=_age(sight, found, now),
        retention_share=_retention_share(sight, found),
        drain_eta_seconds=drain_eta(found.total, window.drain_rate(memory, limits)),
        consume_rate=consume_rate,
        produce_rate=produce_rate,
        partitions=len(sight.partitions),
        hottest=f"{found.hottest.topic}[{found.hottest.partition}]" if found.hottest else None,
        state=sight.state,
        unassigned=len(unassigned),
        unowned=_unowned(sight, owned, unassigned),
        memberless_seconds=0.0 if sight.members else now - memory.member_at,
        silent_seconds=now - memory.moved_at,
        stuck=_stuck(found, memory, now, limits),
        rewind=_rewind(memory.rewound, now),
        loss=RecordLoss(memory.lost.at, memory.lost.records, now - memory.lost.when) if memory.lost else None,
        rebalancing=window.rebalancing_share(memory, now, limits),
        settled=memory.settled_at is not None,
        unmatched=sight.unmatched,
        notes=tuple(filter(None, (*found.notes, _unread(sight), hint))),
    )


def _age(sight: GroupObservation, found: GroupLags, now: float) -> float | None:
    """How old the oldest record is that waits in the partition with the most lag; 0 when none waits."""
    if found.hottest is None:
        return _none_waits(sight)
    oldest = sight.oldest
    return max(0.0, now - oldest.written_at) if oldest is not None and oldest.at == found.hottest else None


def _retention_share(sight: GroupObservation, found: GroupLags) -> float | None:
    """The share of the records in the partition with the most lag that wait: at 1, the retention deletes them next."""
    if found.hottest is None:
        return _none_waits(sight)
    partition = sight.partitions[found.hottest]
    if partition.end is None or partition.beginning is None or partition.end <= partition.beginning:
        return None
    return min(1.0, (found.partitions[found.hottest].lag or 0) / (partition.end - partition.beginning))


def _none_waits(sight: GroupObservation) -> float | None:
    return None if any(partition.end is None for partition in sight.partitions.values()) else 0.0


def _unread(sight: GroupObservation) -> str | None:
    if not sight.unread:
        return None
    count, first = len(sight.unread), sight.unread[0]
    plural = "s" if count > 1 else ""
    return f"{count} partition{plural} that no member reads, such as {first.topic}[{first.partition}]"


def _waited(memory: GroupMemory) -> bool:
    """Whether there were records to consume at the last look."""
    marks = memory.partitions.values()
    return any(
        mark.committed is not None and mark.end is not None and mark.end > max(mark.committed, mark.next_record or 0)
        for mark in marks
    )


def _unowned(sight: GroupObservation, owned: set[TopicPartition], unassigned: list[TopicPartition]) -> int:
    """Partitions without owner, of topics that members do have partitions of.

    Those that the group never committed in may be new: clients learn of them within metadata.max.age.ms, 5 minutes.
    """
    if sight.state in REBALANCING:
        return 0
    topics = {at.topic for at in owned}
    there = (at for at in unassigned if at.topic in topics and sight.partitions[at].problem != DELETED)
    return sum(sight.partitions[at].committed is not None for at in there)


def _stuck(found: GroupLags, memory: GroupMemory, now: float, limits: Limits) -> tuple[StuckPartition, ...]:
    stuck = [
        StuckPartition(at, found.partitions[at].lag or 0, now - mark.still_since)
        for at, mark in memory.partitions.items()
        if mark.still_since is not None and now - mark.still_since >= limits.stalled_after_seconds
    ]
    return tuple(sorted(stuck, key=lambda each: (-each.seconds, each.at)))


def _rewind(rewound: RememberedRewind | None, now: float) -> CommitRewind | None:
    return CommitRewind(rewound.at, rewound.records, now - rewound.when) if rewound else None


def _lately(event: E | None, now: float, limits: Limits) -> E | None:
    return event if event and now - event.when < limits.window_seconds else None


def _lost(found: GroupLags, now: float, limits: Limits) -> RememberedLoss | None:
    # One may have been the end of a transaction.
    losses = [(lag.lost, at) for at, lag in found.partitions.items() if lag.lost >= limits.stalled_min_lag]
    return RememberedLoss(now, max(losses)[1], max(losses)[0]) if losses else None


def _still_holds(partition: PartitionObservation, mark: PartitionMark) -> bool:
    ends = partition.end is None or mark.end is None or partition.end >= mark.end  # else the topic was made anew
    return ends and partition.next_record is None and partition.committed == mark.committed


def _satisfied(sight: GroupObservation, found: GroupLags, memory: GroupMemory) -> set[TopicPartition]:
    """Return the partitions of members that have committed something since the last look, and have nothing to read.

    Nothing in partitions that they commit in: with `earliest` they would go on with the others.
    """
    satisfied: set[TopicPartition] = set()
    for member in sight.members:
        commits = {at: sight.partitions[at].committed for at in member.assigned if at in sight.partitions}
        commits = {at: committed for at, committed in commits.items() if committed is not None}
        moved = any(at in memory.partitions and memory.partitions[at].committed != to for at, to in commits.items())
        if moved and all(found.partitions[at].lag == 0 for at in commits):
            satisfied |= member.assigned
    return satisfied


def _moves(sight: GroupObservation, found: GroupLags, memory: GroupMemory, now: float, limits: Limits) -> _Progress:
    marks: dict[TopicPartition, PartitionMark] = {}
    satisfied = _satisfied(sight, found, memory)
    consumed = produced = 0
    committed, rewound = False, None
    for at, partition in sight.partitions.items():
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
        still_since = _still_since(found.partitions[at], before, moved or recreated, now, limits)
        passed = None
        if found.partitions[at].at_most and end == before.end and partition.committed is None is before.committed:
            passed = before.passed_over_since or (now if at in satisfied else None)
        marks[at] = PartitionMark(partition.committed, end, still_since, partition.next_record, passed)
    return _Progress(marks, consumed, produced, committed, rewound)


def _still_since(lag: PartitionLag, before: PartitionMark, moved: bool, now: float, limits: Limits) -> float | None:
    if (lag.lag or 0) < max(1, limits.stalled_min_lag):
        return None
    return now if moved or before.still_since is None else before.still_since
