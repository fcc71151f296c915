"""The Kafkas that the tests run against do what the tests rely on."""

from __future__ import annotations

import uuid

import pytest

from tests.kafka.conftest import StartKafka
from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_server import KafkaServer
from tests.support.processes import wait_for


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


def test_consumer_commits_what_it_consumes(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """A member gets all partitions, drains them, and says the offsets that the broker has."""
    kafka.create_topic(name, partitions=3)
    kafka.produce(name, 30, partition=1)
    consumer = start_consumer(kafka, name, name, client_id="first")
    consumer.wait_committed({(name, 0): 0, (name, 1): 30, (name, 2): 0})
    assert kafka.lag(name, name) == {0: 0, 1: 0, 2: 0}
    with kafka.admin() as admin:
        (member,) = admin.describe_groups([name])[name]["members"]
    assert member["client_id"] == "first"
    consumer.close()
    assert not consumer.errors


def test_paused_partition_lags_exactly(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """One partition paused, another consumed up to an offset: the rest is drained, also after a rebalance."""
    kafka.create_topic(name, partitions=3)
    consumer = start_consumer(kafka, name, name)
    consumer.wait_joined(3)
    consumer.pause((name, 0))
    consumer.limit({(name, 1): 7})
    for partition in range(3):
        kafka.produce(name, 20, partition=partition)
    consumer.wait_committed({(name, 0): 0, (name, 1): 7, (name, 2): 20})
    assert kafka.lag(name, name) == {0: 20, 1: 13, 2: 0}
    consumer.resume()
    consumer.wait_committed({(name, 0): 20, (name, 1): 20})


def test_killed_and_frozen_consumers_leave_when_their_session_ends(
    kafka: KafkaServer, start_consumer: StartConsumer, name: str
) -> None:
    """Two members share the partitions; one killed and one frozen are members until their session ends."""
    kafka.create_topic(name, partitions=4)
    first = start_consumer(kafka, name, name, session_seconds=2)
    first.wait_joined(4)
    second = start_consumer(kafka, name, name, session_seconds=2)
    second.wait_joined(2)
    first.wait_joined(2)
    second.kill()
    first.wait_joined(4)
    first.freeze()
    wait_for(lambda: _members(kafka, name) == 0, seconds=60, what="the frozen one is put out")
    first.thaw()
    wait_for(lambda: _members(kafka, name) == 1, seconds=60, what="it comes back")


def _members(kafka: KafkaServer, group: str) -> int:
    with kafka.admin() as admin:
        return len(admin.describe_groups([group])[group]["members"])
