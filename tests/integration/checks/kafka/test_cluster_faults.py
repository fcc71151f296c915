"""A look at a cluster that is not well: a clear reason within its time, and nothing left behind."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import psutil
import pytest

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.cluster import ClusterSnapshot, observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from tests.support.faults import FaultProxy
from tests.support.kafka_server import KafkaServer
from tests.support.kafkas import StartKafka
from tests.support.processes import free_port, wait_for

PATIENCE_SECONDS = 3.0


def looked(
    *brokers: str, groups: tuple[str, ...] = ("some",), timeout_seconds: float = PATIENCE_SECONDS
) -> ClusterSnapshot:
    """Look, and check that it ended in its time and left no thread behind."""
    with bounded(timeout_seconds):
        return observe_cluster(KafkaConnection(brokers=brokers), groups=groups, timeout_seconds=timeout_seconds)


@contextlib.contextmanager
def bounded(timeout_seconds: float) -> Iterator[None]:
    """Check that what is done inside ends in its time and leaves no thread behind."""
    started_at, threads = time.monotonic(), set(threading.enumerate())
    try:
        yield
    finally:
        assert time.monotonic() - started_at < timeout_seconds + 2
        # Clients of the session's servers have threads of their own, which may have ended meanwhile.
        assert [thread.name for thread in set(threading.enumerate()) - threads if "kafka" in thread.name.lower()] == []


def failed(*brokers: str, groups: tuple[str, ...] = ("some",)) -> CheckFailed:
    """The failure of a look."""
    with pytest.raises(CheckFailed) as failure:
        looked(*brokers, groups=groups)
    return failure.value


@pytest.fixture(autouse=True)
def logger_as_it_was() -> Iterator[None]:
    """Check that kafka-python's logger has the level that it had before."""
    level = logging.getLogger("kafka").level
    yield
    assert logging.getLogger("kafka").level == level


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def test_nobody_listens() -> None:
    """Refused, at once, by address."""
    address = f"127.0.0.1:{free_port()}"
    failure = failed(address)
    assert failure.reason == "refused"
    assert address in failure.message


def test_name_that_nobody_knows() -> None:
    """A host without an address."""
    failure = failed("kafka.invalid:9092")
    assert failure.reason == "name_resolution"
    assert "kafka.invalid:9092" in failure.message


def test_network_that_swallows_everything() -> None:
    """A listener whose queue is full answers no SYN, as a firewall that drops."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        queued = [socket.socket() for _ in range(8)]
        for each in queued:
            each.setblocking(False)
            each.connect_ex(address)
        failure = failed(f"127.0.0.1:{address[1]}")
        for each in queued:
            each.close()
    assert failure.reason == "timeout"


def test_frozen_broker(start_kafka: StartKafka) -> None:
    """It takes the connection and says nothing."""
    server = start_kafka()
    server.freeze()
    failure = failed(server.bootstrap)
    server.thaw()
    assert failure.reason == "timeout"
    assert server.bootstrap in failure.message


def test_somebody_else_listens(serve: Callable[[Callable[[socket.socket], None]], int]) -> None:
    """Who hangs up, and who answers in a language of his own."""

    def hang_up(client: socket.socket) -> None:
        client.recv(1)

    def speak_http(client: socket.socket) -> None:
        client.recv(100)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        client.recv(100)

    assert failed(f"127.0.0.1:{serve(hang_up)}").reason == "reset"
    assert failed(f"127.0.0.1:{serve(speak_http)}").reason in ("unreachable", "reset", "timeout")


def test_broker_of_another_age(serve: Callable[[Callable[[socket.socket], None]], int]) -> None:
    """One that knows the greeting and nothing else that we ask for."""

    def greet(client: socket.socket) -> None:
        correlation = client.recv(1000)[8:12]
        no_error, no_apis, no_throttling, no_tags = b"\0\0", b"\1", b"\0\0\0\0", b"\0"
        answer = correlation + no_error + no_apis + no_throttling + no_tags
        client.sendall(struct.pack(">i", len(answer)) + answer)
        client.recv(1000)

    failure = failed(f"127.0.0.1:{serve(greet)}")
    assert failure.reason == "unsupported_version"


def test_tls_that_is_never_answered(serve: Callable[[Callable[[socket.socket], None]], int]) -> None:
    """A handshake that hangs ends with the look."""
    port = serve(lambda client: client.recv(1_000_000) and time.sleep(10))
    with pytest.raises(CheckFailed) as failure, bounded(PATIENCE_SECONDS):
        observe_cluster(
            KafkaConnection(brokers=(f"127.0.0.1:{port}",), security_protocol="SSL"),
            groups=("some",),
            timeout_seconds=PATIENCE_SECONDS,
        )
    assert failure.value.reason == "timeout"


def test_first_broker_is_down_or_silent(kafka: KafkaServer, name: str) -> None:
    """The next answers instead."""
    kafka.create_topic(name)
    kafka.commit(name, {(name, 0): 0})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        brokers = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{silent.getsockname()[1]}", kafka.bootstrap]
        assert looked(*brokers, groups=(name,), timeout_seconds=15).groups[name].known


def test_all_are_named_when_none_answers() -> None:
    """Each by its address."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    message = failed(*addresses).message
    assert all(address in message for address in addresses)


