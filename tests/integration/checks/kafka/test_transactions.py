"""Records that nobody can consume: those of aborted transactions, on a real broker."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer

from monitor.checks.kafka import cluster
from monitor.checks.kafka.records import RecordBatch, first_committed, next_records
from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Past, Status
from tests.support.builders import NOW
from tests.support.kafka_server import KafkaServer
from tests.support.processes import wait_for

PARTITIONS = 6


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


class Watch:
    """A check that runs every ten seconds of a clock of its own."""

    def __init__(self, kafka: KafkaServer, name: str, **options: Any) -> None:
        given = {"brokers": kafka.bootstrap, "consumer_groups": name, "min_consumers": 0, **options}
        self.kind = KINDS.build("kafka_group", given)
        self.now, self.memory = NOW, None

    def run(self) -> Outcome:
        """The outcome, ten seconds after the last one."""
        self.now += 10
        outcome = self.kind.run(20.0, Past(self.now, self.memory))
        self.memory = outcome.memory  # type: ignore[assignment]
        return outcome

    def during(self, seconds: float) -> list[Outcome]:
        """The outcomes while nothing changes."""
        return [self.run() for _ in range(round(seconds / 10))]


@contextlib.contextmanager
def transaction(kafka: KafkaServer, name: str) -> Iterator[KafkaProducer]:
    """A producer in a transaction, which the test ends."""
    producer = KafkaProducer(**kafka.options(transactional_id=f"{name}-{uuid.uuid4().hex[:4]}", linger_ms=5))
    try:
        producer.init_transactions()
        producer.begin_transaction()
        yield producer
    finally:
        producer.close()


def write(kafka: KafkaServer, name: str, count: int, *, commits: bool, size: int = 10) -> None:
    """A transaction of so many records in partition 0, and the marker of its end, which is written a little later."""
    end = kafka.end_offsets(name)[0]
    with transaction(kafka, name) as producer:
        for _ in range(count):
            producer.send(name, b"x" * size, partition=0)
        producer.flush()
        (producer.commit_transaction if commits else producer.abort_transaction)()
    wait_for(lambda: kafka.end_offsets(name)[0] == end + count + 1, seconds=60, what="the end of the transaction")


def consumed(kafka: KafkaServer, name: str) -> None:
    """A topic of six partitions, of which a group has consumed three records of each: it commits record + 1."""
    kafka.create_topic(name, PARTITIONS)
    for partition in range(PARTITIONS):
        kafka.produce(name, 3, partition=partition)
    kafka.commit(name, {(name, partition): 3 for partition in range(PARTITIONS)})


@pytest.mark.parametrize("level", ["read_uncommitted", "read_committed"])
def test_aborted_transactions_are_no_lag(
    kafka: KafkaServer, name: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither skewed nor stalled, however long they stand; the next record that waits is."""
    read: list[Any] = []
    monkeypatch.setattr(cluster, "next_records", lambda *given: read.append(given) or next_records(*given))
    consumed(kafka, name)
    watch = Watch(kafka, name, isolation_level=level)
    watch.run()
    for times in range(1, 3):
        write(kafka, name, 400, commits=False)
        seen = watch.during(360)
        assert {each.status for each in seen} == {Status.OK}
        assert {(each.data["lag"], each.data["skew_ratio"]) for each in seen} == {(0, 1.0)}
        assert len(read) == times, "each time once, and not at all while nothing waits"
    assert Watch(kafka, name, isolation_level=level, sustained=0).run().status is Status.OK, "also at the first look"
    write(kafka, name, 400, commits=True)
    seen = watch.during(360)
    assert [each.reason for each in seen[:4]] == [None, None, None, "skew"]
    assert seen[-1].data["findings"] == ["skew", "stopped"]
    assert seen[-1].data["lag"] == 401, "with its marker"


def test_a_lag_that_is_really_there(kafka: KafkaServer, name: str) -> None:
    """Behind an aborted transaction, too; a limit of the lag counts what is committed."""
    consumed(kafka, name)
    write(kafka, name, 200, commits=False)
    kafka.produce(name, 150, partition=0)
    limited = Watch(kafka, name, max_lag=149, sustained=0, skew_threshold=None).run()
    assert (limited.reason, limited.data["lag"]) == ("lag", 150)
    assert Watch(kafka, name, max_lag=150, sustained=0, skew_threshold=None).run().status is Status.OK


def test_an_open_transaction_waits(kafka: KafkaServer, name: str) -> None:
    """Whether it will be committed nobody knows: it counts, unless the end is that of committed readers."""
    consumed(kafka, name)
    write(kafka, name, 100, commits=False)
    with transaction(kafka, name) as producer:
        for _ in range(300):
            producer.send(name, b"open", partition=0)
        producer.flush()
        assert Watch(kafka, name, sustained=0).run().data["lag"] == 300
        assert Watch(kafka, name, sustained=0, isolation_level="read_committed").run().data["lag"] in (0, 101)
        producer.abort_transaction()


def test_a_large_aborted_transaction_is_read_in_pieces(
    kafka: KafkaServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one look has read the next one does not read again."""
    consumed(kafka, name)
    write(kafka, name, 300, commits=False, size=50_000)
    monkeypatch.setattr("monitor.checks.kafka.records.REQUESTS", 3)
    watch = Watch(kafka, name, stalled_after=3600, skew_min_lag=1)
    lags = [outcome.data["lag"] for outcome in watch.during(150)]
    assert lags == sorted(lags, reverse=True)
    assert (lags[0] > 100, lags[-1]) == (True, 0)


ONE, OTHER = 1, 2
BATCHES = [
    ("nothing", [], [], (10, False)),
    ("a record", [RecordBatch(10, 10, 1)], [], (10, True)),
    ("a committed transaction", [RecordBatch(10, 14, 5, ONE), RecordBatch(15, 15, 1, ONE, True)], [], (10, True)),
    ("an aborted one", [RecordBatch(10, 14, 5, ONE), RecordBatch(15, 15, 1, ONE, True)], [(ONE, 10)], (16, False)),
    (
        "one that began before",
        [RecordBatch(12, 14, 3, ONE), RecordBatch(15, 15, 1, ONE, True)],
        [(ONE, 2)],
        (16, False),
    ),
    (
        "aborted and then committed, by the same producer",
        [
            RecordBatch(10, 14, 5, ONE),
            RecordBatch(15, 15, 1, ONE, True),
            RecordBatch(16, 17, 2, ONE),
            RecordBatch(18, 18, 1, ONE, True),
        ],
        [(ONE, 10)],
        (16, True),
    ),
    (
        "aborted, with another producer's between",
        [RecordBatch(10, 14, 5, ONE), RecordBatch(15, 17, 3, OTHER), RecordBatch(18, 18, 1, ONE, True)],
        [(ONE, 10)],
        (15, True),
    ),
    ("only markers", [RecordBatch(10, 10, 1, ONE, True), RecordBatch(11, 11, 1, OTHER, True)], [], (12, False)),
    ("a batch that compaction has emptied", [RecordBatch(10, 19, 0)], [], (20, False)),
    ("a batch that begins before", [RecordBatch(5, 14, 10)], [], (10, True)),
    ("a batch that ends before", [RecordBatch(5, 9, 5)], [], (10, False)),
]


@pytest.mark.parametrize(("caption", "found", "aborted", "expected"), BATCHES, ids=[row[0] for row in BATCHES])
def test_the_first_committed_record(
    caption: str, found: list[RecordBatch], aborted: list[tuple[int, int]], expected: tuple[int, bool]
) -> None:
    """From offset 10 on."""
    assert first_committed(found, aborted, 10) == expected, caption
