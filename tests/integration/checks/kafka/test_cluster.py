"""What a look at a real cluster sees of its consumer groups: a current Kafka, and the same on Kafka 0.9.

Of a group without members, 0.9 tells only what is committed in the topics that one names; so they are named.
What 0.9 cannot do is in test_cluster_new.py, what only 0.9 does in test_cluster_old.py.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.protocol.consumer import JoinGroupRequest

from monitor.checks.kafka.client import ClusterClient
from monitor.checks.kafka.details import GroupDescription, merged
from monitor.checks.kafka.groups import read_groups
from monitor.model.consumer_groups import GroupObservation, PartitionObservation
from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_looks import connection_to, grown, lags, left, one, seen, stable
from tests.support.kafka_old import OldKafka
from tests.support.kafka_server import KafkaServer
from tests.support.processes import wait_for

REQUESTS = {"FindCoordinator": 1, "DescribeGroups": 1, "OffsetFetch": 1, "Metadata": 1, "ListOffsets": 1}


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def test_lag_is_what_was_produced_less_what_was_committed(any_kafka: KafkaClients, name: str) -> None:
    """To the record, with the beginning where something is left to be read."""
    any_kafka.create_topic(name, partitions=3)
    any_kafka.produce(name, 40, partition=0)
    any_kafka.produce(name, 5, partition=2)
    any_kafka.commit(name, {(name, 0): 15, (name, 1): 0, (name, 2): 5})
    sight = one(any_kafka, name, topics=(name,))
    assert dict(sight.partitions) == {
        (name, 0): PartitionObservation(end=40, committed=15, beginning=0),
        (name, 1): PartitionObservation(end=0, committed=0),
        (name, 2): PartitionObservation(end=5, committed=5),
    }
    assert (sight.known, sight.state, sight.members, sight.problem) == (True, "Empty", (), None)


def test_members_are_seen_with_what_they_have(
    any_kafka: KafkaClients, start_consumer: StartConsumer, name: str
) -> None:
    """Client id, host and partitions of each; the lag of the one that is paused."""
    any_kafka.create_topic(name, partitions=4)
    first = start_consumer(any_kafka, name, name, client_id="first")
    first.wait_joined(4)
    second = start_consumer(any_kafka, name, name, client_id="second")
    second.wait_joined(2)
    first.wait_joined(2)
    first.pause()
    for partition in range(4):
        any_kafka.produce(name, 10, partition=partition)
    second.wait_committed(dict.fromkeys(second.assignment, 10))
    sight = one(any_kafka, name)
    assert sight.state == "Stable"
    assert {member.client_id: set(member.assigned) for member in sight.members} == {
        "first": first.assignment,
        "second": second.assignment,
    }
    assert {member.host for member in sight.members} == {"127.0.0.1"}
    assert lags(sight) == {**dict.fromkeys(first.assignment, 10), **dict.fromkeys(second.assignment, 0)}


def test_many_groups_cost_as_many_requests_as_one(any_kafka: KafkaClients, name: str) -> None:
    """One request for the coordinators, one for the members, one for what is committed, one for the ends.

    0.9 has to be asked for coordinator and offsets group by group; a topic of one group is none of the others'.
    """
    any_kafka.create_topics({f"{name}-{n}": 2 for n in range(5)})
    names = [f"{name}-group-{n}" for n in range(20)]
    for n, group in enumerate(names):
        any_kafka.commit(group, {(f"{name}-{n % 5}", 0): 0, (f"{name}-{n % 5}", 1): 0})
    found = seen(any_kafka, *names, topics=(f"{name}-*",))
    assert list(found.groups) == sorted(names)
    assert all(list(lags(sight).values()) == [0, 0] for sight in found.groups.values())
    one_by_one = {"FindCoordinator": 20, "OffsetFetch": 20} if isinstance(any_kafka, OldKafka) else {}
    assert found.requests == {**REQUESTS, **one_by_one}


def test_names_may_look_like_patterns(any_kafka: KafkaClients, start_consumer: StartConsumer, name: str) -> None:
    """A group whose name has brackets is found by its name."""
    any_kafka.create_topic(name)
    start_consumer(any_kafka, f"{name}[eu]", name).wait_joined(1)  # 0.9 lists no groups without members
    assert list(seen(any_kafka, f"{name}[eu]").groups) == [f"{name}[eu]"]


def test_topics_choose_what_counts(any_kafka: KafkaClients, name: str) -> None:
    """Names and patterns; of the others, nothing is asked."""
    any_kafka.create_topics({f"{name}-a": 1, f"{name}-b": 1, f"{name}-other": 1})
    any_kafka.commit(name, {(f"{name}-{topic}", 0): 0 for topic in ("a", "b", "other")})
    sight = one(any_kafka, name, topics=(f"{name}-[ab]",))
    assert list(sight.partitions) == [(f"{name}-a", 0), (f"{name}-b", 0)]


def test_topics_that_nothing_matches(any_kafka: KafkaClients, start_consumer: StartConsumer, name: str) -> None:
    """Each name and pattern of which no group consumes anything; not while there is a group that nobody knows."""
    any_kafka.create_topic(name)
    start_consumer(any_kafka, name, name).wait_joined(1)
    filters = (name, f"{name[:-1]}?", f"{name}-x", "x-*")
    assert seen(any_kafka, name, topics=filters).unmatched == (f"{name}-x", "x-*")
    assert seen(any_kafka, name).unmatched == ()
    assert seen(any_kafka, name, f"{name}-none", topics=filters).unmatched == ()


def test_partitions_that_no_member_reads(kafka: KafkaServer, name: str) -> None:
    """Of consumers that use `assign()` there are offsets only: a partition with records and without one is unread."""
    kafka.create_topic(name, partitions=4)
    kafka.produce(name, 5, partition=0)
    kafka.produce(name, 5, partition=2)
    kafka.commit(name, {(name, 0): 5, (name, 1): 0})
    sight = one(kafka, name)
    assert sorted(sight.partitions) == [(name, 0), (name, 1)]
    assert sight.unread == ((name, 2),)


def test_unknown_groups_are_not_known(any_kafka: KafkaClients, name: str) -> None:
    """No problem, no partitions: nobody of that name is there, also where it might have consumed."""
    any_kafka.create_topic(name)
    for topics in ((), (name,)):
        sight = one(any_kafka, name, topics=topics)
        assert (sight.known, sight.problem, dict(sight.partitions)) == (False, None, {})


def test_member_that_has_committed_nothing_has_partitions(any_kafka: KafkaClients, name: str) -> None:
    """No offset of the group's, but where its partitions begin and end."""
    any_kafka.create_topic(name, partitions=2)
    any_kafka.produce(name, 7, partition=1)
    # A topic that has just been made may not be known yet when the group first shares its partitions.
    with any_kafka.consumer(name, metadata_max_age_ms=1000) as consumer:
        consumer.subscribe([name])
        wait_for(lambda: consumer.poll(timeout_ms=200) is None or consumer.assignment(), seconds=60, what="partitions")
        sight = one(any_kafka, name)
    assert dict(sight.partitions) == {
        (name, 0): PartitionObservation(end=0, committed=None, beginning=0),
        (name, 1): PartitionObservation(end=7, committed=None, beginning=0),
    }


