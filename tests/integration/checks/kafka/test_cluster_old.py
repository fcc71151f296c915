"""What only Kafka 0.9 does: one has to name the partitions to learn what is committed."""

from __future__ import annotations

import uuid

import pytest

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.cluster import observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from monitor.model.checks import Status
from monitor.model.consumer_groups import PartitionObservation, TopicPartition
from tests.integration.checks.kafka.test_broker_faults import UNREACHED, Watch
from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_looks import seen
from tests.support.kafka_old import OldKafka
from tests.support.processes import wait_for


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def test_group_without_members(old_kafka: OldKafka, name: str) -> None:
    """The broker calls it dead. What is known of its partitions: the topics that one names, and an earlier look."""
    old_kafka.create_topic(name, partitions=2)
    old_kafka.produce(name, 10, partition=1)
    old_kafka.commit(name, {(name, 0): 0, (name, 1): 3})
    expected = {
        (name, 0): PartitionObservation(end=0, committed=0),
        (name, 1): PartitionObservation(end=10, committed=3, beginning=0),
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
    assert dict(sight.partitions) == {}
    with old_kafka.consumer() as consumer:
        assert f"{name}-gone" not in wait_for(consumer.topics, seconds=30)


def test_without_its_version(old_kafka: OldKafka) -> None:
    """A broker that cannot say which versions it speaks hangs up or is silent; the message says what to set."""
    with pytest.raises(CheckFailed) as failure:
        observe_cluster(KafkaConnection(brokers=(old_kafka.bootstrap,)), groups=("some",), timeout_seconds=15.0)
    assert failure.value.reason in ("timeout", "reset")
    assert "api_version" in failure.value.message


def test_what_is_well_and_what_died(old_kafka: OldKafka, start_consumer: StartConsumer, name: str) -> None:
    """An idle group, an empty topic, a stray record: all is well, until a consumer dies.

    0.9 forgets its group then and lists it no more. What it has committed and lags is told as before.
    """
    idle, _, stray = groups = [f"{name}-{word}" for word in ("idle", "empty", "stray")]
    old_kafka.create_topics(dict.fromkeys(groups, 6))
    old_kafka.produce(idle, 60)
    watch = Watch(old_kafka.bootstrap, f"{name}-*", api_version="0.9")
    consumers = {group: start_consumer(old_kafka, group, group, session_seconds=2) for group in groups}
    for group, consumer in consumers.items():
        ends = old_kafka.end_offsets(group)
        consumer.wait_committed({(group, number): end for number, end in ends.items()})
    consumers[stray].pause()
    old_kafka.produce(stray, 1, key=b"one")
    well = watch.until(None)
    assert (well.data["groups"], well.data["lag"], well.data["consumers"]) == (3, 1, 3)
    watch.stays_well()
    consumers[stray].kill()
    died = watch.until("under_replicated").children[stray]
    assert died and (died.data["lag"], died.data["consumers"]) == (1, 0)
    start_consumer(old_kafka, stray, stray)
    wait_for(lambda: watch.run().data["lag"] == 0, seconds=60, what="its successor has consumed it")


def test_killed_broker_and_back(old_kafka: OldKafka, start_consumer: StartConsumer, name: str) -> None:
    """Refused while it is gone, then the same numbers."""
    old_kafka.create_topic(name)
    old_kafka.produce(name, 5, partition=0)
    consumer = start_consumer(old_kafka, name, name, paused=True, session_seconds=30)
    consumer.wait_committed({(name, 0): 0})
    watch = Watch(old_kafka.bootstrap, name, api_version="0.9")
    assert watch.until(None).data["lag"] == 5
    old_kafka.kill()
    try:
        gone = watch.run()
    finally:
        old_kafka.start()
    assert (gone.status, gone.reason) == (Status.ERROR, "refused")
    wait_for(lambda: watch.until(None).data["consumers"] == 1, seconds=60, what="the member is back")
    assert watch.until(None).data["lag"] == 5
    assert {*watch.reasons} <= {None, *UNREACHED, "under_replicated", "rebalancing", "unknown_group"}
