"""Observation of the consumer groups of a cluster, with as few requests as the protocol allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from monitor.checks.kafka.ages import Record, read_times
from monitor.checks.kafka.client import ClusterClient
from monitor.checks.kafka.connection import IsolationLevel, KafkaConnection
from monitor.checks.kafka.details import GroupDescription
from monitor.checks.kafka.failures import LEADER
from monitor.checks.kafka.groups import list_groups, read_committed, read_groups
from monitor.checks.kafka.offsets import (
    BEGINNING,
    END,
    PartitionOffsets,
    TopicLayout,
    read_brokers,
    read_offsets,
    read_topics,
)
from monitor.checks.kafka.records import next_records
from monitor.model.consumer_groups import GroupObservation, PartitionObservation, TopicPartition, WaitingRecord
from monitor.policy.consumer_groups.lag import UNSUBSCRIBED
from monitor.policy.consumer_groups.outcomes import is_pattern
from monitor.policy.consumer_groups.reasons import GroupProblem

RememberedPartitions = Mapping[str, Collection[TopicPartition]]
FindReadOffsets = Callable[[GroupObservation], Mapping[TopicPartition, int]]
"""Returns the partitions of a group whose records must be read, and for each the offset of the first record to read."""


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Observations of a cluster's groups, sorted by name.

    ``requests`` is the number of sent requests by API name. ``silent_brokers`` are addresses of brokers that did not
    list the groups that they coordinate, so groups that match a pattern may be missing. ``unmatched`` are the names and
    patterns of topics that match no consumed topic.
    """

    groups: Mapping[str, GroupObservation]
    requests: Mapping[str, int]
    silent_brokers: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _ClusterQuery:
    """Arguments of ``observe_cluster``."""

    groups: Sequence[str]
    topics: Sequence[str]
    isolation_level: IsolationLevel
    remembered: RememberedPartitions = field(default_factory=dict)
    find_read_offsets: FindReadOffsets = field(default=lambda _: {})

    def includes(self, topic: str) -> bool:
        return not self.topics or any(fnmatchcase(topic, pattern) for pattern in self.topics)


def observe_cluster(
    connection: KafkaConnection,
    *,
    groups: Sequence[str],
    topics: Sequence[str] = (),
    timeout_seconds: float,
    isolation_level: IsolationLevel = "read_uncommitted",
    remembered: RememberedPartitions | None = None,
    find_read_offsets: FindReadOffsets = lambda _: {},
) -> ClusterSnapshot:
    """Connect to the cluster, observe the groups and disconnect.

    - ``groups`` are names and fnmatch patterns. The result contains every name, and for a pattern the matching consumer
      groups that the brokers list.
    - ``topics`` are names and patterns of the topics to observe. If it is empty, all topics are observed.
    - ``timeout_seconds`` limits the duration of the call, without the time that the system takes to resolve names.
    - ``remembered`` are the groups and partitions of the previous observation. They are requested even if the brokers
      do not list them. A broker that is down lists no groups. A broker of version 0.9 lists no groups without members,
      and returns offsets only for partitions in the request.
    - ``find_read_offsets`` is called with each observation. The heads of record batches are read from the offsets that
      it returns, to find ``PartitionObservation.next_record``.

    Raises CheckFailed if the cluster cannot be observed: ``refused``, ``timeout``, ``reset``, ``name_resolution``,
    ``tls``, ``authentication``, ``unreachable``, ``unsupported_version``, ``import``. A failure of a single group
    or partition raises nothing: its reason is the ``problem`` of the group or partition.
    """
    query = _ClusterQuery(groups, topics, isolation_level, remembered or {}, find_read_offsets)
    with ClusterClient(connection, timeout_seconds) as client:
        return client.run(_observe(client, query))


