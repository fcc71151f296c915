"""Partitions without a commit, and retention, on a real broker: what is not known of a lag is bounded."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Past, Status
from tests.support.kafka_server import KafkaServer
from tests.support.processes import wait_for

PARTITIONS = 6


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


@contextlib.contextmanager
def member(kafka: KafkaServer, name: str, committed: dict[int, int]) -> Iterator[None]:
    """The only member of a group that has committed so much of some partitions, and nothing of the others.

    Clients of librdkafka do so: they commit what they have read.
    """
    # A topic that has just been made may not be known yet when the group first shares its partitions.
    with kafka.consumer(name, auto_offset_reset="latest", metadata_max_age_ms=1000) as consumer:
        consumer.subscribe([name])
        wait_for(
            lambda: consumer.poll(timeout_ms=200) is None or len(consumer.assignment()) == PARTITIONS,
            seconds=60,
            what="partitions",
        )
        consumer.commit({TopicPartition(name, at): OffsetAndMetadata(to, "", -1) for at, to in committed.items()})
        yield


def run(kafka: KafkaServer, name: str, **options: Any) -> Outcome:
    """What one look, after which nothing has to last, comes to."""
    given = {"brokers": kafka.bootstrap, "consumer_groups": name, "sustained": 0, "start_grace": 0, **options}
    return KINDS.build("kafka_group", given).run(20.0, Past(1_000_000.0))


def fill(kafka: KafkaServer, name: str, hot: int, others: int) -> None:
    """A topic with so many records in its first partition and in each of the others."""
    kafka.create_topic(name, PARTITIONS)
    for partition in range(PARTITIONS):
        kafka.produce(name, others if partition else hot, partition=partition)


def test_a_hot_key_in_the_only_partition_with_a_commit(kafka: KafkaServer, name: str) -> None:
    """Lag 2,749 in it, 200 old records in each of the others: 4.4, and not 1.0."""
    fill(kafka, name, hot=2750, others=200)
    with member(kafka, name, {0: 1}):
        outcome = run(kafka, name)
    assert (outcome.status, outcome.reason) == (Status.ERROR, "skew")
    assert (outcome.data["skew_ratio_max"], outcome.data["lag"]) == (4.4, 2749)
    assert outcome.data["note"] == "5 partitions without a committed offset: lag unknown, at most 1000"


def test_what_the_rule_cannot_tell_is_said(kafka: KafkaServer, name: str) -> None:
    """More old records than new ones: how many partitions are unknown, and that the threshold may be out of reach."""
    fill(kafka, name, hot=300, others=500)
    with member(kafka, name, {0: 1}):
        outcome = run(kafka, name)
    assert (outcome.status, outcome.data["skew_ratio"]) == (Status.OK, 1.0)
    assert outcome.data["note"] == (
        "5 partitions without a committed offset: lag unknown, at most 2500; "
        "the skew threshold of 4.0x may be out of reach: no topic has more than 1 partition with a committed offset"
    )


def test_retention_overtakes_the_hot_partition(kafka: KafkaServer, name: str) -> None:
    """Its lag is what is left, which counts; the records that are lost are a finding."""
    fill(kafka, name, hot=1000, others=5)
    with member(kafka, name, {0: 25, **dict.fromkeys(range(1, PARTITIONS), 5)}):
        with kafka.admin() as admin:
            admin.delete_records({TopicPartition(name, 0): 400})
        outcome = run(kafka, name, max_lag=599)
    assert (outcome.data["lag"], outcome.data["skew_ratio"]) == (600, 6.0)
    assert outcome.data["findings"] == ["skew", "lag", "records_lost"]
    assert f"{name}[0] lost 375 messages to retention" in str(outcome.message)
