"""Values of Kafka consumer groups: what one request to a cluster returned about each group.

An offset counts records from the beginning of a partition. Terms are those of the Kafka protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class WaitingRecord(NamedTuple):
    """A record that waits to be consumed: its partition, and when it was written, in seconds since the epoch."""

    at: TopicPartition
    written_at: float


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A consumer that is currently in a group, and the partitions that are assigned to it."""

    member_id: str
    client_id: str
    host: str
    assigned: frozenset[TopicPartition] = frozenset()


@dataclass(frozen=True, slots=True)
class PartitionObservation:
    """The observed offsets of a partition for one group.

    - ``end`` is the offset of the next record to be written; None when the leader returned none (``problem`` is then
      the reason).
    - ``committed`` is the group's committed offset; None when there is none, or it has expired.
    - ``beginning`` is the first offset that still exists; None when it was not requested.
    - ``problem`` is also ``unsubscribed``, for a topic that the group has committed in but no longer consumes.
    - ``next_record`` is set when the records after the committed offset were read: before it there are only aborted
      records and transaction markers, no committed record.
    """

    end: int | None
    committed: int | None
    beginning: int | None = None
    problem: str | None = None
    next_record: int | None = None


@dataclass(frozen=True, slots=True)
class GroupObservation:
    """The observed state of a consumer group.

    - ``known`` is False when the cluster has no group of that name.
    - ``state`` is the broker's term (``Stable``, ``Empty``, ``PreparingRebalance``, ``CompletingRebalance``, ``Dead``;
      ``Assigning`` and ``Reconciling`` for groups of KIP-848), empty when the broker returned none.
    - ``problem`` is a reason code when only this group could not be read (``authorization``, ``coordinator``,
      ``share_group``).
    - ``unreached`` are the brokers needed for this group (its coordinator, leaders of its partitions) that did not
      answer, with the reason.
    - ``unmatched`` are the topic patterns that match no topic that the group consumes.
    - ``unread`` are partitions with records but without a commit of this group, in topics that it commits in while it
      has no members (``assign()`` has none).
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
