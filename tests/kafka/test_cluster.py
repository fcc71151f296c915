"""What a look at a real cluster sees of its consumer groups."""

from __future__ import annotations

import uuid
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.protocol.api_message import ApiMessage
from kafka.protocol.consumer import JoinGroupRequest

from monitor.checks._kafka.client import Client
from monitor.checks._kafka.cluster import Look, look
from monitor.checks._kafka.connection import Connection
from monitor.checks._kafka.groups import read_groups
from monitor.checks._kafka.told import Told, combined
from monitor.consumer_groups import GroupSight, PartitionSight
from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_server import KafkaServer, jars
from tests.support.processes import wait_for


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def seen(kafka: KafkaServer, *groups: str, **options: Any) -> Look:
    """A look with time enough."""
    return look(Connection(brokers=(kafka.bootstrap,)), groups=groups, **{"timeout_seconds": 20.0, **options})


def one(kafka: KafkaServer, group: str, **options: Any) -> GroupSight:
    """What is seen of one group."""
    return seen(kafka, group, **options).groups[group]


def lags(sight: GroupSight) -> dict[tuple[str, int], int | None]:
    """End - committed of each partition."""
    return {
        (topic, number): None if at.committed is None or at.end is None else at.end - at.committed
        for (topic, number), at in sight.partitions.items()
    }


def grown(sight: GroupSight, partitions: int) -> GroupSight | None:
    """The sight, when the group has so many partitions and the leader of each answers."""
    ready = len(sight.partitions) == partitions and not any(at.problem for at in sight.partitions.values())
    return sight if ready else None


def test_lag_is_what_was_produced_less_what_was_committed(kafka: KafkaServer, name: str) -> None:
    """To the record, with the beginning where something is left to be read."""
    kafka.create_topic(name, partitions=3)
    kafka.produce(name, 40, partition=0)
    kafka.produce(name, 5, partition=2)
    kafka.commit(name, {(name, 0): 15, (name, 1): 0, (name, 2): 5})
    sight = one(kafka, name)
    assert dict(sight.partitions) == {
        (name, 0): PartitionSight(end=40, committed=15, beginning=0),
        (name, 1): PartitionSight(end=0, committed=0),
        (name, 2): PartitionSight(end=5, committed=5),
    }
    assert (sight.known, sight.state, sight.members, sight.problem) == (True, "Empty", (), None)


