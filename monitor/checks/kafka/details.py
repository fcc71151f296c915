"""Descriptions of groups, decoded from the responses of coordinators."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from monitor.checks.kafka.client import Node
from monitor.checks.kafka.failures import NOT_FOUND, group_problem
from monitor.model.consumer_groups import GroupMember, TopicPartition
from monitor.policy.consumer_groups.reasons import GroupProblem

Committed = Mapping[TopicPartition, int]

NO_OFFSET = -1
STABLE = "Stable"


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """Description of a group by its coordinator.

    - ``known`` is False if the cluster has no such group.
    - ``committed`` is None if the broker is older than 0.10.2. Such a broker returns offsets only for partitions that
      the request names.
    - ``subscribed`` are the topics to which members subscribe by name.
    - ``lists_all_topics`` is False if a member subscribes by pattern, or if the subscription of a member is not known.
    """

    coordinator: Node | None = None
    known: bool = False
    state: str = ""
    members: tuple[GroupMember, ...] = ()
    subscribed: frozenset[str] = frozenset()
    lists_all_topics: bool = False
    committed: Committed | None = field(default_factory=dict)
    problem: str | None = None

    @property
    def topics(self) -> frozenset[str]:
        """Return the topics to which members subscribe by name, and the topics of assigned partitions."""
        return self.subscribed.union(at.topic for member in self.members for at in member.assigned)

    def has_unsubscribed(self, topic: str) -> bool:
        """Return whether the group no longer consumes ``topic``. False if that is not known, as in a rebalance."""
        return self.lists_all_topics and self.state == STABLE and topic not in self.topics


def merged(
    group: GroupDescription, committed: Committed | None, problem: str | None, *, describes_all_types: bool
) -> GroupDescription:
    """Return the description with the committed offsets. If a response contains a problem, return only the problem.

    If a broker does not describe a group that has offsets, the cause depends on the version of the broker:

    - 4.0 and newer (``describes_all_types``): this check does not support the type of the group.
    - older: the group has no members. The broker reports such a group as dead.
    """
    if problem := group.problem or problem:
        return GroupDescription(group.coordinator, problem=problem)
    if group.known or not committed:
        return replace(group, committed=committed)
    if describes_all_types:
        return replace(group, known=True, committed=committed, problem=GroupProblem.UNSUPPORTED)
    return replace(group, known=True, state="Empty", committed=committed)


def from_describe_groups(node: Node, group: Any) -> GroupDescription:
    """Return the description from a row of a DescribeGroups response."""
    problem = None if group.error_code == NOT_FOUND else group_problem(group.error_code)
    known = not group.error_code and group.group_state not in ("", "Dead")
    is_consumer_group = group.protocol_type == "consumer"
    members, topics, lists_all_topics = [], set(), bool(group.members)
    for member in group.members:
        # Brokers do not interpret these bytes, which clients write. They are empty unless the group is Stable.
        assigned = _decoded(ConsumerProtocolAssignment, member.member_assignment) if is_consumer_group else None
        subscription = _decoded(ConsumerProtocolSubscription, member.member_metadata) if is_consumer_group else None
        lists_all_topics = lists_all_topics and bool(subscription and subscription.topics)
        topics |= set(subscription.topics if subscription else ())
        partitions = {TopicPartition(*partition) for partition in (assigned.partitions() if assigned else ())}
        members.append(_member(member, partitions))
    return GroupDescription(
        node, known, group.group_state, tuple(members), frozenset(topics), lists_all_topics, problem=problem
    )


def from_consumer_group_describe(node: Node, group: Any) -> GroupDescription:
    """Return the description from a row of a ConsumerGroupDescribe response (KIP-848)."""
    members, topics, lists_all_topics = [], set(), bool(group.members)
    for member in group.members:
        lists_all_topics = (
            lists_all_topics and bool(member.subscribed_topic_names) and not member.subscribed_topic_regex
        )
        topics |= set(member.subscribed_topic_names or ())
        rows = member.assignment.topic_partitions
        members.append(_member(member, {TopicPartition(row.topic_name, p) for row in rows for p in row.partitions}))
    problem = group_problem(group.error_code)
    known = problem is None
    return GroupDescription(
        node, known, group.group_state, tuple(members), frozenset(topics), lists_all_topics, problem=problem
    )


def committed_offsets(row: Any) -> dict[TopicPartition, int]:
    """Return the committed offsets in an OffsetFetch response for one group, or in one group of a response."""
    return {
        TopicPartition(topic.name, partition.partition_index): partition.committed_offset
        for topic in row.topics
        for partition in topic.partitions
        if partition.committed_offset != NO_OFFSET and not partition.error_code
    }


def _member(member: Any, assigned: Collection[TopicPartition]) -> GroupMember:
    return GroupMember(member.member_id, member.client_id, member.client_host.lstrip("/"), frozenset(assigned))


def _decoded(message_class: Any, data: Any) -> Any:
    try:
        return message_class.decode(bytes(data)) if data else None
    except Exception:  # noqa: BLE001  the client may have sent any bytes
        return None
