"""(j) A look at the consumer groups of a Kafka cluster, against kafka-python's admin client asked group by group."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.protocol.consumer import (
    JoinGroupRequest,
    OffsetCommitRequest,
    OffsetSpec,
    SyncGroupRequest,
)
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kafka.protocol.parser import KafkaProtocol

from bench.report import Claim, Report, Table, number
from bench.scale import Scale
from monitor.checks.kafka.client import ClusterClient
from monitor.checks.kafka.cluster import observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from monitor.checks.kafka.groups import read_groups
from tests.support.kafka_server import KafkaServer

METHOD = (
    "A Kafka 4 of one node with {topics} topics of {partitions} partitions, and {groups:,} groups: each has one "
    "member, which has all partitions of one topic and has committed an offset of each; every second group lags. A "
    "look connects, asks for everything that the check needs and hangs up; the other way is one `KafkaAdminClient` "
    "that is asked for the description, the offsets and the ends of one group after the other. In turns, in one "
    "process; medians of {rounds} rounds. Requests are counted where kafka-python encodes them, those of the "
    "connections included."
)
PARTITIONS = 10
RECORDS = 3
SESSION_MS = 30 * 60_000  # the longest that a broker grants: nobody sends heartbeats here


def run(scale: Scale) -> Report:
    """Measure, in about two minutes (quick: 20 s)."""
    sizes = scale.pick((1, 100, 1000), (1, 20))
    rounds, topics = scale.pick(5, 2), scale.pick(100, 2)
    names = [f"group-{n:04d}" for n in range(max(sizes))]
    table = Table(
        f"Groups of {PARTITIONS} partitions",
        ("groups", "look ms", "requests", "group by group ms", "requests", "x time", "x requests"),
    )
    ratio = found = 0.0
    with _kafka(names, topics) as kafka:
        connection = KafkaConnection(brokers=(kafka.bootstrap,))
        connecting = median(_timed(lambda: _connect(connection))[0] for _ in range(rounds))
        for size in sizes:
            chosen = names[:size]
            ways: dict[str, Callable[[], int]] = {
                "look": lambda chosen=chosen: _by_look(connection, chosen),  # type: ignore[misc]
                "each": lambda chosen=chosen: _one_by_one(kafka, chosen),  # type: ignore[misc]
            }
            ms, asked = _in_turns(ways, rounds)
            ratio, found = ms["look"] / ms["each"], asked["look"]
            table.add(number(size), ms["look"], asked["look"], ms["each"], asked["each"], ratio, found / asked["each"])
    return Report(
        "A look at consumer groups",
        METHOD.format(topics=topics, partitions=PARTITIONS, groups=len(names), rounds=rounds),
        [table],
        [Claim(f"time for {sizes[-1]:,} groups against group by group", ratio, "at most", 0.1)],
        [
            f"Requests of a look at {sizes[-1]:,} groups: {number(found)}, the greeting included.",
            f"Of a look, connecting takes {number(connecting)} ms (plain; it connects anew every time).",
        ],
    )


def _by_look(connection: KafkaConnection, names: Sequence[str]) -> int:
    found = observe_cluster(connection, groups=names, timeout_seconds=120)
    return sum(
        at.end - at.committed
        for sight in found.groups.values()
        for at in sight.partitions.values()
        if at.end is not None and at.committed is not None
    )


def _one_by_one(kafka: KafkaServer, names: Sequence[str]) -> int:
    lag = 0
    admin = KafkaAdminClient(**kafka.options())
    for name in names:
        assert admin.describe_groups([name])[name]["members"]
        committed = admin.list_group_offsets([name])[name]
        ends = admin.list_partition_offsets(dict.fromkeys(committed, OffsetSpec.LATEST))
        lag += sum(ends[partition].offset - at.offset for partition, at in committed.items())
    admin.close()
    return lag


def _connect(connection: KafkaConnection) -> int:
    with ClusterClient(connection, 30) as client:
        client.run(client.connect(client.until(1)))
    return 0


def _in_turns(ways: dict[str, Callable[[], int]], rounds: int) -> tuple[dict[str, float], dict[str, int]]:
    """Of each way the median time in ms, and how many requests it sent. All must find the same lag."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    asked: dict[str, int] = {}
    lags = set()
    for round_number, (name, way) in itertools.product(range(rounds + 1), ways.items()):
        with _counting() as requests:
            ms, lag = _timed(way)
        lags.add(lag)
        asked[name] = requests.total()
        if round_number:  # the first one fills caches
            times[name].append(ms)
    assert len(lags) == 1, lags
    return {name: median(found) for name, found in times.items()}, asked


