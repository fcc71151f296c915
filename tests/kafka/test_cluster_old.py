"""The same looks at Kafka 0.9, where one has to name the partitions to learn what is committed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from monitor.checks._kafka.cluster import Look, look
from monitor.checks._kafka.connection import Connection
from monitor.checks.base import CheckFailed
from monitor.consumer_groups import PartitionSight, TopicPartition
from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_old import OldKafka
from tests.support.processes import wait_for


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def seen(kafka: OldKafka, *groups: str, **options: Any) -> Look:
    """A look with time enough."""
    connection = Connection(brokers=(kafka.bootstrap,), api_version=(0, 9))
    return look(connection, groups=groups, **{"timeout_seconds": 20.0, **options})


def test_members_tell_the_partitions(old_kafka: OldKafka, start_consumer: StartConsumer, name: str) -> None:
    """The topic that a member subscribes to: exact lags of all its partitions."""
    old_kafka.create_topic(name, partitions=3)
    consumer = start_consumer(old_kafka, name, name, client_id="old")
    consumer.wait_joined(3)
    consumer.limit({(name, 1): 4})
    for partition in range(3):
        old_kafka.produce(name, 10, partition=partition)
    consumer.wait_committed({(name, 0): 10, (name, 1): 4, (name, 2): 10})
    sight = seen(old_kafka, name).groups[name]
    assert (sight.known, sight.state, [member.client_id for member in sight.members]) == (True, "Stable", ["old"])
    assert dict(sight.partitions) == {
        (name, 0): PartitionSight(end=10, committed=10),
        (name, 1): PartitionSight(end=10, committed=4, beginning=0),
        (name, 2): PartitionSight(end=10, committed=10),
    }
    assert list(seen(old_kafka, f"{name[:8]}*").groups) == [name]


def test_group_without_members(old_kafka: OldKafka, name: str) -> None:
    """The broker calls it dead. What is known of its partitions: the topics that one names, and an earlier look."""
    old_kafka.create_topic(name, partitions=2)
    old_kafka.produce(name, 10, partition=1)
    old_kafka.commit(name, {(name, 0): 0, (name, 1): 3})
    expected = {
        (name, 0): PartitionSight(end=0, committed=0),
        (name, 1): PartitionSight(end=10, committed=3, beginning=0),
    }
    by_topic = seen(old_kafka, name, topics=(name,)).groups[name]
    assert (by_topic.known, by_topic.state, by_topic.members) == (True, "Empty", ())
    assert dict(by_topic.partitions) == expected
    remembered = {name: [TopicPartition(name, 0), TopicPartition(name, 1)]}
    assert dict(seen(old_kafka, name, remembered=remembered).groups[name].partitions) == expected
    assert not seen(old_kafka, name).groups[name].known


def test_unknown_group_and_topic(old_kafka: OldKafka, name: str) -> None:
    """Neither is made by asking for it."""
    old_kafka.create_topic(f"{name}-there")
    remembered = {name: [TopicPartition(f"{name}-gone", 0)]}
    sight = seen(old_kafka, name, remembered=remembered).groups[name]
    assert not sight.known
    assert [at.problem for at in sight.partitions.values()] == ["deleted"]
    with old_kafka.consumer() as consumer:
        assert f"{name}-gone" not in wait_for(consumer.topics, seconds=30)


def test_member_that_died(old_kafka: OldKafka, start_consumer: StartConsumer, name: str) -> None:
    """With the last member, the broker forgets the group; the partitions of the earlier look are asked for again."""
    old_kafka.create_topic(name)
    consumer = start_consumer(old_kafka, name, name, session_seconds=2)
    consumer.wait_committed({(name, 0): 0})
    before = seen(old_kafka, name).groups[name]
    consumer.kill()
    old_kafka.produce(name, 6, partition=0)
    after = wait_for(
        lambda: next(
            (s for s in [seen(old_kafka, name, remembered={name: [*before.partitions]}).groups[name]] if not s.members),
            None,
        ),
        seconds=60,
        what="the session ends",
    )
    assert dict(after.partitions) == {(name, 0): PartitionSight(end=6, committed=0, beginning=0)}


def test_without_its_version(old_kafka: OldKafka) -> None:
    """A broker that cannot say which versions it speaks hangs up or is silent; the message says what to set."""
    with pytest.raises(CheckFailed) as failure:
        look(Connection(brokers=(old_kafka.bootstrap,)), groups=("some",), timeout_seconds=3.0)
    assert failure.value.reason in ("timeout", "reset")
    assert "api_version" in failure.value.message
