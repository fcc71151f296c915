"""Observations of a real cluster of any version, with long time limits."""

from __future__ import annotations

from typing import Any

from monitor.checks.kafka.cluster import ClusterSnapshot, observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from monitor.model.consumer_groups import GroupObservation
from tests.support.kafka_clients import KafkaClients


def connection_to(kafka: KafkaClients, **options: Any) -> KafkaConnection:
    """Return the options of a configured check, with the version for brokers that cannot report it."""
    return KafkaConnection(brokers=(kafka.bootstrap,), api_version=kafka.client_options.get("api_version"), **options)


def seen(kafka: KafkaClients, *groups: str, **options: Any) -> ClusterSnapshot:
    """Return an observation with long time limits."""
    return observe_cluster(connection_to(kafka), groups=groups, **{"timeout_seconds": 20.0, **options})


def one(kafka: KafkaClients, group: str, **options: Any) -> GroupObservation:
    """Return the observation of one group."""
    return seen(kafka, group, **options).groups[group]


def lags(sight: GroupObservation) -> dict[tuple[str, int], int | None]:
    """Return the lag (end - committed) of each partition."""
    return {
        (topic, number): None if at.committed is None or at.end is None else at.end - at.committed
        for (topic, number), at in sight.partitions.items()
    }


def grown(sight: GroupObservation, partitions: int) -> GroupObservation | None:
    """Return the observation once the group has so many partitions and the leader of each answers."""
    ready = len(sight.partitions) == partitions and not any(at.problem for at in sight.partitions.values())
    return sight if ready else None


def stable(sight: GroupObservation) -> GroupObservation | None:
    """Return the observation once the group is stable."""
    return sight if sight.state == "Stable" else None


def left(sight: GroupObservation) -> GroupObservation | None:
    """Return the observation once the group has no members."""
    return None if sight.members else sight