def test_added_partitions_are_seen_before_anybody_has_them(
    any_kafka: KafkaClients, start_consumer: StartConsumer, name: str
) -> None:
    """All partitions of a topic that is subscribed to belong to the group, also those that nobody was given."""
    any_kafka.create_topic(name, partitions=2)
    consumer = start_consumer(any_kafka, name, name, session_seconds=120)
    consumer.wait_joined(2)
    consumer.freeze()  # a member that does not see them come
    any_kafka.add_partitions(name, 4)
    sight = wait_for(lambda: grown(one(any_kafka, name), 4), seconds=60, what="four partitions")
    assert {number for member in sight.members for _, number in member.assigned} == {0, 1}
    assert sight.partitions[TopicPartition(name, 3)] == PartitionObservation(end=0, committed=None, beginning=0)


def test_committed_beyond_the_end_is_told_as_it_is(any_kafka: KafkaClients, name: str) -> None:
    """As after a topic was made anew: nothing is corrected here."""
    any_kafka.create_topic(name)
    any_kafka.produce(name, 3, partition=0)
    any_kafka.commit(name, {(name, 0): 100})
    sight = one(any_kafka, name, topics=(name,))
    assert dict(sight.partitions) == {(name, 0): PartitionObservation(end=3, committed=100)}