async def _observe(client: ClusterClient, query: _ClusterQuery) -> ClusterSnapshot:
    await client.connect(client.until(0.9))
    # Each step gets a share of the remaining time. So if a broker does not answer, later steps still have time.
    names, silent = await _names(client, query, client.until(0.4))
    groups = await read_groups(client, names, client.until(0.5))
    has_old_broker = any(group.committed is None for group in groups.values())
    topics = await _topics(client, query, groups, client.until(0.4), all_topics=has_old_broker)
    partitions = {name: _partitions(query, name, group, topics) for name, group in groups.items()}
    if has_old_broker:
        groups = await read_committed(client, groups, partitions, client.until(0.4))
        # Version 0.9: now the commits are known. A partition without a commit is kept only if a member consumes it.
        partitions = {name: _partitions(query, name, group, topics) for name, group in groups.items()}
    uncommitted = {name: _uncommitted(query, group, partitions[name], topics) for name, group in groups.items()}
    all_partitions: set[TopicPartition] = set().union(*partitions.values(), *uncommitted.values())
    level = query.isolation_level
    ends = await read_offsets(client, all_partitions, topics, which=END, isolation_level=level, until=client.until(0.6))
    lagging = {
        partition
        for name, group in groups.items()
        for partition in partitions[name] | uncommitted[name]
        if (group.committed or {}).get(partition, -1) < ends.offsets.get(partition, -1)
    }
    beginnings = await read_offsets(
        client, lagging, topics, which=BEGINNING, isolation_level=level, until=client.until(0.9)
    )
    groups = {name: _problem_if_topic_forbidden(group, topics) for name, group in groups.items()}
    waiting = _waiting_records(groups, partitions, ends, beginnings)
    times = await read_times(client, waiting.values(), topics, time.time(), client.until(0.7))
    observations = {
        name: _observation(name, groups[name], partitions[name], ends, beginnings) for name in sorted(groups)
    }
    for name, observation in observations.items():
        if starts := query.find_read_offsets(observation):
            next_offsets = await next_records(client, starts, topics, client.until(0.9))
            observation = _with_next_records(observation, next_offsets)  # noqa: PLW2901
        unread = sorted(
            partition
            for partition in uncommitted[name]
            if ends.offsets.get(partition, 0) > beginnings.offsets.get(partition, 0)
        )
        unreached = _unreached(client, groups[name], observation, topics)
        record = waiting.get(name)
        oldest = WaitingRecord(record[0], times[record]) if record is not None and record in times else None
        observations[name] = replace(observation, unreached=unreached, unread=tuple(unread), oldest=oldest)
    return ClusterSnapshot(observations, dict(client.requests), silent, _unmatched(query, groups))


async def _names(client: ClusterClient, query: _ClusterQuery, until: float) -> tuple[set[str], tuple[str, ...]]:
    names = {name for name in query.groups if not is_pattern(name)}
    patterns = [name for name in query.groups if is_pattern(name)]
    if not patterns:
        return names, ()
    listed, silent, may_omit_groups = await list_groups(client, await read_brokers(client, until), until)
    if silent or may_omit_groups:
        listed |= set(query.remembered)
    names |= {name for name in listed if any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)}
    return names, tuple(sorted(map(client.address, silent)))


async def _topics(
    client: ClusterClient,
    query: _ClusterQuery,
    groups: Mapping[str, GroupDescription],
    until: float,
    *,
    all_topics: bool,
) -> TopicLayout:
    if all_topics:
        return await read_topics(client, None, until)
    names = {topic for group in groups.values() for topic in group.topics}
    names |= {partition.topic for group in groups.values() for partition in group.committed or ()}
    names = set(filter(query.includes, names))
    return await read_topics(client, names, until) if names else TopicLayout({}, {}, {})


def _partitions(query: _ClusterQuery, name: str, group: GroupDescription, topics: TopicLayout) -> set[TopicPartition]:
    """Return the partitions in which the group has committed, those of its members, and those of subscribed topics."""
    partitions_of_topics = [topics.partitions.get(topic, ()) for topic in group.subscribed]
    if group.committed is None:
        partitions_of_topics += [query.remembered.get(name, ())]
        partitions_of_topics += [
            partitions_of_topic
            for topic, partitions_of_topic in topics.partitions.items()
            if query.topics and query.includes(topic)
        ]
    partitions = set(group.committed or ()).union(*partitions_of_topics, *(member.assigned for member in group.members))
    return {p for p in partitions if query.includes(p.topic)} if query.topics else partitions


