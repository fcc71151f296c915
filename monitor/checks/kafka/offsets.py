"""What the leaders of partitions know: where each begins and ends."""

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

PARTITIONS_PER_REQUEST = 10_000  # about 0.5 MB to ask; an answer takes the broker some 10 ms
NO_LEADER = -1  # leads a partition whose replicas are all down
END, BEGINNING = -1, -2
_ISOLATION = {"read_uncommitted": 0, "read_committed": 1}


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """Some topics: which partitions they have, and who leads them. ``problems`` are those of whole topics."""

    leaders: Mapping[TopicPartition, Node]
    problems: Mapping[str, str]
    partitions: Mapping[str, Collection[TopicPartition]]

    def leader(self, partition: TopicPartition) -> tuple[Node | None, str | None]:
        """Who leads it, or the problem why nobody does."""
        node = self.leaders.get(partition)
        if node is None:
            return None, self.problems.get(partition.topic, DELETED)
        return (None, LEADER) if node == NO_LEADER else (node, None)


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """Those that were found, and why others were not."""

    found: Mapping[TopicPartition, int]
    problems: Mapping[TopicPartition, str]


async def read_topics(client: ClusterClient, topics: Collection[str] | None, until: float) -> TopicLayout:
    """The leaders of all partitions of these topics; of all there are when None. Raises CheckFailed."""
    wanted = None if topics is None else sorted(topics)

    def build(versions: Versions) -> Any:
        # Before version 4, a topic that is asked for by its name may be created by that.
        if wanted is None or (versions(MetadataRequest) or 0) < 4:
            return MetadataRequest(topics=MetadataRequest.ALL_TOPICS)
        names = [MetadataRequest.MetadataRequestTopic(name=name) for name in wanted]
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
    """The numbers of all brokers of the cluster. Raises CheckFailed."""

    def build(versions: Versions) -> Any:
        nothing = (versions(MetadataRequest) or 0) >= 1
        return MetadataRequest(topics=MetadataRequest.NO_TOPICS if nothing else MetadataRequest.ALL_TOPICS)

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
    """``END`` or ``BEGINNING`` of all of them, together; again of those whose leader is moving."""
    found: dict[TopicPartition, int] = {}
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
            for node, led in by_leader.items()
            for chunk in chunks(led, PARTITIONS_PER_REQUEST)
        )
        for answer in answers:
            found.update(answer.found)
            problems.update(answer.problems)
        pending = {partition for partition in pending if problems.get(partition) == LEADER and partition not in found}
        if not pending or not await client.pause(attempt, until):
            break
        attempt += 1
        try:
            topics = await read_topics(client, {partition.topic for partition in pending}, until)
        except CheckFailed:
            break
        for partition in pending:
            del problems[partition]
    return PartitionOffsets(found, problems)


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
    found: dict[TopicPartition, int] = {}
    problems: dict[TopicPartition, str] = {}
    for topic in answer.topics:
        for row in topic.partitions:
            partition = TopicPartition(topic.name, row.partition_index)
            # What this broker does not know, right after it was named as the leader, has just moved or been deleted.
            problem = LEADER if row.error_code == 3 else partition_problem(row.error_code)
            offset = row.old_style_offsets[0] if answer.API_VERSION == 0 and row.old_style_offsets else row.offset
            if problem:
                problems[partition] = problem
            else:
                found[partition] = offset
    return PartitionOffsets(found, problems)