def test_members_are_seen_with_what_they_have(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """Client id, host and partitions of each; the lag of the one that is paused."""
    kafka.create_topic(name, partitions=4)
    first = start_consumer(kafka, name, name, client_id="first")
    first.wait_joined(4)
    second = start_consumer(kafka, name, name, client_id="second")
    second.wait_joined(2)
    first.wait_joined(2)
    first.pause()
    for partition in range(4):
        kafka.produce(name, 10, partition=partition)
    second.wait_committed(dict.fromkeys(second.assignment, 10))
    sight = one(kafka, name)
    assert sight.state == "Stable"
    assert {member.client_id: set(member.assigned) for member in sight.members} == {
        "first": first.assignment,
        "second": second.assignment,
    }
    assert {member.host for member in sight.members} == {"127.0.0.1"}
    assert lags(sight) == {**dict.fromkeys(first.assignment, 10), **dict.fromkeys(second.assignment, 0)}


def test_many_groups_cost_as_many_requests_as_one(kafka: KafkaServer, name: str) -> None:
    """One request for the coordinators, one for the members, one for what is committed, one for the ends."""
    kafka.create_topics({f"{name}-{n}": 2 for n in range(5)})
    names = [f"{name}-group-{n}" for n in range(20)]
    for n, group in enumerate(names):
        kafka.commit(group, {(f"{name}-{n % 5}", 0): 0, (f"{name}-{n % 5}", 1): 0})
    found = seen(kafka, *names)
    assert list(found.groups) == sorted(names)
    assert all(list(lags(sight).values()) == [0, 0] for sight in found.groups.values())
    assert found.requests == {
        "FindCoordinator": 1,
        "DescribeGroups": 1,
        "OffsetFetch": 1,
        "Metadata": 1,
        "ListOffsets": 1,
    }


def test_patterns_stand_for_the_groups_that_there_are(kafka: KafkaServer, name: str) -> None:
    """A pattern that matches none is no group; a name always is."""
    kafka.create_topic(name)
    for group in ("orders", "orders-dlq", "mail"):
        kafka.commit(f"{name}.{group}", {(name, 0): 0})
    found = seen(kafka, f"{name}.orders*", f"{name}.nothing-*", f"{name}.missing")
    assert {group: sight.known for group, sight in found.groups.items()} == {
        f"{name}.orders": True,
        f"{name}.orders-dlq": True,
        f"{name}.missing": False,
    }
    assert found.requests["ListGroups"] == 1
    assert found.silent_brokers == ()
    assert seen(kafka, f"{name}.nothing-*").groups == {}


def test_names_may_look_like_patterns(kafka: KafkaServer, name: str) -> None:
    """A group whose name has brackets is found by its name."""
    kafka.create_topic(name)
    kafka.commit(f"{name}[eu]", {(name, 0): 0})
    assert list(seen(kafka, f"{name}[eu]").groups) == [f"{name}[eu]"]


def test_topics_choose_what_counts(kafka: KafkaServer, name: str) -> None:
    """Names and patterns; of the others, nothing is asked."""
    kafka.create_topics({f"{name}-a": 1, f"{name}-b": 1, f"{name}-other": 1})
    kafka.commit(name, {(f"{name}-{topic}", 0): 0 for topic in ("a", "b", "other")})
    sight = one(kafka, name, topics=(f"{name}-[ab]",))
    assert list(sight.partitions) == [(f"{name}-a", 0), (f"{name}-b", 0)]


def test_unknown_and_deleted_groups_are_not_known(kafka: KafkaServer, name: str) -> None:
    """No problem, no partitions: nobody of that name is there."""
    kafka.create_topic(name)
    kafka.commit(name, {(name, 0): 0})
    assert one(kafka, name).known
    kafka.delete_group(name)
    for group in (name, f"{name}-never"):
        sight = one(kafka, group)
        assert (sight.known, sight.problem, dict(sight.partitions)) == (False, None, {})


def test_member_that_has_committed_nothing_has_partitions(kafka: KafkaServer, name: str) -> None:
    """No offset of the group's, but where its partitions begin and end."""
    kafka.create_topic(name, partitions=2)
    kafka.produce(name, 7, partition=1)
    with kafka.consumer(name) as consumer:
        consumer.subscribe([name])
        wait_for(lambda: consumer.poll(timeout_ms=200) is None or consumer.assignment(), seconds=60, what="partitions")
        sight = one(kafka, name)
    assert dict(sight.partitions) == {
        (name, 0): PartitionSight(end=0, committed=None, beginning=0),
        (name, 1): PartitionSight(end=7, committed=None, beginning=0),
    }


def test_added_partitions_are_seen_before_anybody_has_them(
    kafka: KafkaServer, start_consumer: StartConsumer, name: str
) -> None:
    """All partitions of a topic that is subscribed to belong to the group, also those that nobody was given."""
    kafka.create_topic(name, partitions=2)
    consumer = start_consumer(kafka, name, name, session_seconds=120)
    consumer.wait_joined(2)
    consumer.freeze()  # a member that does not see them come
    with kafka.admin() as admin:
        admin.create_partitions({name: 4})
    sight = wait_for(lambda: grown(one(kafka, name), 4), seconds=60, what="four partitions")
    assert {number for member in sight.members for _, number in member.assigned} == {0, 1}
    assert sight.partitions[TopicPartition(name, 3)] == PartitionSight(end=0, committed=None, beginning=0)


def test_expired_records_move_the_beginning(kafka: KafkaServer, name: str) -> None:
    """What was committed lies before what there is: said by the beginning."""
    kafka.create_topic(name)
    kafka.produce(name, 30, partition=0)
    kafka.commit(name, {(name, 0): 10})
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(name, 0): 25})
    assert one(kafka, name).partitions[TopicPartition(name, 0)] == PartitionSight(end=30, committed=10, beginning=25)