@pytest.mark.parametrize("how", ["blackhole", "reset"])
def test_network_breaks_amid_a_look(
    start_kafka: StartKafka, fault_proxy: Callable[[str, int], FaultProxy], name: str, how: str
) -> None:
    """Half of the answers, and then nothing: the look ends in its time with a reason or with problems."""
    proxies: list[FaultProxy] = []

    def proxy(host: str, port: int) -> int:
        proxies.append(fault_proxy(host, port))
        return proxies[0].port

    server = start_kafka(proxy=proxy)
    server.create_topic(name)
    server.commit(name, {(name, 0): 0})
    wait_for(lambda: looked(server.behind, groups=(name,), timeout_seconds=20).groups[name].known, seconds=60)
    timer = threading.Timer(0.2, proxies[0].set, (how,), {"cut": how == "reset"})
    proxies[0].set("latency", seconds=0.1)
    timer.start()
    failure: str | None = None
    try:
        sight = looked(server.behind, groups=(name,)).groups[name]
        failure = sight.problem or next((at.problem for at in sight.partitions.values()), None)
    except CheckFailed as error:
        failure = error.reason
    timer.join()
    assert failure in (
        {"timeout", "coordinator", "leader"} if how == "blackhole" else {"reset", "coordinator", "leader"}
    )


def test_killed_and_restarted_broker(start_kafka: StartKafka, name: str) -> None:
    """Refused while it is gone; the same numbers when it is back, though its coordinator first has to load."""
    server = start_kafka()
    server.create_topic(name)
    server.produce(name, 9, partition=0)
    server.commit(name, {(name, 0): 4})
    before = looked(server.bootstrap, groups=(name,), timeout_seconds=20).groups[name]
    server.kill()
    assert failed(server.bootstrap, groups=(name,)).reason == "refused"
    server.start()
    after = wait_for(lambda: well(server.bootstrap, name), seconds=60, what="the group is back")
    assert after.groups[name].partitions == before.partitions


def test_fresh_broker_has_no_coordinator_yet(start_kafka: StartKafka, name: str) -> None:
    """The first who asks makes it make its topic of offsets: asked again meanwhile, and no failure of the cluster."""
    server = start_kafka()
    first = looked(server.bootstrap, groups=(name,), timeout_seconds=20).groups[name]
    assert first.problem in (None, "coordinator")
    wait_for(
        lambda: looked(server.bootstrap, groups=(name,), timeout_seconds=20).groups[name].problem is None, seconds=60
    )


def test_failures_are_not_logged_by_the_library(caplog: pytest.LogCaptureFixture) -> None:
    """The outcome tells; kafka-python would say it ten times, with tracebacks."""
    caplog.set_level(logging.DEBUG)
    failed(f"127.0.0.1:{free_port()}")
    assert [record for record in caplog.records if record.name.startswith("kafka")] == []


def test_connections_are_closed(kafka: KafkaServer) -> None:
    """After a hundred looks there are as many open files as before."""
    looked(kafka.bootstrap, groups=("*",), timeout_seconds=20)
    before = psutil.Process().num_fds()
    for _ in range(100):
        looked(kafka.bootstrap, timeout_seconds=20)
    # Clients of the session's servers open and close connections at any time; a hundred looks do not add up.
    assert psutil.Process().num_fds() < before + 50


def well(bootstrap: str, group: str) -> ClusterSnapshot | None:
    """A look in which the group has no problem, or None."""
    try:
        found = looked(bootstrap, groups=(group,), timeout_seconds=10)
    except CheckFailed:
        return None
    sight = found.groups[group]
    return found if sight.known and not any(at.problem for at in sight.partitions.values()) else None
