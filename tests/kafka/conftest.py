"""The Kafkas of the session, each started when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.kafka_consumers import start_consumer
from tests.support.kafka_server import KafkaServer
from tests.support.prometheus_server import exporter, start_prometheus

__all__ = ["exporter", "kafka", "start_consumer", "start_kafka", "start_prometheus"]

StartKafka = Callable[..., KafkaServer]


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """The session's Kafka: one node, plain. Tests keep apart by the names of topics and groups; none hurts it."""
    server = KafkaServer()
    server.wait_for_coordinator()
    yield server
    server.stop()


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
