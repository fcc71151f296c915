"""Memory of a consumer group between two runs. Its size is bounded.

Times are seconds on the store's clock, in steps of a tenth. `codec` stores them as ages, so a clock that is set back
changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.model.checks import Status
from monitor.model.consumer_groups import TopicPartition

WINDOW_BUCKETS = 10
"""Number of buckets in a window. Old values are dropped one bucket at a time."""

SUSTAINED_PIECES = 16
"""Number of pieces that ``sustained_seconds`` is divided into."""


class PartitionMark(NamedTuple):
    """Position of a partition at the last run.

    ``still_since`` is the time since which records wait in the partition while its committed offset does not move.
    ``next_record`` is the same as in `PartitionObservation`. ``passed_over_since`` is set only for a partition without
    a commit: the time since which its owner has had nothing else to read, and still has not read the records in it.
    """

    committed: int | None
    end: int | None
    still_since: float | None = None
    next_record: int | None = None
    passed_over_since: float | None = None


class RecentValues(NamedTuple):
    """Mildest values of a few consecutive observations: lowest skew, most consumers.

    ``start`` is the time of the first one.
    """

    start: float
    skew: float | None
    consumers: int | None


class WindowBucket(NamedTuple):
    """Totals of the observations in one tenth of the window, from ``start`` to ``end``.

    ``worst`` and ``held`` have the same meaning as in `measurement.WindowedValue`. ``rebalancing`` is the number of
    observations, out of ``observations``, that found a rebalance. ``consumed`` and ``produced`` count messages from
    ``since`` on, which is the time of the observation before the bucket's first. ``busy`` is the number of seconds
    during which other records waited, and ``drained`` is the number of messages that were consumed in these seconds.
    """

    since: float
    start: float
    end: float
    observations: int
    rebalancing: int
    consumed: int
    produced: int
    busy: float = 0.0
    drained: int = 0
    skew_worst: float | None = None
    skew_held: float | None = None
    consumers_worst: int | None = None
    consumers_held: int | None = None


class RememberedRewind(NamedTuple):
    """Move of a committed offset to an earlier record."""

    when: float
    at: TopicPartition
    records: int


class RememberedLoss(NamedTuple):
    """Records that were deleted before the group committed them."""

    when: float
    at: TopicPartition
    records: int


class GroupVerdict(NamedTuple):
    """Verdict on a consumer group.

    ``early`` marks a verdict that was reached too early to count, for example while the group starts. ``held`` is true
    if the numbers are older than this run.
    """

    status: Status
    reason: str | None
    message: str
    data: Mapping[str, Any]
    early: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """Memory of one consumer group.

    ``usual_interval_seconds`` is the usual time between two observations. ``known`` is true if the group has been found
    in the cluster. ``last_commit_at``, ``last_member_at`` and ``rebalanced_at`` are the times of the last observation
    with a new commit, with a member and with a rebalance; the first two begin with the first observation.
    ``settled_at`` is the time at which the group first had enough consumers. ``condition_since`` maps each condition
    that holds to the time since which it holds. ``verdict`` is the last verdict, stored only if it may have to be held,
    and ``numbers_at`` is the time of its numbers.
    """

    first_at: float
    observed_at: float
    last_commit_at: float
    last_member_at: float
    usual_interval_seconds: float = 0.0
    known: bool = True
    settled_at: float | None = None
    rebalanced_at: float | None = None
    deleted_at: float | None = None
    rewound: RememberedRewind | None = None
    lost: RememberedLoss | None = None
    condition_since: Mapping[str, float] = field(default_factory=dict)
    partitions: Mapping[TopicPartition, PartitionMark] = field(default_factory=dict)
    recent: tuple[RecentValues, ...] = ()
    buckets: tuple[WindowBucket, ...] = ()
    verdict: GroupVerdict | None = None
    numbers_at: float | None = None


def new_memory(now: float, known: bool = True) -> GroupMemory:
    """Return the memory of a group at its first observation."""
    return GroupMemory(first_at=now, observed_at=now, last_commit_at=now, last_member_at=now, known=known)