def test_deleted_topic_is_gone_or_said(any_kafka: KafkaClients, start_consumer: StartConsumer, name: str) -> None:
    """Its offsets go with it; where a member still has it, each partition says so. The other topic is unharmed."""
    any_kafka.create_topics({name: 1, f"{name}-2": 1})
    consumer = start_consumer(any_kafka, name, name, f"{name}-2")
    consumer.wait_committed({(name, 0): 0, (f"{name}-2", 0): 0})
    any_kafka.delete_topic(name)

    def without() -> GroupObservation | None:
        sight = one(any_kafka, name)
        gone = sight.partitions.get(TopicPartition(name, 0))
        # Kafka 0.9 lists the partitions of members only, and none while the group is rebalanced.
        return sight if TopicPartition(f"{name}-2", 0) in sight.partitions and (gone is None or gone.problem) else None

    sight = wait_for(without, seconds=60, what="the topic is gone")
    gone = sight.partitions.get(TopicPartition(name, 0))
    assert gone is None or (gone.end, gone.problem) == (None, "deleted")
    assert sight.partitions[TopicPartition(f"{name}-2", 0)] == PartitionObservation(end=0, committed=0)


def test_topic_that_the_group_has_left_is_said(
    any_kafka: KafkaClients, start_consumer: StartConsumer, name: str
) -> None:
    """Its offsets are kept for days. What the members have now, and what has no members, is told as it is."""
    any_kafka.create_topics({f"{name}-old": 1, f"{name}-new": 1})
    any_kafka.produce(f"{name}-old", 8, partition=0)
    any_kafka.commit(name, {(f"{name}-old", 0): 3, (f"{name}-new", 0): 0})
    old, new = TopicPartition(f"{name}-old", 0), TopicPartition(f"{name}-new", 0)
    assert one(any_kafka, name, topics=(f"{name}-*",)).partitions[old].problem is None
    start_consumer(any_kafka, name, f"{name}-new").wait_joined(1)
    sight = wait_for(lambda: stable(one(any_kafka, name, topics=(f"{name}-*",))), seconds=60, what="a stable group")
    assert sight.partitions[old] == PartitionObservation(end=8, committed=3, beginning=0, problem="unsubscribed")
    assert sight.partitions[new].problem is None


def test_workers_of_connect_are_members_without_partitions(any_kafka: KafkaClients, name: str) -> None:
    """A group that shares other things than partitions: seen by its name, no part of a pattern."""
    protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="sessioned", metadata=b"whatever")
    request = JoinGroupRequest(
        group_id=name, session_timeout_ms=30_000, rebalance_timeout_ms=30_000, member_id="", protocol_type="connect",
        protocols=[protocol], max_version=3,
    )  # fmt: skip
    with ClusterClient(connection_to(any_kafka), 30) as client:

        async def join() -> Any:
            told = await read_groups(client, {name}, client.until(0.5))
            return await client.send(told[name].coordinator, request, client.until(1))

        assert client.run(join()).error_code == 0
        sight = one(any_kafka, name)
        assert (sight.known, len(sight.members), dict(sight.partitions)) == (True, 1, {})
        assert not sight.members[0].assigned
        assert seen(any_kafka, f"{name}*").groups == {}