def _timed(way: Callable[[], int]) -> tuple[float, int]:
    started_at = time.perf_counter()
    lag = way()
    return (time.perf_counter() - started_at) * 1000, lag


@contextlib.contextmanager
def _counting() -> Iterator[Counter[str]]:
    """Counts every request that kafka-python encodes meanwhile, by its name."""
    requests: Counter[str] = Counter()
    send = KafkaProtocol.send_request

    def counted(self: Any, request: Any, *arguments: Any) -> Any:
        requests[type(request).__name__] += 1
        return send(self, request, *arguments)

    KafkaProtocol.send_request = counted
    try:
        yield requests
    finally:
        KafkaProtocol.send_request = send


@contextlib.contextmanager
def _kafka(names: Sequence[str], topics: int) -> Iterator[KafkaServer]:
    """A Kafka with its groups. Every second one has committed the ends, the others the beginnings."""
    server = KafkaServer(java_flags=("-Xmx512m",))
    try:
        server.wait_for_coordinator()
        server.create_topics({f"topic-{n}": PARTITIONS for n in range(topics)})
        producer = KafkaProducer(**server.options(linger_ms=50))
        for n, partition, _ in itertools.product(range(topics), range(PARTITIONS), range(RECORDS)):
            producer.send(f"topic-{n}", b"record", partition=partition)
        producer.close()
        with ClusterClient(KafkaConnection(brokers=(server.bootstrap,), client_id="bench"), 120) as client:
            client.run(_make_groups(client, {name: f"topic-{n % topics}" for n, name in enumerate(names)}))
        yield server
    finally:
        server.stop()


async def _make_groups(client: ClusterClient, topics: dict[str, str]) -> None:
    told = await read_groups(client, topics, client.until(1))
    made = await client.gather(
        _make_group(client, told[name].coordinator, name, topic, RECORDS if n % 2 else 0)
        for n, (name, topic) in enumerate(topics.items())
    )
    assert len(made) == len(topics)


async def _make_group(client: ClusterClient, node: Any, name: str, topic: str, offset: int) -> str:
    """Join as its only member, take all partitions, commit an offset of each."""
    until = client.until(1)
    subscription = ConsumerProtocolSubscription(version=0, topics=[topic], user_data=b"").encode()
    protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=subscription)
    join = JoinGroupRequest(
        group_id=name, session_timeout_ms=SESSION_MS, rebalance_timeout_ms=SESSION_MS, member_id="",
        protocol_type="consumer", protocols=[protocol], max_version=3,
    )  # fmt: skip
    joined = await client.send(node, join, until)
    assert not joined.error_code, joined
    partitions = [ConsumerProtocolAssignment.TopicPartition(topic, list(range(PARTITIONS)))]
    assignment = ConsumerProtocolAssignment(version=0, assigned_partitions=partitions, user_data=b"").encode()
    member = SyncGroupRequest.SyncGroupRequestAssignment(member_id=joined.member_id, assignment=assignment)
    sync = SyncGroupRequest(
        group_id=name, generation_id=joined.generation_id, member_id=joined.member_id, assignments=[member],
        max_version=2,
    )  # fmt: skip
    assert not (await client.send(node, sync, until)).error_code
    rows = [
        OffsetCommitRequest.OffsetCommitRequestTopic.OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata=""
        )
        for partition in range(PARTITIONS)
    ]
    commit = OffsetCommitRequest(
        group_id=name, generation_id_or_member_epoch=joined.generation_id, member_id=joined.member_id,
        topics=[OffsetCommitRequest.OffsetCommitRequestTopic(name=topic, partitions=rows)], max_version=5,
    )  # fmt: skip
    await client.send(node, commit, until)
    return name
