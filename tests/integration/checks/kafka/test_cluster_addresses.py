"""Which addresses a look goes to: names with several of them, some of which are dead, and what brokers advertise."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Iterator

import pytest

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.cluster import observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from monitor.checks.kinds.kafka_group import KafkaGroup
from monitor.model.checks import Status
from tests.support.kafka_server import KafkaServer, Listener
from tests.support.kafkas import StartKafka
from tests.support.processes import free_port

NAME = "broker.kafka.test"
DEAD = "127.0.0.9"
SECONDS = 6.0
"""Far more than half a second for each dead address, and what a look waits for one that is never given up."""


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


@contextlib.contextmanager
def dead(port: int, sort: str) -> Iterator[None]:
    """An address of that port which takes connections and is silent, takes none, or refuses them."""
    with contextlib.ExitStack() as stack:
        if sort != "refused":
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((DEAD, port))
            listener.listen(0 if sort == "unanswered" else 16)
        if sort == "unanswered":  # its queue is full: what comes now is dropped
            for _ in range(4):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex((DEAD, port))
        yield


def resolve(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: str) -> None:
    """The name has these addresses, in this order; any other has its own."""
    real = socket.getaddrinfo

    def lookup(host: str, port: int, *arguments: int, **more: int) -> list[object]:
        return [
            found
            for address in (addresses if host == name else (host,))
            for found in real(address, port, *arguments, **more)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.mark.parametrize("sort", ["silent", "unanswered", "refused"])
def test_a_dead_address_of_a_configured_name(
    kafka: KafkaServer, name: str, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    """The next one is tried beside it after half a second."""
    kafka.create_topic(name)
    kafka.commit(name, {(name, 0): 0})
    resolve(monkeypatch, NAME, DEAD, "127.0.0.1")
    with dead(kafka.port, sort):
        found = observe_cluster(
            KafkaConnection(brokers=(f"{NAME}:{kafka.port}",)), groups=[name], timeout_seconds=SECONDS
        )
    assert found.groups[name].known


def test_a_dead_address_of_an_advertised_name(kafka: KafkaServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the name under which a broker is found, as well."""
    kafka.create_topic(name, partitions=2)
    kafka.commit(name, {(name, 0): 0, (name, 1): 0})
    resolve(monkeypatch, "127.0.0.1", DEAD, "127.0.0.1")
    with dead(kafka.port, "silent"):
        found = observe_cluster(KafkaConnection(brokers=(kafka.bootstrap,)), groups=[name], timeout_seconds=SECONDS)
    sight = found.groups[name]
    assert (sight.problem, sight.unreached) == (None, ())
    assert [at.end for at in sight.partitions.values()] == [0, 0]


def test_only_dead_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure is that of the addresses: none answers, in the time that there is."""
    port = free_port()
    resolve(monkeypatch, NAME, DEAD, "127.0.0.8")
    with dead(port, "refused"), pytest.raises(CheckFailed) as refused:
        observe_cluster(KafkaConnection(brokers=(f"{NAME}:{port}",)), groups=["any"], timeout_seconds=SECONDS)
    with dead(port, "silent"), pytest.raises(CheckFailed) as silent:
        observe_cluster(KafkaConnection(brokers=(f"{NAME}:{port}",)), groups=["any"], timeout_seconds=1.5)
    assert refused.value.reason == "refused"
    assert silent.value.reason in {"timeout", "refused"}


def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before: the name cannot be resolved."""
    resolve(monkeypatch, NAME)
    with pytest.raises(CheckFailed) as failure:
        observe_cluster(KafkaConnection(brokers=(f"{NAME}:9092",)), groups=["any"], timeout_seconds=SECONDS)
    assert failure.value.reason == "name_resolution"


def test_an_advertised_listener_that_cannot_be_reached_is_named(start_kafka: StartKafka, name: str) -> None:
    """Who answers to the configured address says where the coordinator is: the message says that it is not there."""
    advertised, port = free_port(), free_port()
    broker = start_kafka(listeners=[Listener("ODD", port, advertised=advertised)])
    broker.create_topic(name)
    broker.commit(name, {(name, 0): 0})
    options = {"window": 60.0, "sustained": 0.0, "start_grace": 0.0, "min_consumers": 0}
    outcome = KafkaGroup(brokers=(f"127.0.0.1:{port}",), consumer_groups=(name,), **options).run(5.0)
    assert (outcome.status, outcome.reason) == (Status.ERROR, "coordinator")
    assert f"127.0.0.1:{advertised} (refused)" in str(outcome.message)
    assert outcome.detail["unreached"] == [f"127.0.0.1:{advertised} (refused)"]
    assert str(advertised) not in str(outcome.data)
