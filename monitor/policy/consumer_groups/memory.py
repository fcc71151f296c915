"""What is remembered of a consumer group from one look to the next: bounded, whatever happens.

Times are seconds by the store's clock, whole tenths. `codec` writes them down as ages, so that a clock which goes
back changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.model.checks import Status
from monitor.model.consumer_groups import TopicPartition

WINDOW_BUCKETS = 10
"""Into so many pieces the window is divided: what is older than it is forgotten piece by piece."""

SUSTAINED_PIECES = 16
"""And ``sustained`` into so many."""


class PartitionMark(NamedTuple):
    """Where a partition was.

    ``still_since``: since when records wait in it and the committed offset stands. ``next_record`` as in
    `PartitionSight`.
    ``passed_over_since``, of a partition without a commit: since when its owner, with nothing else to read, has left
    alone the records that are in it.
    """

    committed: int | None
    end: int | None
    still_since: float | None = None
    next_record: int | None = None
    passed_over_since: float | None = None


class RecentValues(NamedTuple):
    """The mildest values of some looks in close succession, of which the first was at ``start``."""

    start: float
    skew: float | None
    consumers: int | None


class WindowBucket(NamedTuple):
    """What the looks of a tenth of the window saw, from ``start`` to ``end``.

    ``worst`` and ``held`` as in `measurement.Windowed`, ``rebalancing`` of ``looks`` saw a rebalance, ``consumed``
    and ``produced`` count the messages since ``since``: the look before its first. ``drained`` of those that were
    consumed were so in the ``busy`` seconds during which others waited.
    """

    since: float
    start: float
    end: float
    looks: int
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
    """A committed offset that went back."""

    when: float
    at: TopicPartition
    records: int


class RememberedLoss(NamedTuple):
    """Records that were deleted before the group had committed them."""

    when: float
    at: TopicPartition
    records: int


class GroupVerdict(NamedTuple):
    """The verdict on a group.

    ``early`` says of an ``unknown`` that it is too early to say more, ``held`` that the numbers are not those of now.
    """

    status: Status
    reason: str | None
    message: str
    data: Mapping[str, Any]
    early: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """That of one group. ``pace`` is the usual time between two looks; ``known`` whether there was such a group.

    ``moved_at`` is when a commit was seen, ``member_at`` when a member was (or the first look), ``rebalanced_at``
    when a rebalance was. ``spells`` says since when a condition holds. ``verdict`` is the last one, where it may have
    to be kept, and ``numbers_at`` the time of its numbers.
    """

    first_at: float
    seen_at: float
    moved_at: float
    member_at: float
    pace: float = 0.0
    known: bool = True
    settled_at: float | None = None
    rebalanced_at: float | None = None
    gone_at: float | None = None
    rewound: RememberedRewind | None = None
    lost: RememberedLoss | None = None
    spells: Mapping[str, float] = field(default_factory=dict)
    partitions: Mapping[TopicPartition, PartitionMark] = field(default_factory=dict)
    recent: tuple[RecentValues, ...] = ()
    buckets: tuple[WindowBucket, ...] = ()
    verdict: GroupVerdict | None = None
    numbers_at: float | None = None


def new_memory(now: float, known: bool = True) -> GroupMemory:
    """That of a group which is seen for the first time."""
    return GroupMemory(first_at=now, seen_at=now, moved_at=now, member_at=now, known=known)
