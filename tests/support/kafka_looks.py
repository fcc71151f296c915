"""Looks at a real cluster, with time enough, of whichever version it is."""

from __future__ import annotations

from typing import Any

from monitor.checks.kafka.cluster import ClusterSnapshot, observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from monitor.model.consumer_groups import GroupObservation
from tests.support.kafka_clients import KafkaClients


def connection_to(kafka: KafkaClients, **options: Any) -> KafkaConnection:
    """As a check would be configured: with the version of a broker that cannot tell it."""
    return KafkaConnection(brokers=(kafka.bootstrap,), api_version=kafka.client_options.get("api_version"), **options)


def seen(kafka: KafkaClients, *groups: str, **options: Any) -> ClusterSnapshot:
    """A look with time enough."""
    return observe_cluster(connection_to(kafka), groups=groups, **{"timeout_seconds": 20.0, **options})


def one(kafka: KafkaClients, group: str, **options: Any) -> GroupObservation:
    """What is seen of one group."""
    return seen(kafka, group, **options).groups[group]


def lags(sight: GroupObservation) -> dict[tuple[str, int], int | None]:
    """End - committed of each partition."""
    return {
        (topic, number): None if at.committed is None or at.end is None else at.end - at.committed
        for (topic, number), at in sight.partitions.items()
    }


def grown(sight: GroupObservation, partitions: int) -> GroupObservation | None:
    """The sight, when the group has so many partitions and the leader of each answers."""
    ready = len(sight.partitions) == partitions and not any(at.problem for at in sight.partitions.values())
    return sight if ready else None


def stable(sight: GroupObservation) -> GroupObservation | None:
    """The sight, when the group is stable."""
    return sight if sight.state == "Stable" else None


def left(sight: GroupObservation) -> GroupObservation | None:
    """The sight, when the group has no members."""
    return None if sight.members else sight
