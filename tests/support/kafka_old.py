"""A real Kafka 0.9, the oldest that we support, with its ZooKeeper. Both start in two to four seconds."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping

from kafka.errors import KafkaError

from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_server import JAVA_FLAGS, JavaServer, jars
from tests.support.processes import free_port, wait_for

LOGGING = """
log4j.rootLogger=INFO, stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.target=System.err
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


class OldKafka(JavaServer, KafkaClients):
    """A broker of Kafka 0.9.0.1: no ApiVersions, no admin requests but describe and list, no headers."""

    def __init__(self) -> None:
        self._jars = jars("0.9")
        super().__init__("kafka-0.9-test-")
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.client_options = {"api_version": (0, 9)}
        self._logging = self.directory / "log4j.properties"
        self._logging.write_text(LOGGING)
        self._zookeeper = _ZooKeeper(self._flags)
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
auto.create.topics.enable=false
delete.topic.enable=true
log.cleaner.dedupe.buffer.size=4194304
"""
        )
        self.start()

    def start(self) -> None:
        """Start it (again) on the same port and data, and wait until it takes connections."""
        # One that was killed is registered until its session ends, and its successor gives up.
        wait_for(lambda: not self._zookeeper.knows("/brokers/ids/1"), seconds=30, what="the broker's session ends")
        self.launch(*self._flags, "kafka.Kafka", str(self.directory / "server.properties"))
        self.wait_for_words(b"started (kafka.server.KafkaServer)")

    def restart(self) -> None:
        """Kill it and start it again: same port, same data."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Kill it and its ZooKeeper, and remove their directories."""
        super().stop()
        self._zookeeper.stop()

    def create_topics(self, topics: Mapping[str, int], *, replicas: int = 1, **settings: str) -> None:
        """Topics by their number of partitions; a second for each, by the tool that writes to ZooKeeper."""
        # On a busy machine its session may end, and then there is no broker until it is registered anew.
        wait_for(lambda: self._zookeeper.knows("/brokers/ids/1"), seconds=60, what="the broker is registered")
        for topic, partitions in topics.items():
            told = ["--topic", topic, "--partitions", str(partitions), "--replication-factor", str(replicas)]
            for name, value in settings.items():
                told += ["--config", f"{name.replace('_', '.')}={value}"]
            tool = ["kafka.admin.TopicCommand", "--create", "--zookeeper", self._zookeeper.address, *told]
            done = subprocess.run(["java", *self._flags, *tool], capture_output=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        with self.admin() as admin:
            admin.wait_for_topics(list(topics), timeout_ms=30_000)

    def _knows(self, group: str) -> bool:
        try:
            with self.admin() as admin:
                return admin.describe_groups([group])[group]["error"] is None
        except KafkaError:
            return False

    @property
    def _flags(self) -> list[str]:
        return [*JAVA_FLAGS, "-Xmx128m", f"-Dlog4j.configuration=file:{self._logging}", "-cp", self._jars]


class _ZooKeeper(JavaServer):
    def __init__(self, flags: list[str]) -> None:
        super().__init__("zookeeper-test-")
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        properties = self.directory / "zoo.cfg"
        properties.write_text(
            f"dataDir={self.directory}/data\nclientPort={port}\nclientPortAddress=127.0.0.1\n"
            "maxClientCnxns=0\ntickTime=500\n"
        )
        self.launch(*flags, "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(properties))
        wait_for(lambda: b"imok" in self._ask(b"ruok"), seconds=60, every=0.05, what=f"ZooKeeper, see {self.log}")

    def knows(self, path: str) -> bool:
        """Whether a living session has made this node."""
        return path.encode() in self._ask(b"dump")

    def _ask(self, word: bytes) -> bytes:
        host, port = self.address.split(":")
        answer = b""
        try:
            with socket.create_connection((host, int(port)), timeout=2) as connection:
                connection.sendall(word)
                while more := connection.recv(65536):
                    answer += more
        except OSError:
            return answer
        return answer
