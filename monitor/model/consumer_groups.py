"""Values of Kafka consumer groups, as one observation of a cluster returned them. The terms are those of Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class WaitingRecord(NamedTuple):
    """A record that waits to be consumed: its partition, and the time at which it was written."""

    at: TopicPartition
    written_at: float


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A current member of a group, and the partitions that are assigned to this member."""

    member_id: str
    client_id: str
    host: str
    assigned: frozenset[TopicPartition] = frozenset()


@dataclass(frozen=True, slots=True)
class PartitionObservation:
    """The observed offsets of a partition for one group.

    - ``end`` is the offset of the next record to be written; None when the leader returned no offset.
    - ``committed`` is the group's committed offset; None when the group has none, or when it has expired.
    - ``beginning`` is the first offset that still exists; None when it was not requested.
    - ``problem`` is the reason why ``end`` is None; or ``unsubscribed``, when the group has a committed offset but no
      longer consumes the topic.
    - ``next_record`` is the offset of the first record after the committed offset that a consumer would get. The
      offsets before it are aborted records and transaction markers. None when the records were not read.
    """

    end: int | None
    committed: int | None
    beginning: int | None = None
    problem: str | None = None
    next_record: int | None = None


@dataclass(frozen=True, slots=True)
class GroupObservation:
    """The observed state of a consumer group.

    - ``known`` is False when the cluster has no group of this name.
    - ``state`` is the state that the broker returned; empty when it returned none. Its values are ``Stable``,
      ``Empty``, ``PreparingRebalance``, ``CompletingRebalance``, ``Dead``, and for groups of KIP-848 ``Assigning`` and
      ``Reconciling``.
    - ``problem`` is the reason why this group could not be read, although other groups could: ``authorization``,
      ``coordinator`` or ``share_group``.
    - ``unreached`` are the brokers that did not answer, each with the reason. Only brokers that this group needs are
      listed: its coordinator and the leaders of its partitions.
    - ``unmatched`` are the configured topic patterns that match no topic of the group.
    - ``unread`` are partitions that have records but no committed offset of this group. They are determined only for a
      group without members (consumers that use ``assign()`` are no members), in topics where the group has committed
      other partitions.
    - ``oldest`` is the oldest waiting record of the partition with the most lag; None when it could not be determined.
    """

    group: str
    known: bool
    state: str = ""
    members: tuple[GroupMember, ...] = ()
    partitions: Mapping[TopicPartition, PartitionObservation] = field(default_factory=dict)
    problem: str | None = None
    unreached: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    unread: tuple[TopicPartition, ...] = ()
    oldest: WaitingRecord | None = None
