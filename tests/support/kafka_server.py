"""Real Kafka servers: a current one (KRaft, broker and controller in one process), alone or as a cluster.

The jars come from scripts/kafka (`make servers`); on them a node starts in two to three seconds with about 250 MB.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.kafka_clients import KafkaClients
from tests.support.processes import free_port, missing, wait_for

ROOT = Path(__file__).parents[2]
JAVA_FLAGS = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
SETTINGS = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "300",
    "offsets.retention.check.interval.ms": "1000",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "4000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",  # else 128 MiB
}


ARCHIVE = ROOT / ".venv" / ".kafka-4" / "classes.jsa"
"""Archive of classes in the JVM's memory format, made by `tests.support.kafka_archive`: a start takes a third less."""


def jars(version: str) -> str:
    """Return the class path of a Kafka (`4`, `0.9`). Without it or without Java, skip the test (in CI: fail it)."""
    directory = ROOT / ".venv" / f".kafka-{version}"
    if not shutil.which("java"):
        missing("java")
    if not (directory / ".installed").exists():
        missing(f"Kafka {version}")
    return f"{directory}/*"


@dataclass(frozen=True)
class Listener:
    """A port besides the plain one. ``advertised`` is the port that clients get, for a proxy in front of it."""

    name: str
    port: int
    protocol: str = "PLAINTEXT"
    advertised: int | None = None


class JavaServer:
    """Java process in its own directory, with one log. Subclasses define the command and the end of the start."""

    def __init__(self, prefix: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
        self.log = self.directory / "log"
        self._started_at = 0
        self._process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Return the process id of the current server process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return whether its process exists."""
        return self._process.poll() is None

    def freeze(self) -> None:
        """Send SIGSTOP. Connections stay open and are accepted, but get no response."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL, frozen or not. Connections are reset, the port is closed, the data stays."""
        self._process.kill()
        self._process.wait()

    def end(self, *, seconds: float = 30) -> None:
        """Send SIGTERM. It leaves the cluster and closes its files."""
        self._process.terminate()
        self._process.wait(seconds)

    def stop(self) -> None:
        """Kill it and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def launch(self, *command: str) -> None:
        """Start the process; `wait_for_words` returns when it is ready."""
        self._started_at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(["java", *command], cwd=self.directory, stdout=log, stderr=log)

    def wait_for_words(self, words: bytes, *, seconds: float = 90) -> None:
        """Wait until the current process has logged ``words``; kill it if it does not."""
        try:
            wait_for(lambda: self._has_logged(words), seconds=seconds, every=0.05, what=f"{words!r} in {self.log}")
        except BaseException:
            self.kill()
            raise

    def _has_logged(self, words: bytes) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._started_at)
            text = log.read()
        if words in text:
            return True
        if not self.running:
            pytest.fail(f"Java ended at once: {text[-2000:].decode(errors='replace')}")
        return False


class KafkaServer(JavaServer, KafkaClients):
    """Node of a current Kafka on free ports of 127.0.0.1. Alone it is a complete cluster.

    ``proxy`` puts a proxy in front of a second listener, whose address is `behind`. Its clients stay behind the proxy.
    ``formatting`` are arguments of the tool that creates the data directory.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        listeners: Iterable[Listener] = (),
        formatting: Iterable[str] = (),
        java_flags: Iterable[str] = (),
        proxy: Callable[[str, int], int] | None = None,
        node_id: int = 1,
        quorum: Mapping[int, int] | None = None,
        cluster_id: str = "",
        start: bool = True,
    ) -> None:
        self._jars = jars("4")
        super().__init__("kafka-test-")
        self.node_id = node_id
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.behind = ""
        self._java_flags = [*JAVA_FLAGS, *_shared_classes(), *java_flags]
        self._formatting = list(formatting)
        self._cluster_id = cluster_id or new_cluster_id()
        self._quorum = dict(quorum or {node_id: free_port()})
        self._listeners = list(listeners)
        if proxy:
            port = free_port()
            advertised = proxy("127.0.0.1", port)
            self._listeners.append(Listener("PROXIED", port, advertised=advertised))
            self.behind = f"127.0.0.1:{advertised}"
        self._settings = dict(settings or {})
        self.write_properties()
        if start:
            self.start()

    def start(self) -> None:
        """Start it (again) with the same ports and data, and wait until it accepts connections."""
        self.begin()
        self.wait_until_started()

    def begin(self) -> None:
        """Start it (again), and wait only until its data directory exists."""
        if not self.data.exists():
            self.format()
        self.launch(*self._java_flags, "-cp", self._jars, "kafka.Kafka", str(self._properties))

    def format(self, like: KafkaServer | None = None) -> None:
        """Create the data directory (takes a second), or copy that of another node of the cluster (faster)."""
        if like:
            shutil.copytree(like.data, self.data)
            own = {"version": "1", "cluster.id": self._cluster_id, "node.id": str(self.node_id)}
            _write(self.data / "meta.properties", {**own, "directory.id": new_cluster_id()})
            return
        tool = ["-cp", self._jars, "kafka.tools.StorageTool", "format", "--config", str(self._properties)]
        command = ["java", *JAVA_FLAGS, *_shared_classes(), *tool, "--cluster-id", self._cluster_id, *self._formatting]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")

    def wait_until_started(self) -> None:
        """Wait until it accepts connections."""
        self.wait_for_words(b"Kafka Server started")

    def restart(self) -> None:
        """Kill it and start it again with the same ports and data."""
        self.kill()
        self.start()

    def write_properties(self) -> None:
        """Write its configuration, which takes effect at the next start."""
        controller = self._quorum[self.node_id]
        plain = Listener("PLAINTEXT", self.port)
        listeners = [plain, *self._listeners]
        addresses = [f"{each.name}://127.0.0.1:{each.port}" for each in listeners]
        told = [f"{each.name}://127.0.0.1:{each.advertised or each.port}" for each in listeners]
        protocols = [f"{each.name}:{each.protocol}" for each in (*listeners, Listener("CONTROLLER", controller))]
        properties = {
            **SETTINGS,
            "process.roles": "broker,controller",
            "node.id": str(self.node_id),
            "controller.quorum.voters": ",".join(f"{node}@127.0.0.1:{port}" for node, port in self._quorum.items()),
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join([*addresses, f"CONTROLLER://127.0.0.1:{controller}"]),
            "advertised.listeners": ",".join(told),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.data),
            **self._settings,
        }
        _write(self._properties, properties)

    @property
    def data(self) -> Path:
        """Return its data directory."""
        return self.directory / "data"

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"


def new_cluster_id() -> str:
    """Return a cluster id that Kafka's tool accepts: it would take a leading dash for an option."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


def _shared_classes() -> list[str]:
    return [f"-XX:SharedArchiveFile={ARCHIVE}"] if ARCHIVE.exists() else []


def _write(path: Path, properties: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
