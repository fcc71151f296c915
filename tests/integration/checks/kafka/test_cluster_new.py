"""What a look sees of consumer groups where a current Kafka can what 0.9 cannot; why is said of each."""

from __future__ import annotations

import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.protocol.api_message import ApiMessage

from monitor.checks.kafka.client import ClusterClient
from monitor.checks.kafka.connection import KafkaConnection
from monitor.checks.kafka.groups import read_groups
from monitor.checks.kinds.kafka_group import KafkaGroup
from monitor.model.checks import Status
from monitor.model.consumer_groups import PartitionObservation
from tests.support.kafka_looks import lags, one, seen
from tests.support.kafka_server import KafkaServer, jars


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def test_patterns_stand_for_the_groups_that_there_are(kafka: KafkaServer, name: str) -> None:
    """A pattern that matches none is no group; a name always is. 0.9 lists no group that has no members."""
    kafka.create_topic(name)
    for group in ("orders", "orders-dlq", "mail"):
        kafka.commit(f"{name}.{group}", {(name, 0): 0})
    found = seen(kafka, f"{name}.orders*", f"{name}.nothing-*", f"{name}.missing")
    assert {group: sight.known for group, sight in found.groups.items()} == {
        f"{name}.orders": True,
        f"{name}.orders-dlq": True,
        f"{name}.missing": False,
    }
    assert found.requests["ListGroups"] == 2, (
        "one for the patterns; one that asks whether what is missing is a share group"
    )
    assert found.silent_brokers == ()
    assert seen(kafka, f"{name}.nothing-*").groups == {}


def test_deleted_groups_are_not_known(kafka: KafkaServer, name: str) -> None:
    """As if it had never been there. 0.9 deletes no groups, it forgets those without members."""
    kafka.create_topic(name)
    kafka.commit(name, {(name, 0): 0})
    assert one(kafka, name).known
    kafka.delete_group(name)
    sight = one(kafka, name)
    assert (sight.known, sight.problem, dict(sight.partitions)) == (False, None, {})


def test_expired_records_move_the_beginning(kafka: KafkaServer, name: str) -> None:
    """What was committed lies before what there is: said by the beginning. 0.9 deletes records by age only."""
    kafka.create_topic(name)
    kafka.produce(name, 30, partition=0)
    kafka.commit(name, {(name, 0): 10})
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(name, 0): 25})
    assert one(kafka, name).partitions[TopicPartition(name, 0)] == PartitionObservation(
        end=30, committed=10, beginning=25
    )


def test_open_transactions_end_where_committed_readers_stop(kafka: KafkaServer, name: str) -> None:
    """``read_committed`` ends before the first open transaction. 0.9 knows no transactions."""
    kafka.create_topic(name)
    kafka.produce(name, 3, partition=0)
    kafka.commit(name, {(name, 0): 1})
    producer = KafkaProducer(**kafka.options(transactional_id=name))
    producer.init_transactions()
    producer.begin_transaction()
    for _ in range(4):
        producer.send(name, b"open", partition=0)
    producer.flush()
    try:
        assert lags(one(kafka, name)) == {(name, 0): 6}
        assert lags(one(kafka, name, isolation_level="read_committed")) == {(name, 0): 2}
    finally:
        producer.abort_transaction()
        producer.close()


def test_groups_of_the_new_protocol_are_described(
    kafka: KafkaServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of KIP-848, which the old description does not know: its members, what they have, what they lag.

    Only 4.0 and newer have such groups.
    """
    kafka.create_topic(name, partitions=3)
    kafka.produce(name, 8, partition=2)
    heartbeat = message("ConsumerGroupHeartbeat", tmp_path, monkeypatch)
    with ClusterClient(KafkaConnection(brokers=(kafka.bootstrap,), client_id="newcomer"), 60) as client:

        async def join() -> Any:
            node = (await read_groups(client, {name}, client.until(0.5)))[name].coordinator
            joining = heartbeat(
                group_id=name, member_id=name, member_epoch=0, instance_id=None, rack_id=None,
                rebalance_timeout_ms=30_000, subscribed_topic_names=[name], subscribed_topic_regex=None,
                server_assignor=None, topic_partitions=[], max_version=0,
            )  # fmt: skip
            answer = await client.send(node, joining, client.until(1))
            owned = [
                heartbeat.TopicPartitions(row.topic_id, row.partitions) for row in answer.assignment.topic_partitions
            ]
            owning = heartbeat(
                group_id=name, member_id=name, member_epoch=answer.member_epoch, instance_id=None, rack_id=None,
                rebalance_timeout_ms=30_000, subscribed_topic_names=[name], subscribed_topic_regex=None,
                server_assignor=None, topic_partitions=owned, max_version=0,
            )  # fmt: skip
            return await client.send(node, owning, client.until(1))

        assert client.run(join()).error_code == 0
        for found in (seen(kafka, name), seen(kafka, f"{name}*")):
            sight = found.groups[name]
            assert (sight.known, sight.problem) == (True, None)
            assert [member.client_id for member in sight.members] == ["newcomer"]
            assert sight.partitions[TopicPartition(name, 2)] == PartitionObservation(end=8, committed=None, beginning=0)
            assert len(sight.partitions) == 3
        assert sight.state in ("Stable", "Reconciling", "Assigning")


def test_share_groups_are_told_apart(
    kafka: KafkaServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of KIP-932 is not one that nobody knows; no pattern stands for it. Only from 4.2 on."""
    kafka.create_topic(name)
    heartbeat = message("ShareGroupHeartbeat", tmp_path, monkeypatch)
    with ClusterClient(KafkaConnection(brokers=(kafka.bootstrap,)), 60) as client:

        async def join() -> Any:
            node = (await read_groups(client, {name}, client.until(0.5)))[name].coordinator
            joining = heartbeat(
                group_id=name, member_id=uuid.uuid4().hex, member_epoch=0, rack_id=None, subscribed_topic_names=[name]
            )  # fmt: skip
            return await client.send(node, joining, client.until(1))

        assert client.run(join()).error_code == 0
    found = seen(kafka, name, f"{name}-none")
    assert {group: (sight.known, sight.problem) for group, sight in found.groups.items()} == {
        name: (False, "share_group"),
        f"{name}-none": (False, None),
    }
    assert seen(kafka, f"{name}*").groups == {}
    outcome = KafkaGroup(brokers=(kafka.bootstrap,), consumer_groups=(name,)).run(10.0)
    assert (outcome.status, outcome.reason, outcome.grace) == (Status.UNKNOWN, "share_group", False)


def message(name: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A request that kafka-python has not, such as that by which members join; read from the schemas in Kafka's jar."""
    package = directory / f"messages_of_kafka_{name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (jar,) = Path(jars("4").rstrip("*")).glob("kafka-clients-*.jar")
    with zipfile.ZipFile(jar) as archive:
        for sort in ("Request", "Response"):
            (package / f"{name}{sort}.json").write_bytes(archive.read(f"common/message/{name}{sort}.json"))
    monkeypatch.syspath_prepend(str(directory))
    make = type(ApiMessage)
    request, response = (
        make(f"{name}{sort}", (ApiMessage,), {"__module__": __name__}, load_json=package.name)
        for sort in ("Request", "Response")
    )
    monkeypatch.setattr(request, "answer", response, raising=False)
    return request
