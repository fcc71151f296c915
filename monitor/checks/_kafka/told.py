"""What the answers of coordinators say about a group."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from monitor.checks._kafka.client import Node
from monitor.checks._kafka.failures import NOT_FOUND, UNSUPPORTED, group_problem
from monitor.consumer_groups import Member, TopicPartition

Committed = Mapping[TopicPartition, int]

NO_OFFSET = -1


@dataclass(frozen=True, slots=True)
class Told:
    """What a group's coordinator says. ``committed`` is None where only the topics that one names are told (0.9)."""

    coordinator: Node | None = None
    known: bool = False
    state: str = ""
    members: tuple[Member, ...] = ()
    subscribed: frozenset[str] = frozenset()
    committed: Committed | None = field(default_factory=dict)
    problem: str | None = None


def combined(group: Told, committed: Committed | None, problem: str | None, *, knows_all: bool) -> Told:
    """What both answers say together; nothing but the problem, where one of them has one.

    ``knows_all``: a broker that does not describe a group, which has offsets, does not describe that sort of groups
    (4.0 and newer). Older ones call a group dead that has no members.
    """
    if problem := group.problem or problem:
        return Told(group.coordinator, problem=problem)
    if group.known or not committed:
        return replace(group, committed=committed)
    if knows_all:
        return replace(group, known=True, committed=committed, problem=UNSUPPORTED)
    return replace(group, known=True, state="Empty", committed=committed)


def classic(node: Node, group: Any) -> Told:
    """A row of DescribeGroups."""
    problem = None if group.error_code == NOT_FOUND else group_problem(group.error_code)
    known = not group.error_code and group.group_state not in ("", "Dead")
    consumers = group.protocol_type == "consumer"
    members, topics = [], set()
    for member in group.members:
        # The bytes are the clients' own business, and empty while the group is not Stable.
        assigned = _decoded(ConsumerProtocolAssignment, member.member_assignment) if consumers else None
        subscription = _decoded(ConsumerProtocolSubscription, member.member_metadata) if consumers else None
        topics |= set(subscription.topics if subscription else ())
        partitions = {TopicPartition(*partition) for partition in (assigned.partitions() if assigned else ())}
        members.append(_member(member, partitions))
    return Told(node, known, group.group_state, tuple(members), frozenset(topics), problem=problem)


def kip_848(node: Node, group: Any) -> Told:
    """A row of ConsumerGroupDescribe."""
    members, topics = [], set()
    for member in group.members:
        topics |= set(member.subscribed_topic_names or ())
        rows = member.assignment.topic_partitions
        members.append(_member(member, {TopicPartition(row.topic_name, p) for row in rows for p in row.partitions}))
    problem = group_problem(group.error_code)
    return Told(node, problem is None, group.group_state, tuple(members), frozenset(topics), problem=problem)


def offsets(row: Any) -> dict[TopicPartition, int]:
    """What a group has committed, of a row of OffsetFetch, or of an answer about one group."""
    return {
        TopicPartition(topic.name, partition.partition_index): partition.committed_offset
        for topic in row.topics
        for partition in topic.partitions
        if partition.committed_offset != NO_OFFSET and not partition.error_code
    }


def _member(member: Any, assigned: Collection[TopicPartition]) -> Member:
    return Member(member.member_id, member.client_id, member.client_host.lstrip("/"), frozenset(assigned))


def _decoded(kind: Any, data: Any) -> Any:
    try:
        return kind.decode(bytes(data)) if data else None
    except Exception:  # noqa: BLE001  whatever a client may have written there
        return None
