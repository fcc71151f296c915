"""Requests for the metadata of topics, and requests to the leaders of partitions for first and end offsets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError
from kafka.protocol.consumer import ListOffsetsRequest
from kafka.protocol.metadata import MetadataRequest

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.client import ClusterClient, Node, Versions
from monitor.checks.kafka.connection import IsolationLevel
from monitor.checks.kafka.failures import LEADER, partition_problem
from monitor.checks.kafka.groups import by_topic, chunks
from monitor.model.consumer_groups import TopicPartition
from monitor.policy.consumer_groups.lag import DELETED

PARTITIONS_PER_REQUEST = 10_000  # about 0.5 MB; a broker answers in about 10 ms
NO_LEADER = -1  # what Kafka returns as the leader of a partition whose replicas are all down
END, BEGINNING = -1, -2
_ISOLATION = {"read_uncommitted": 0, "read_committed": 1}


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """Partitions of topics, and the leaders of the partitions. ``problems`` maps a topic to its problem."""

    leaders: Mapping[TopicPartition, Node]
    problems: Mapping[str, str]
    partitions: Mapping[str, Collection[TopicPartition]]

    def leader(self, partition: TopicPartition) -> tuple[Node | None, str | None]:
        """Return the leader of a partition and None, or None and the problem if the partition has no leader."""
        node = self.leaders.get(partition)
        if node is None:
            return None, self.problems.get(partition.topic, DELETED)
        return (None, LEADER) if node == NO_LEADER else (node, None)


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """Offsets of partitions, and the problems of the partitions whose offset is not known."""

    offsets: Mapping[TopicPartition, int]
    problems: Mapping[TopicPartition, str]


async def read_topics(client: ClusterClient, topics: Collection[str] | None, until: float) -> TopicLayout:
    """Return the partitions and leaders of ``topics``; None means all topics. Raises CheckFailed."""
    requested = None if topics is None else sorted(topics)

    def build(versions: Versions) -> Any:
        # Before version 4, a request that contains the name of a topic may create the topic.
        if requested is None or (versions(MetadataRequest) or 0) < 4:
            return MetadataRequest(topics=MetadataRequest.ALL_TOPICS)
        names = [MetadataRequest.MetadataRequestTopic(name=name) for name in requested]
        return MetadataRequest(topics=names, allow_auto_topic_creation=False, max_version=9)

    answer = await client.send_to_any(build, until)
    client.learn_brokers(answer)
    leaders: dict[TopicPartition, Node] = {}
    problems: dict[str, str] = {}
    partitions: dict[str, Collection[TopicPartition]] = {}
    for topic in answer.topics:
        if problem := partition_problem(topic.error_code):
            problems[topic.name] = problem
        rows = {TopicPartition(topic.name, row.partition_index): row.leader_id for row in topic.partitions}
        leaders |= rows
        partitions[topic.name] = tuple(rows)
    return TopicLayout(leaders, problems, partitions)


async def read_brokers(client: ClusterClient, until: float) -> tuple[Node, ...]:
    """Return the numbers of all brokers of the cluster. Raises CheckFailed."""

    def build(versions: Versions) -> Any:
        may_omit_topics = (versions(MetadataRequest) or 0) >= 1
        return MetadataRequest(topics=MetadataRequest.NO_TOPICS if may_omit_topics else MetadataRequest.ALL_TOPICS)

    return client.learn_brokers(await client.send_to_any(build, until))


async def read_offsets(
    client: ClusterClient,
    partitions: Collection[TopicPartition],
    topics: TopicLayout,
    *,
    which: int,
    isolation_level: IsolationLevel,
    until: float,
) -> PartitionOffsets:
    """Return the end offsets or the first offsets of partitions. Repeats requests while a leader is moving.

    ``which`` is ``END`` or ``BEGINNING``.
    """
    offsets: dict[TopicPartition, int] = {}
    problems: dict[TopicPartition, str] = {}
    pending, attempt = set(partitions), 0
    while pending:
        by_leader = defaultdict(list)
        for partition in sorted(pending):
            node, problem = topics.leader(partition)
            if node is None:
                problems[partition] = problem or LEADER
            else:
                by_leader[node].append(partition)
        answers = await client.gather(
            _read(client, node, _request(chunk, which, isolation_level), until)
            for node, partitions_of_leader in by_leader.items()
            for chunk in chunks(partitions_of_leader, PARTITIONS_PER_REQUEST)
        )
        for answer in answers:
            offsets.update(answer.offsets)
            problems.update(answer.problems)
        pending = {partition for partition in pending if problems.get(partition) == LEADER and partition not in offsets}
        if not pending or not await client.pause(attempt, until):
            break
        attempt += 1
        try:
            topics = await read_topics(client, {partition.topic for partition in pending}, until)
        except CheckFailed:
            break
        for partition in pending:
            del problems[partition]
    return PartitionOffsets(offsets, problems)


def _request(partitions: Collection[TopicPartition], which: int, isolation_level: IsolationLevel) -> Any:
    def topic_request(topic: str, numbers: list[int]) -> Any:
        rows = [ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition(n, timestamp=which) for n in numbers]
        return ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=rows)

    topics = by_topic(partitions, topic_request)
    return ListOffsetsRequest(isolation_level=_ISOLATION[isolation_level], topics=topics, max_version=9)


async def _read(client: ClusterClient, node: Node, request: Any, until: float) -> PartitionOffsets:
    try:
        answer = await client.send(node, request, until)
    except KafkaError:
        rows = [TopicPartition(topic.name, row.partition_index) for topic in request.topics for row in topic.partitions]
        return PartitionOffsets({}, dict.fromkeys(rows, LEADER))
    offsets: dict[TopicPartition, int] = {}
    problems: dict[TopicPartition, str] = {}
    for topic in answer.topics:
        for row in topic.partitions:
            partition = TopicPartition(topic.name, row.partition_index)
            # A moment ago, this broker was the leader according to the metadata. If it does not know the partition
            # (error 3), the partition was just moved or deleted: new metadata are requested.
            problem = LEADER if row.error_code == 3 else partition_problem(row.error_code)
            offset = row.old_style_offsets[0] if answer.API_VERSION == 0 and row.old_style_offsets else row.offset
            if problem:
                problems[partition] = problem
            else:
                offsets[partition] = offset
    return PartitionOffsets(offsets, problems)
