"""The values that Kafka's consumer groups are told in: what one look at a cluster saw of each.

Offsets are Kafka's: a count of records since the beginning of a partition. Words as in the Kafka protocol.
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
    """A record that waits to be consumed: in which partition, and when it was written, in seconds since the epoch."""

    at: TopicPartition
    written_at: float


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A consumer that is in a group now, and the partitions that the group has given it."""

    member_id: str
    client_id: str
    host: str
    assigned: frozenset[TopicPartition] = frozenset()


@dataclass(frozen=True, slots=True)
class PartitionObservation:
    """What was seen of a partition, for one group.

    ``committed`` is the group's offset, None when it has committed none (or it has expired). ``end`` is the offset of
    the next record to be written, None when the leader did not say (``problem`` then tells why). ``beginning`` is the
    first offset that is still there, None where nobody asked. ``problem`` is also ``unsubscribed``, of a topic that the
    group has committed in and does not consume any more. ``next_record`` is set where the records behind the committed
    offset were read: no committed record lies before it, only aborted ones and markers of transactions.
    """

    end: int | None
    committed: int | None
    beginning: int | None = None
    problem: str | None = None
    next_record: int | None = None


@dataclass(frozen=True, slots=True)
class GroupObservation:
    """What was seen of a consumer group.

    ``state`` is the broker's word (``Stable``, ``Empty``, ``PreparingRebalance``, ``CompletingRebalance``, ``Dead``;
    ``Assigning`` and ``Reconciling`` for groups of KIP-848), empty when it did not say. ``known`` is False when the
    cluster has no group of that name. ``problem`` is a reason code when this group, alone, could not be looked at
    (``authorization``, ``coordinator``, ``share_group``). ``unreached`` are the addresses of brokers that did not
    answer for it, and why: its coordinator, leaders of its partitions. ``unmatched`` are the patterns of topics of
    which the group consumes none. ``unread`` are partitions with records, of topics that a group without members (as
    ``assign()`` has none) commits in, in which it has committed nothing. ``oldest`` is the
    oldest record that waits in the partition with the most lag, None where nobody could tell.
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
