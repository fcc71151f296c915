"""The age of what waits, on a real cluster: how exact it is, and how many requests it takes."""

from __future__ import annotations

import time
import uuid
from collections import Counter

import pytest
from kafka import KafkaProducer, TopicPartition

from monitor.checks.kafka.cluster import observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from monitor.checks.kinds.kafka_group import KafkaGroup
from monitor.model.checks import Outcome
from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_cluster import KafkaCluster
from tests.support.kafka_looks import one
from tests.support.kafka_old import OldKafka
from tests.support.kafka_server import KafkaServer

REQUESTS_OF_A_BROKER = 12
HOUR = 3600.0


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def produce_aged(kafka: KafkaClients, topic: str, ages: list[float], *, partition: int = 0) -> float:
    """Records that are so many seconds old, the oldest first; when that was."""
    now = time.time()
    producer = KafkaProducer(**kafka.options(linger_ms=5, batch_size=2000))
    try:
        for age in sorted(ages, reverse=True):
            producer.send(topic, b"x", partition=partition, timestamp_ms=int((now - age) * 1000))
        producer.flush()
    finally:
        producer.close()
    return now


def outcome(kafka: KafkaClients, group: str, **options: object) -> Outcome:
    """One run, without anything to remember."""
    return KafkaGroup(brokers=(kafka.bootstrap,), consumer_groups=(group,), min_consumers=0, **options).run(10.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("committed", [0, 1, 500, 1500, 1990, 2000])
def test_how_long_the_oldest_record_has_waited(kafka: KafkaServer, name: str, committed: int) -> None:
    """Of two days of records in the hottest partition; another one has older ones, and less of them."""
    kafka.create_topic(name, partitions=2, retention_ms=str(30 * 86_400_000))
    ages = [48 * HOUR * (1 - n / 2000) for n in range(2000)]
    produced_at = produce_aged(kafka, name, ages)
    if committed < 2000:
        produce_aged(kafka, name, [200 * HOUR], partition=1)
    kafka.commit(name, {(name, 0): committed, (name, 1): 0})
    found = outcome(kafka, name, skew_threshold=None).data
    if committed == 2000:
        assert (found["lag_seconds"], found["retention_share"]) == (0.0, 0.0)
        return
    age = ages[committed] + time.time() - produced_at
    assert found["lag_seconds"] == pytest.approx(age, rel=0.1, abs=3)
    assert found["retention_share"] == pytest.approx(1 - committed / 2000, abs=0.001)


def test_thresholds(kafka: KafkaServer, name: str) -> None:
    """Each has its reason, and names the partition."""
    kafka.create_topic(name, retention_ms=str(30 * 86_400_000))
    produce_aged(kafka, name, [2 * HOUR, HOUR, 10])
    kafka.commit(name, {(name, 0): 1})
    old = outcome(kafka, name, max_lag_age=1800.0)
    assert (old.status.value, old.reason) == ("error", "lag_age")
    assert f"a record in {name}[0] has waited for" in str(old.message)
    near = outcome(kafka, name, max_retention_share=0.5)
    assert (near.status.value, near.reason) == ("error", "retention_share")
    assert f"67% of {name}[0] waits (limit: 50%)" in str(near.message)
    assert outcome(kafka, name, max_retention_share=0.7, max_lag_age=2 * HOUR).status.value == "ok"


def test_requests_to_each_broker(kafka_cluster: KafkaCluster, name: str) -> None:
    """At most twelve for offsets, however many groups and partitions there are, and whatever they share."""
    kafka_cluster.create_topic(name, partitions=6, replicas=3, retention_ms=str(30 * 86_400_000))
    for partition in range(6):
        produce_aged(kafka_cluster, name, [HOUR * (1 - n / 300) for n in range(300)], partition=partition)
    groups = [f"{name}-{n}" for n in range(8)]
    for n, group in enumerate(groups):
        kafka_cluster.commit(group, {(name, partition): 300 for partition in range(6)} | {(name, n % 6): 30 * n})
    brokers = KafkaConnection(brokers=tuple(kafka_cluster.bootstrap.split(",")))
    found = observe_cluster(brokers, groups=groups, timeout_seconds=20.0)
    assert 3 < Counter(found.requests)["ListOffsets"] <= 3 * REQUESTS_OF_A_BROKER
    told = [sight.oldest for sight in found.groups.values()]
    assert sum(each is not None for each in told) >= 6
    for n, oldest in enumerate(told):
        if oldest is not None:
            assert time.time() - oldest.written_at == pytest.approx(HOUR * (1 - n / 10), rel=0.2, abs=30)


def test_what_retention_has_deleted(kafka: KafkaServer, name: str) -> None:
    """The group goes on at what is left: that is what has waited for longest."""
    kafka.create_topic(name, retention_ms=str(30 * 86_400_000))
    produce_aged(kafka, name, [HOUR, 1800, 600, 60])
    kafka.commit(name, {(name, 0): 0})
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(name, 0): 2})
    oldest = one(kafka, name).oldest
    assert oldest is not None
    assert time.time() - oldest.written_at == pytest.approx(600, rel=0.1, abs=5)


def test_brokers_that_know_no_times(old_kafka: OldKafka, name: str) -> None:
    """Records of 0.9 have none."""
    old_kafka.create_topic(name)
    old_kafka.produce(name, 3, partition=0)
    old_kafka.commit(name, {(name, 0): 1})
    assert one(old_kafka, name, topics=(name,)).oldest is None
