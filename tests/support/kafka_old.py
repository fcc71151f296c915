"""Real Kafka 0.9, the oldest supported one, with its ZooKeeper. Both start in two to four seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kafka.errors import KafkaError

from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_server import JAVA_FLAGS, JavaServer, jars
from tests.support.processes import free_port, wait_for
from tests.support.zookeeper_server import ZooKeeper

LOGGING = """
log4j.rootLogger=INFO, stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.target=System.err
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


class OldKafka(JavaServer, KafkaClients):
    """Broker of Kafka 0.9.0.1: no ApiVersions, no record headers, and describe and list as its only admin requests."""

    def __init__(self) -> None:
        self._jars = jars("0.9")
        super().__init__("kafka-0.9-test-")
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.client_options = {"api_version": (0, 9)}
        self._logging = self.directory / "log4j.properties"
        self._logging.write_text(LOGGING)
        self._zookeeper = ZooKeeper(self._flags)
        (self.directory / "server.properties").write_text(
            f"""
broker.id=1
listeners=PLAINTEXT://127.0.0.1:{self.port}
zookeeper.connect={self._zookeeper.address}
zookeeper.session.timeout.ms=2000
log.dirs={self.directory}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
group.min.session.timeout.ms=1000
group.max.session.timeout.ms=300000
auto.create.topics.enable=false
delete.topic.enable=true
log.cleaner.dedupe.buffer.size=4194304
"""
        )
        self.start()

    def start(self) -> None:
        """Start it (again) with the same port and data, and wait until it accepts connections."""
        # A killed broker stays registered until its session ends; its successor would give up before that.
        wait_for(lambda: not self._zookeeper.knows("/brokers/ids/1"), seconds=30, what="the broker's session ends")
        self.launch(*self._flags, "kafka.Kafka", str(self.directory / "server.properties"))
        self.wait_for_words(b"started (kafka.server.KafkaServer)")

    def restart(self) -> None:
        """Kill it and start it again with the same port and data."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Stop it and its ZooKeeper, and remove their directories."""
        super().stop()
        self._zookeeper.stop()

    def create_topics(self, topics: Mapping[str, int], *, replicas: int = 1, **settings: str) -> None:
        """Create topics by their numbers of partitions in ZooKeeper, as Kafka's own tool does, and wait for them."""
        assert replicas == 1, "there is one broker"
        # On a busy machine its session may end; then there is no broker until it has registered again.
        wait_for(lambda: self._zookeeper.knows("/brokers/ids/1"), seconds=60, what="the broker is registered")
        config = {"version": 1, "config": {name.replace("_", "."): value for name, value in settings.items()}}
        self._zookeeper.write({f"/config/topics/{topic}": json.dumps(config) for topic in topics})
        self._assign(topics)
        with self.admin() as admin:
            admin.wait_for_topics(list(topics), timeout_ms=30_000)

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Increase the number of partitions of a topic. The broker creates them a little later."""
        self._assign({topic: partitions})

    def delete_topic(self, topic: str) -> None:
        """Delete a topic. It disappears a little later."""
        self._zookeeper.write({f"/admin/delete_topics/{topic}": ""})

    def _assign(self, topics: Mapping[str, int]) -> None:
        nodes = {
            f"/brokers/topics/{topic}": {"version": 1, "partitions": {str(number): [1] for number in range(partitions)}}
            for topic, partitions in topics.items()
        }
        self._zookeeper.write({path: json.dumps(node) for path, node in nodes.items()})

    def _knows(self, group: str) -> bool:
        try:
            with self.admin() as admin:
                return admin.describe_groups([group])[group]["error"] is None
        except KafkaError:
            return False

    @property
    def _flags(self) -> list[str]:
        return [*JAVA_FLAGS, "-Xmx128m", f"-Dlog4j.configuration=file:{self._logging}", "-cp", self._jars]
