"""The hot-key drill, whole: a real Kafka and real consumers, a real sidecar on its port, from either source.

What the probe says is compared with what was produced and committed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka.admin import KafkaAdminClient

from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_consumers import ConsumerProcess, StartConsumer
from tests.support.kafka_old import OldKafka
from tests.support.kafka_server import KafkaServer
from tests.support.processes import wait_for
from tests.support.prometheus_server import Exporter, StartPrometheus
from tests.support.sidecars import Sidecar
from tests.system.sidecar.conftest import StartSidecar

PARTITIONS = 6
RULES = Path(__file__).parents[3] / "compose" / "prometheus" / "kafka.rules.yml"
QUICK = {
    "MONITOR_CHECKS__KAFKA__INTERVAL": "1s",
    "MONITOR_CHECKS__KAFKA__TIMEOUT": "0.9s",
    "MONITOR_CHECKS__KAFKA__SUSTAINED": "2s",
    "WINDOW_MINUTES": "0.1",
    "MIN_CONSUMERS": "1",
}


class KafkaExporter(threading.Thread):
    """Tells an `Exporter` what a kafka exporter would of one group, four times a second."""

    def __init__(self, kafka: KafkaServer, group: str, topic: str, exporter: Exporter) -> None:
        super().__init__(name="kafka-exporter", daemon=True)
        self._kafka, self._group, self._topic, self._exporter = kafka, group, topic, exporter
        self._stop_asked = threading.Event()

    def run(self) -> None:
        with self._kafka.admin() as admin, self._kafka.consumer() as consumer:
            while not self._stop_asked.wait(0.25):
                committed = {
                    at: found.offset for at, found in admin.list_group_offsets(self._group)[self._group].items()
                }
                ends = consumer.end_offsets(list(committed))
                lines = [f'kafka_consumergroup_members{{consumergroup="{self._group}"}} {self._members(admin)}']
                for at, offset in committed.items():
                    labels = f'{{consumergroup="{self._group}",topic="{at.topic}",partition="{at.partition}"}}'
                    lines.append(f"kafka_consumergroup_lag{labels} {ends[at] - offset}")
                    lines.append(f"kafka_consumergroup_current_offset{labels} {offset}")
                self._exporter.text = "\n".join(lines) + "\n"

    def stop(self) -> None:
        """End it, and wait for that."""
        self._stop_asked.set()
        self.join(timeout=30)

    def _members(self, admin: KafkaAdminClient) -> int:
        return len(admin.describe_groups([self._group])[self._group]["members"])


@pytest.fixture
def group() -> str:
    """A group, and its topic."""
    return f"drill-{uuid4().hex[:8]}"


@pytest.fixture
def recorded(
    kafka: KafkaServer, group: str, exporter: Exporter, start_prometheus: StartPrometheus, tmp_path: Path
) -> Iterator[str]:
    """The address of a Prometheus that records the group by our rules."""
    rules = tmp_path / "kafka.rules.yml"
    rules.write_text(RULES.read_text().replace("interval: 15s", "interval: 250ms"))
    source = KafkaExporter(kafka, group, group, exporter)
    prometheus = start_prometheus(targets=[exporter.address], rules=[rules])
    source.start()
    yield prometheus.url
    source.stop()


def paused(kafka: KafkaClients, group: str, start: StartConsumer) -> ConsumerProcess:
    """The only consumer of a topic of six partitions; it takes no records."""
    kafka.create_topic(group, PARTITIONS)
    first = start(kafka, group, group)
    first.wait_joined(PARTITIONS)
    first.pause()
    return first


def heat(kafka: KafkaClients, group: str, sidecar: Sidecar) -> None:
    """Its only consumer is paused, and 400 records have one key: 500."""
    body = sidecar.wait_for("/ready", 200, status="ok")
    assert body["message"] == "System healthy"
    kafka.produce(group, 400, key=b"hot")
    body = sidecar.wait_for("/ready", 500, reason="skew")
    assert body["healthy"] is False
    assert body["message"].startswith("Hot-key skew high: 6.00x (threshold: 4.0x, window: 6s)")
    assert body["checks"]["skew_ratio"]["value"] == 6.0
    assert body["checks"]["consumer_count"]["healthy"] is True


def drain(kafka: KafkaClients, group: str, sidecar: Sidecar, first: ConsumerProcess, start: StartConsumer) -> None:
    """Another consumer comes, both work it off, and the window passes: 200."""
    second = start(kafka, group, group)
    second.wait_joined(PARTITIONS // 2)
    first.resume()
    body = sidecar.wait_for("/ready", 200, seconds=90, status="ok")
    assert body["message"] == "System healthy"
    assert sum(kafka.lag(group, group).values()) == 0
    two = {"value": 2, "min_required": 1, "healthy": True, "window": "6s", "aggregation": "min"}
    said = lambda: sidecar.get("/ready")[1]["checks"]["consumer_count"]  # noqa: E731
    wait_for(lambda: said() == two, seconds=30, what="two consumers for all of the window")


def test_the_drill_at_the_brokers(
    any_kafka: KafkaClients, group: str, start_sidecar: StartSidecar, start_consumer: StartConsumer
) -> None:
    """Every partition's offsets are exactly those of the brokers, and the owner is the consumer that is paused."""
    first = paused(any_kafka, group, start_consumer)
    version = {"MONITOR_CHECKS__KAFKA__API_VERSION": "0.9"} if isinstance(any_kafka, OldKafka) else {}
    sidecar = start_sidecar(KAFKA_BROKERS=any_kafka.bootstrap, KAFKA_GROUP=group, **QUICK, **version)
    heat(any_kafka, group, sidecar)
    said = sidecar.get("/api/health/checks/kafka/")[1]
    committed, ends = any_kafka.committed(group, group), any_kafka.end_offsets(group)
    hot = max(ends, key=lambda partition: ends[partition])
    assert (said["lag"], said["hottest_partition"]) == (400, f"{group}[{hot}]")
    rows = {row["partition"]: row for row in said["detail"]["partition_table"]}
    assert {at: (row["committed"], row["end"], row["lag"]) for at, row in rows.items()} == {
        at: (committed[at], ends[at], ends[at] - (committed[at] or 0)) for at in ends
    }
    assert {row["client_id"] for row in rows.values()} == {first.client_id}
    drain(any_kafka, group, sidecar, first, start_consumer)


def test_the_drill_by_what_prometheus_recorded(
    kafka: KafkaServer, group: str, recorded: str, start_sidecar: StartSidecar, start_consumer: StartConsumer
) -> None:
    """The same words and codes. Of which version the brokers are, Prometheus does not tell: once is enough."""
    first = paused(kafka, group, start_consumer)
    sidecar = start_sidecar(PROMETHEUS_URL=recorded, KAFKA_GROUP=group, **QUICK)
    heat(kafka, group, sidecar)
    drain(kafka, group, sidecar, first, start_consumer)