def test_committed_beyond_the_end_is_told_as_it_is(kafka: KafkaServer, name: str) -> None:
    """As after a topic was made anew: nothing is corrected here."""
    kafka.create_topic(name)
    kafka.produce(name, 3, partition=0)
    kafka.commit(name, {(name, 0): 100})
    assert one(kafka, name).partitions[TopicPartition(name, 0)] == PartitionSight(end=3, committed=100)


def test_deleted_topic_is_gone_or_said(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """Its offsets go with it; where a member still has it, each partition says so. The other topic is unharmed."""
    kafka.create_topics({name: 1, f"{name}-2": 1})
    consumer = start_consumer(kafka, name, name, f"{name}-2")
    consumer.wait_committed({(name, 0): 0, (f"{name}-2", 0): 0})
    with kafka.admin() as admin:
        admin.delete_topics([name])

    def without() -> GroupSight | None:
        sight = one(kafka, name)
        gone = sight.partitions.get(TopicPartition(name, 0))
        return sight if gone is None or gone.problem else None

    sight = wait_for(without, seconds=60, what="the topic is gone")
    gone = sight.partitions.get(TopicPartition(name, 0))
    assert gone is None or (gone.end, gone.problem) == (None, "deleted")
    assert sight.partitions[TopicPartition(f"{name}-2", 0)] == PartitionSight(end=0, committed=0)


def test_topic_that_the_group_has_left_is_said(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """Its offsets are kept for days. What the members have now, and what has no members, is told as it is."""
    kafka.create_topics({f"{name}-old": 1, f"{name}-new": 1})
    kafka.produce(f"{name}-old", 8, partition=0)
    kafka.commit(name, {(f"{name}-old", 0): 3, (f"{name}-new", 0): 0})
    old, new = TopicPartition(f"{name}-old", 0), TopicPartition(f"{name}-new", 0)
    assert one(kafka, name).partitions[old].problem is None
    start_consumer(kafka, name, f"{name}-new").wait_joined(1)
    sight = wait_for(lambda: stable(one(kafka, name)), seconds=60, what="a stable group")
    assert sight.partitions[old] == PartitionSight(end=8, committed=3, beginning=0, problem="unsubscribed")
    assert sight.partitions[new].problem is None


def test_open_transactions_end_where_committed_readers_stop(kafka: KafkaServer, name: str) -> None:
    """``read_committed`` ends before the first open transaction."""
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


def test_workers_of_connect_are_members_without_partitions(kafka: KafkaServer, name: str) -> None:
    """A group that shares other things than partitions: seen by its name, no part of a pattern."""
    protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="sessioned", metadata=b"whatever")
    request = JoinGroupRequest(
        group_id=name, session_timeout_ms=30_000, rebalance_timeout_ms=30_000, member_id="", protocol_type="connect",
        protocols=[protocol], max_version=3,
    )  # fmt: skip
    with Client(Connection(brokers=(kafka.bootstrap,)), 30) as client:

        async def join() -> Any:
            told = await read_groups(client, {name}, client.until(0.5))
            return await client.send(told[name].coordinator, request, client.until(1))

        assert client.run(join()).error_code == 0
        sight = one(kafka, name)
        assert (sight.known, len(sight.members), dict(sight.partitions)) == (True, 1, {})
        assert not sight.members[0].assigned
        assert seen(kafka, f"{name}*").groups == {}


def test_hundreds_of_groups_come_in_pieces(kafka: KafkaServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large requests are cut, and nothing is lost at the cuts."""
    monkeypatch.setattr("monitor.checks._kafka.groups.GROUPS_PER_REQUEST", 3)
    monkeypatch.setattr("monitor.checks._kafka.offsets.PARTITIONS_PER_REQUEST", 4)
    kafka.create_topics({f"{name}-{n}": 1 for n in range(10)})
    for n in range(10):
        kafka.commit(f"{name}-{n}", {(f"{name}-{n}", 0): n})
    found = seen(kafka, f"{name}-*")
    assert [sight.partitions[TopicPartition(group, 0)].committed for group, sight in found.groups.items()] == [
        *range(10)
    ]
    assert found.requests["DescribeGroups"] >= 4
    assert found.requests["ListOffsets"] >= 3


def test_groups_of_the_new_protocol_are_described(
    kafka: KafkaServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of KIP-848, which the old description does not know: its members, what they have, what they lag."""
    kafka.create_topic(name, partitions=3)
    kafka.produce(name, 8, partition=2)
    heartbeat = heartbeats(kafka, tmp_path, monkeypatch)
    with Client(Connection(brokers=(kafka.bootstrap,), client_id="newcomer"), 60) as client:

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
            assert sight.partitions[TopicPartition(name, 2)] == PartitionSight(end=8, committed=None, beginning=0)
            assert len(sight.partitions) == 3
        assert sight.state in ("Stable", "Reconciling", "Assigning")


def stable(sight: GroupSight) -> GroupSight | None:
    return sight if sight.state == "Stable" else None


AT = TopicPartition("orders", 0)
DESCRIBED = Told(1, known=True, state="Stable")
DEAD = Told(1, state="Dead")


@pytest.mark.parametrize(
    ("caption", "described", "committed", "problem", "knows_all", "expected"),
    [
        ("described, with offsets", DESCRIBED, {AT: 3}, None, True, replace(DESCRIBED, committed={AT: 3})),
        ("described, no offsets yet", DESCRIBED, {}, None, True, DESCRIBED),
        ("unknown", DEAD, {}, None, True, DEAD),
        ("0.9 has to be asked for each topic", DEAD, None, None, False, replace(DEAD, committed=None)),
        ("old brokers call a group dead that has no members", DEAD, {AT: 3}, None, False,
         Told(1, known=True, state="Empty", committed={AT: 3})),
        ("offsets of a group that nobody describes, as of Streams", DEAD, {AT: 3}, None, True,
         Told(1, known=True, state="Dead", committed={AT: 3}, problem="unsupported")),
        ("half an answer is none", DESCRIBED, {}, "coordinator", True, Told(1, problem="coordinator")),
        ("nor is the other", Told(1, problem="authorization"), {AT: 3}, None, True, Told(1, problem="authorization")),
    ],
)  # fmt: skip
def test_what_two_answers_say_together(
    caption: str, described: Told, committed: Any, problem: str | None, knows_all: bool, expected: Told
) -> None:
    """The description of a group and its offsets come from two requests."""
    assert combined(described, committed, problem, knows_all=knows_all) == expected, caption


def heartbeats(kafka: KafkaServer, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The request by which members join such a group; kafka-python reads it from the schemas in Kafka's own jar."""
    package = directory / "messages_of_kafka"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (jar,) = Path(jars("4").rstrip("*")).glob("kafka-clients-*.jar")
    with zipfile.ZipFile(jar) as archive:
        for message in ("ConsumerGroupHeartbeatRequest", "ConsumerGroupHeartbeatResponse"):
            (package / f"{message}.json").write_bytes(archive.read(f"common/message/{message}.json"))
    monkeypatch.syspath_prepend(str(directory))

    class ConsumerGroupHeartbeatRequest(ApiMessage, load_json="messages_of_kafka"):
        pass

    class ConsumerGroupHeartbeatResponse(ApiMessage, load_json="messages_of_kafka"):
        pass

    monkeypatch.setattr(ConsumerGroupHeartbeatRequest, "answer", ConsumerGroupHeartbeatResponse, raising=False)
    return ConsumerGroupHeartbeatRequest