def _uncommitted(
    query: _ClusterQuery, group: GroupDescription, partitions: Collection[TopicPartition], topics: TopicLayout
) -> set[TopicPartition]:
    """Return the partitions without a commit, in the topics in which a group without members has committed.

    Empty for a group with members. ``partitions`` are the group's own partitions.
    """
    if group.members or not group.committed:
        return set()
    consumed = {partition.topic for partition in group.committed if query.includes(partition.topic)}
    in_consumed_topics = {partition for topic in consumed for partition in topics.partitions.get(topic, ())}
    return in_consumed_topics - set(partitions)


def _waiting_records(
    groups: Mapping[str, GroupDescription],
    partitions: Mapping[str, Collection[TopicPartition]],
    ends: PartitionOffsets,
    beginnings: PartitionOffsets,
) -> dict[str, Record]:
    """Return, for each group with lag, the oldest waiting record in the group's partition with the most lag.

    The group whose partition has the highest lag is first.
    """
    highest: dict[str, tuple[int, Record]] = {}
    for name, group in groups.items():
        for partition in partitions[name]:
            committed, end = (group.committed or {}).get(partition), ends.offsets.get(partition)
            if committed is None or end is None or group.has_unsubscribed(partition.topic):
                continue
            first = max(committed, beginnings.offsets.get(partition, 0))
            if end > first:
                highest[name] = max(highest.get(name, (0, (partition, first))), (end - first, (partition, first)))
    return {name: record for name, (_, record) in sorted(highest.items(), key=lambda item: -item[1][0])}


def _unmatched(query: _ClusterQuery, groups: Mapping[str, GroupDescription]) -> tuple[str, ...]:
    """Return the names and patterns of topics that match no consumed topic.

    The result is empty if the topics of a group are unknown, because the group may consume a matching topic.
    """
    consumed = [group.topics | {partition.topic for partition in group.committed or ()} for group in groups.values()]
    if not all(consumed):
        return ()
    topics = frozenset().union(*consumed)
    return tuple(
        pattern for pattern in query.topics if topics and not any(fnmatchcase(topic, pattern) for topic in topics)
    )


def _problem_if_topic_forbidden(group: GroupDescription, topics: TopicLayout) -> GroupDescription:
    """Return the group; only its problem ``authorization`` if the monitor may not describe one of its topics.

    The lag of the group without that topic would be too low.
    """
    forbidden = any(topics.problems.get(topic) == GroupProblem.AUTHORIZATION for topic in group.topics)
    return (
        GroupDescription(group.coordinator, problem=GroupProblem.AUTHORIZATION)
        if forbidden and group.problem is None
        else group
    )


def _observation(
    name: str,
    group: GroupDescription,
    partitions: Collection[TopicPartition],
    ends: PartitionOffsets,
    beginnings: PartitionOffsets,
) -> GroupObservation:
    committed = group.committed or {}
    return GroupObservation(
        name,
        known=group.known,
        state=group.state,
        members=group.members,
        partitions={
            partition: PartitionObservation(
                ends.offsets.get(partition),
                committed.get(partition),
                beginnings.offsets.get(partition),
                ends.problems.get(partition) or (UNSUBSCRIBED if group.has_unsubscribed(partition.topic) else None),
            )
            for partition in sorted(partitions)
        },
        problem=group.problem,
    )


def _with_next_records(observation: GroupObservation, next_offsets: Mapping[TopicPartition, int]) -> GroupObservation:
    changed = {
        partition: replace(observation.partitions[partition], next_record=offset)
        for partition, offset in next_offsets.items()
    }
    return replace(observation, partitions={**observation.partitions, **changed})


def _unreached(
    client: ClusterClient, group: GroupDescription, observation: GroupObservation, topics: TopicLayout
) -> tuple[str, ...]:
    leaders = {
        topics.leaders.get(partition)
        for partition, observed in observation.partitions.items()
        if observed.problem == LEADER
    }
    nodes = leaders | ({group.coordinator} if group.problem == GroupProblem.COORDINATOR else set())
    return tuple(sorted(filter(None, map(client.unreached, nodes))))
