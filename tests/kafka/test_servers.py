"""The Kafkas that the tests run against do what the tests rely on."""

from __future__ import annotations

import uuid

import pytest

from tests.kafka.conftest import StartKafka
from tests.support.kafka_server import KafkaServer


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def test_lag_is_what_was_produced_less_what_was_committed(kafka: KafkaServer, name: str) -> None:
    """Records go to the partition that was asked for, and the lag is exact."""
    kafka.create_topic(name, partitions=3)
    kafka.produce(name, 40, partition=0)
    kafka.produce(name, 5, partition=2)
    kafka.commit(name, {(name, 0): 15, (name, 2): 5})
    assert kafka.end_offsets(name) == {0: 40, 1: 0, 2: 5}
    assert kafka.lag(name, name) == {0: 25, 2: 0}


def test_one_key_goes_to_one_partition(kafka: KafkaServer, name: str) -> None:
    """A hot key makes a hot partition."""
    kafka.create_topic(name, partitions=6)
    kafka.produce(name, 100, key=b"hot")
    assert sorted(kafka.end_offsets(name).values()) == [0, 0, 0, 0, 0, 100]


def test_deleted_group_is_dead(kafka: KafkaServer, name: str) -> None:
    """A group without members can be deleted; then the broker calls it dead."""
    kafka.create_topic(name)
    kafka.commit(name, {(name, 0): 0})
    kafka.delete_group(name)
    with kafka.admin() as admin:
        assert admin.describe_groups([name])[name]["group_state"] == "Dead"


def test_killed_node_comes_back_with_its_data(start_kafka: StartKafka, name: str) -> None:
    """After SIGKILL and start: same port, same records, same offsets."""
    server = start_kafka()
    server.create_topic(name, partitions=2)
    server.produce(name, 10, partition=1)
    server.commit(name, {(name, 1): 4})
    server.restart()
    server.wait_for_coordinator(name)
    assert server.lag(name, name) == {1: 6}
