"""The Kafkas of the session, each started when first asked for."""

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
    """The session's Kafka: one node, plain. Tests keep apart by the names of topics and groups; none hurts it."""
    with _running(KafkaServer()) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_secured() -> Iterator[SecuredKafka]:
    """The session's Kafka behind TLS, SASL and access rules; none hurts it."""
    with _running(SecuredKafka()) as server:
        yield server


@pytest.fixture(scope="session")
def old_kafka() -> Iterator[OldKafka]:
    """The session's Kafka 0.9; none hurts it."""
    with _running(OldKafka()) as server:
        yield server


@pytest.fixture(params=["kafka", "old_kafka"], ids=["current", "0.9"])
def any_kafka(request: pytest.FixtureRequest) -> KafkaClients:
    """The session's current Kafka and its Kafka 0.9, one after the other; none hurts them."""
    server: KafkaClients = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def session_cluster() -> Iterator[KafkaCluster]:
    """The session's cluster of three nodes; ask for `kafka_cluster`."""
    with _running(KafkaCluster()) as cluster:
        yield cluster


@pytest.fixture
def kafka_cluster(session_cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    """The session's cluster; a test may kill and freeze its nodes, they are started again after it."""
    yield session_cluster
    session_cluster.revive()
    session_cluster.wait_for_coordinator()


@pytest.fixture
def start_kafka() -> Iterator[StartKafka]:
    """Starts a private node that a test may kill and freeze: `start_kafka(proxy=...)`; ended with the test."""
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
