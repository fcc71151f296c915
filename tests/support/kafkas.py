"""Kafka servers of the session, each started at its first use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_cluster import KafkaCluster
from tests.support.kafka_old import OldKafka
from tests.support.kafka_secured import SecuredKafka
from tests.support.kafka_server import KafkaServer

StartKafka = Callable[..., KafkaServer]


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """Provide the session's Kafka, one plain node. Tests use separate topics and groups, and none harms it."""
    with _running(KafkaServer()) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_secured() -> Iterator[SecuredKafka]:
    """Provide the session's Kafka with TLS, SASL and access rules. No test harms it."""
    with _running(SecuredKafka()) as server:
        yield server


@pytest.fixture(scope="session")
def old_kafka() -> Iterator[OldKafka]:
    """Provide the session's Kafka 0.9. No test harms it."""
    with _running(OldKafka()) as server:
        yield server


@pytest.fixture(params=["kafka", "old_kafka"], ids=["current", "0.9"])
def any_kafka(request: pytest.FixtureRequest) -> KafkaClients:
    """Provide the session's current Kafka and its Kafka 0.9 in turn. No test harms them."""
    server: KafkaClients = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def session_cluster() -> Iterator[KafkaCluster]:
    """Provide the session's cluster of three nodes. Tests use `kafka_cluster` instead."""
    with _running(KafkaCluster()) as cluster:
        yield cluster


@pytest.fixture
def kafka_cluster(session_cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    """Provide the session's cluster. A test may kill and freeze its nodes; they are started again afterwards."""
    yield session_cluster
    session_cluster.revive()
    session_cluster.wait_for_coordinator()


@pytest.fixture
def start_kafka() -> Iterator[StartKafka]:
    """Provide `start_kafka(proxy=...)`, which starts a private node that the test may kill and freeze."""
    servers: list[KafkaServer] = []

    def start(**options: Any) -> KafkaServer:
        servers.append(KafkaServer(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


_Any = TypeVar("_Any", KafkaServer, SecuredKafka, OldKafka, KafkaCluster)


@contextlib.contextmanager
def _running(kafka: _Any) -> Iterator[_Any]:
    try:
        kafka.wait_for_coordinator()
        yield kafka
    finally:
        kafka.stop()
