"""Requests to the coordinators of consumer groups: names of groups, members and committed offsets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from kafka.errors import KafkaError
from kafka.protocol.admin import DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer import OffsetFetchRequest
from kafka.protocol.metadata import FindCoordinatorRequest

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.client import ClusterClient, Node, Versions
from monitor.checks.kafka.details import (
    Committed,
    GroupDescription,
    committed_offsets,
    from_consumer_group_describe,
    from_describe_groups,
    merged,
)
from monitor.checks.kafka.failures import NOT_FOUND, group_problem
from monitor.checks.kafka.protocol import ConsumerGroupDescribeRequest
from monitor.model.consumer_groups import TopicPartition
from monitor.policy.consumer_groups.reasons import GroupProblem

T = TypeVar("T")

# A broker builds a response in memory and on one thread. For 1,000 groups of ten members, it is a few MB.
GROUPS_PER_REQUEST = 1000
# Protocol types of consumer groups. A group of Kafka Connect has another type. A group with only offsets has type "".
CONSUMER_TYPES = ("consumer", "")


class GroupListing(NamedTuple):
    """Names of consumer groups, and the brokers that did not list the groups that they coordinate.

    ``may_omit_groups`` is True if a broker is older than 0.10.2. Such a broker may not list a group without members,
    although it stores the group's offsets.
    """

    names: set[str]
    silent: set[Node]
    may_omit_groups: bool


async def list_groups(client: ClusterClient, nodes: Collection[Node], until: float) -> GroupListing:
    """Return the consumer groups that these brokers coordinate."""
    names: set[str] = set()
    missing, attempt, may_omit_groups = set(nodes), 0, False
    while missing:
        answers = await client.gather(_list_groups(client, node, until) for node in missing)
        for node, listed in zip(list(missing), answers, strict=True):
            if listed is not None:
                names |= listed.names
                may_omit_groups |= listed.may_omit_groups
                missing.discard(node)
        if not missing or not await client.pause(attempt, until):
            break
        attempt += 1
    return GroupListing(names, missing, may_omit_groups)


async def read_groups(client: ClusterClient, names: Collection[str], until: float) -> dict[str, GroupDescription]:
    """Return the descriptions of groups. Repeats the requests for groups whose coordinator is moving.

    Raises CheckFailed if no broker answers the first request for the coordinators. If no broker answers a repeated
    request, returns the descriptions of the earlier attempts.
    """
    descriptions: dict[str, GroupDescription] = {}
    pending, attempt = sorted(names), 0
    while pending:
        try:
            descriptions.update(await _find_coordinators(client, pending, until))
        except CheckFailed:
            if not descriptions:
                raise
            break
        by_coordinator = defaultdict(list)
        for name in pending:
            if (node := descriptions[name].coordinator) is not None:
                by_coordinator[node].append(name)
        answers = await client.gather(
            _read_from_coordinator(client, node, chunk, until)
            for node, group_names in by_coordinator.items()
            for chunk in chunks(group_names, GROUPS_PER_REQUEST)
        )
        for answer in answers:
            descriptions.update(answer)
        pending = [name for name in pending if descriptions[name].problem == GroupProblem.COORDINATOR]
        if not pending or not await client.pause(attempt, until):
            break
        attempt += 1
    return descriptions


async def read_committed(
    client: ClusterClient,
    descriptions: Mapping[str, GroupDescription],
    partitions: Mapping[str, Collection[TopicPartition]],
    until: float,
) -> dict[str, GroupDescription]:
    """Return the descriptions, with committed offsets for groups whose ``committed`` is None.

    ``committed`` is None for groups of brokers before 0.10.2: they return offsets only for partitions that the request
    names. ``partitions`` has the partitions to name, by group.
    """

    async def with_offsets(name: str, group: GroupDescription) -> tuple[str, GroupDescription]:
        if group.committed is not None or group.coordinator is None:
            return name, group
        if not (requested := partitions.get(name)):
            return name, replace(group, committed={})
        request = OffsetFetchRequest(group_id=name, topics=by_topic(requested, _offset_fetch_topic), max_version=1)
        try:
            answer = await client.send(group.coordinator, request, until)
        except KafkaError:
            return name, replace(group, committed={}, problem=GroupProblem.COORDINATOR)
        # An error code of the group is repeated in each partition. Error codes of a single partition, such as for an
        # unknown partition, are ignored.
        problems = {group_problem(p.error_code) for topic in answer.topics for p in topic.partitions}
        problem = next(iter(problems & {GroupProblem.COORDINATOR, GroupProblem.AUTHORIZATION}), None)
        return name, merged(group, committed_offsets(answer), problem, describes_all_types=False)

    return dict(await client.gather(with_offsets(name, group) for name, group in descriptions.items()))


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in their order, in chunks of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def by_topic(partitions: Iterable[TopicPartition], build: Any) -> list[Any]:
    """Return ``build(topic, partition_numbers)`` for each topic, for use in a request."""
    numbers = defaultdict(list)
    for topic, partition in partitions:
        numbers[topic].append(partition)
    return [build(topic, sorted(topic_numbers)) for topic, topic_numbers in numbers.items()]


async def _list_groups(client: ClusterClient, node: Node, until: float) -> GroupListing | None:
    try:
        newest_version = await client.versions(node, until)
        newest = newest_version(ListGroupsRequest) or 0
        # Without these types, brokers also list streams groups (KIP-1071) and share groups, which cannot be judged.
        filters = {"types_filter": ["classic", "consumer"], "min_version": 5} if newest >= 5 else {}
        answer = await client.send(node, ListGroupsRequest(**filters), until)
    except KafkaError:
        return None
    if answer.error_code:
        return None
    names = {group.group_id for group in answer.groups if group.protocol_type in CONSUMER_TYPES}
    return GroupListing(names, set(), _is_older_than_0_10_2(newest_version))


async def _find_coordinators(client: ClusterClient, names: Sequence[str], until: float) -> dict[str, GroupDescription]:
    def build(newest_version: Versions) -> Any:
        if (newest_version(FindCoordinatorRequest) or 0) >= 4:
            return FindCoordinatorRequest(coordinator_keys=list(names), min_version=4)
        return FindCoordinatorRequest(key=names[0], max_version=3)

    def find_one(name: str) -> Any:
        return client.send_to_any(lambda _: FindCoordinatorRequest(key=name, max_version=3), until)

    first = await client.send_to_any(build, until)
    if first.API_VERSION >= 4:
        rows = [(row.key, row) for row in first.coordinators]
    else:
        rows = list(zip(names, [first, *await client.gather(map(find_one, names[1:]))], strict=True))
    return {
        name: GroupDescription(problem=group_problem(row.error_code))
        if row.error_code
        else GroupDescription(coordinator=client.learn_coordinator(row))
        for name, row in rows
    }


async def _read_from_coordinator(
    client: ClusterClient, node: Node, names: Sequence[str], until: float
) -> dict[str, GroupDescription]:
    """Return the descriptions of groups. Requests their members and offsets concurrently from their coordinator."""
    try:
        newest_version = await client.versions(node, until)
        requests: list[Any] = [
            _describe_groups(client, node, names, newest_version, until),
            _fetch_offsets(client, node, names, newest_version, until),
        ]
        described, committed = await client.gather(requests)
    except KafkaError:
        return {name: GroupDescription(node, problem=GroupProblem.COORDINATOR) for name in names}
    # Brokers with version 6 of DescribeGroups (4.0 and newer) describe every classic and every consumer group.
    describes_all_types = (newest_version(DescribeGroupsRequest) or 0) >= 6
    return {name: merged(described[name], *committed[name], describes_all_types=describes_all_types) for name in names}


async def _describe_groups(
    client: ClusterClient, node: Node, names: Sequence[str], newest_version: Versions, until: float
) -> dict[str, GroupDescription]:
    answer = await client.send(node, DescribeGroupsRequest(groups=list(names)), until)
    descriptions = {group.group_id: from_describe_groups(node, group) for group in answer.groups}
    missing = [name for name in names if not descriptions[name].known and descriptions[name].problem is None]
    if missing and newest_version(ConsumerGroupDescribeRequest) is not None:
        answer = await client.send(node, ConsumerGroupDescribeRequest(group_ids=missing), until)
        descriptions |= {
            group.group_id: from_consumer_group_describe(node, group)
            for group in answer.groups
            if group.error_code != NOT_FOUND
        }
    missing = [name for name in missing if not descriptions[name].known and descriptions[name].problem is None]
    if missing and (newest_version(ListGroupsRequest) or 0) >= 5:
        answer = await client.send(node, ListGroupsRequest(types_filter=["share"], min_version=5), until)
        shared = {group.group_id for group in answer.groups}
        descriptions |= {
            name: GroupDescription(node, problem=GroupProblem.SHARE_GROUP) for name in missing if name in shared
        }
    return descriptions


async def _fetch_offsets(
    client: ClusterClient, node: Node, names: Sequence[str], newest_version: Versions, until: float
) -> dict[str, tuple[Committed | None, str | None]]:
    """Return the committed offsets and the problem of each group. The offsets are None if the broker is too old."""
    newest = newest_version(OffsetFetchRequest) or 0
    if _is_older_than_0_10_2(newest_version):
        return dict.fromkeys(names, (None, None))
    if newest >= 8:
        groups = [OffsetFetchRequest.OffsetFetchRequestGroup(group_id=name, topics=None) for name in names]
        # From version 10 on, topics are identified by ids instead of names.
        answer = await client.send(node, OffsetFetchRequest(groups=groups, min_version=8, max_version=9), until)
        rows = [(group.group_id, group) for group in answer.groups]
    else:
        requests = [OffsetFetchRequest(group_id=name, topics=None, min_version=2, max_version=7) for name in names]
        answers = await client.gather(client.send(node, request, until) for request in requests)
        rows = list(zip(names, answers, strict=True))
    return {
        name: (committed_offsets(row), None if row.error_code == NOT_FOUND else group_problem(row.error_code))
        for name, row in rows
    }


def _is_older_than_0_10_2(newest_version: Versions) -> bool:
    return (newest_version(OffsetFetchRequest) or 0) < 2


def _offset_fetch_topic(topic: str, partitions: list[int]) -> Any:
    return OffsetFetchRequest.OffsetFetchRequestTopic(name=topic, partition_indexes=partitions)