def test_hundreds_of_groups_come_in_pieces(any_kafka: KafkaClients, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large requests are cut, and nothing is lost at the cuts."""
    monkeypatch.setattr("monitor.checks.kafka.groups.GROUPS_PER_REQUEST", 3)
    monkeypatch.setattr("monitor.checks.kafka.offsets.PARTITIONS_PER_REQUEST", 4)
    any_kafka.create_topics({f"{name}-{n}": 1 for n in range(10)})
    for n in range(10):
        any_kafka.commit(f"{name}-{n}", {(f"{name}-{n}", 0): n})
    found = seen(any_kafka, *(f"{name}-{n}" for n in range(10)), topics=(f"{name}-*",))
    assert [sight.partitions[TopicPartition(group, 0)].committed for group, sight in found.groups.items()] == [
        *range(10)
    ]
    assert found.requests["DescribeGroups"] >= 4
    assert found.requests["ListOffsets"] >= 3


def test_member_that_stops_in_the_middle(any_kafka: KafkaClients, start_consumer: StartConsumer, name: str) -> None:
    """Its partition lags by exactly what it has left, and a pattern finds its group."""
    any_kafka.create_topic(name, partitions=3)
    consumer = start_consumer(any_kafka, name, name)
    consumer.wait_joined(3)
    consumer.limit({(name, 1): 4})
    for partition in range(3):
        any_kafka.produce(name, 10, partition=partition)
    consumer.wait_committed({(name, 0): 10, (name, 1): 4, (name, 2): 10})
    found = seen(any_kafka, f"{name[:8]}*").groups
    assert list(found) == [name]
    assert lags(found[name]) == {(name, 0): 0, (name, 1): 6, (name, 2): 0}


def test_member_that_died(any_kafka: KafkaClients, start_consumer: StartConsumer, name: str) -> None:
    """Its session ends, and what it has committed stays. 0.9 forgets the group: asked for by the earlier look."""
    any_kafka.create_topic(name)
    consumer = start_consumer(any_kafka, name, name, session_seconds=2)
    consumer.wait_committed({(name, 0): 0})
    before = {name: [*one(any_kafka, name).partitions]}
    consumer.kill()
    any_kafka.produce(name, 6, partition=0)
    after = wait_for(lambda: left(one(any_kafka, name, remembered=before)), seconds=60, what="the session ends")
    assert (after.known, after.state) == (True, "Empty")
    assert dict(after.partitions) == {(name, 0): PartitionObservation(end=6, committed=0, beginning=0)}


AT = TopicPartition("orders", 0)
DESCRIBED = GroupDescription(1, known=True, state="Stable")
DEAD = GroupDescription(1, state="Dead")


@pytest.mark.parametrize(
    ("caption", "described", "committed", "problem", "describes_all_types", "expected"),
    [
        ("described, with offsets", DESCRIBED, {AT: 3}, None, True, replace(DESCRIBED, committed={AT: 3})),
        ("described, no offsets yet", DESCRIBED, {}, None, True, DESCRIBED),
        ("unknown", DEAD, {}, None, True, DEAD),
        ("0.9 has to be asked for each topic", DEAD, None, None, False, replace(DEAD, committed=None)),
        ("old brokers call a group dead that has no members", DEAD, {AT: 3}, None, False,
         GroupDescription(1, known=True, state="Empty", committed={AT: 3})),
        ("offsets of a group that nobody describes, as of Streams", DEAD, {AT: 3}, None, True,
         GroupDescription(1, known=True, state="Dead", committed={AT: 3}, problem="unsupported")),
        ("half an answer is none", DESCRIBED, {}, "coordinator", True, GroupDescription(1, problem="coordinator")),
        ("nor is the other", GroupDescription(1, problem="authorization"), {AT: 3}, None, True,
         GroupDescription(1, problem="authorization")),
    ],
)  # fmt: skip
def test_what_two_answers_say_together(
    caption: str,
    described: GroupDescription,
    committed: Any,
    problem: str | None,
    describes_all_types: bool,
    expected: GroupDescription,
) -> None:
    """The description of a group and its offsets come from two requests."""
    assert merged(described, committed, problem, describes_all_types=describes_all_types) == expected, caption
