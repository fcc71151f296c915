"""Memory of a consumer group: what one run leaves for the next. Its size is bounded.

Times are seconds on the store's clock, in steps of 0.1 s. `codec` stores them as ages, so that they stay right if the
clock is set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.model.checks import Status
from monitor.model.consumer_groups import TopicPartition

WINDOW_BUCKETS = 10
"""Number of buckets in a window. When values leave the window, an entire bucket is removed."""

SUSTAINED_PIECES = 16
"""Number of pieces that ``sustained_seconds`` is divided into."""


class PartitionMark(NamedTuple):
    """Offsets of a partition at the last run.

    - ``still_since`` is set while records wait in the partition and its committed offset does not move. It is the start
      of this time.
    - ``next_record`` is the same as in `PartitionObservation`.
    - ``passed_over_since`` is set only for a partition with records but without a commit, while its owner reads nothing
      although it has no other records to read. It is the start of this time.
    """

    committed: int | None
    end: int | None
    still_since: float | None = None
    next_record: int | None = None
    passed_over_since: float | None = None


class RecentValues(NamedTuple):
    """Lowest skew and highest number of consumers in a few consecutive observations.

    ``start`` is the time of the first observation.
    """

    start: float
    skew: float | None
    consumers: int | None


class WindowBucket(NamedTuple):
    """Totals of the observations in one tenth of the window, from ``start`` to ``end``.

    - ``observations`` is the number of observations. ``rebalancing`` is the number of those that found a rebalance.
    - ``consumed`` and ``produced`` are the numbers of messages since ``since``, the time of the last observation before
      this bucket.
    - ``busy`` is the number of seconds in which records waited. ``drained`` is the number of messages that were
      consumed in these seconds.
    - ``..._worst`` and ``..._held`` have the same meaning as in `measurement.WindowedValue`.
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
    """Move of a committed offset back by ``records``."""

    when: float
    tp: TopicPartition
    records: int


class RememberedLoss(NamedTuple):
    """Records that were deleted before the group committed them."""

    when: float
    tp: TopicPartition
    records: int


class GroupVerdict(NamedTuple):
    """Verdict on a consumer group.

    ``early`` is true if it is too early for a verdict, for example while the group starts. Such a verdict does not make
    the check fail. ``held`` is true if the numbers are from an earlier run.
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

    - ``first_at`` and ``observed_at`` are the times of the first and of the last observation.
    - ``usual_interval_seconds`` is the usual time between two observations.
    - ``known`` is true if the group has been found in the cluster.
    - ``last_commit_at`` is the time of the last observation with a new commit, ``last_member_at`` of the last with a
      member. Without such an observation, both are the time of the first observation.
    - ``rebalanced_at`` is the time of the last observation with a rebalance.
    - ``settled_at`` is the time at which the group first had enough consumers.
    - ``condition_since`` maps each current condition to its start.
    - ``verdict`` is the last verdict, and ``numbers_at`` is the time of its numbers. They are stored only if the check
      holds verdicts.
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
