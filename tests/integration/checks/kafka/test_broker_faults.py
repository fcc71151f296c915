"""The kind kafka_group, run after run, while brokers, networks and consumers fail: its reasons, and its way back."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.checks.kinds.kafka_group import KafkaGroup
from monitor.model.checks import Outcome, Past, Status
from tests.support.faults import FaultProxy, Freezer
from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_cluster import KafkaCluster
from tests.support.kafka_consumers import ConsumerProcess, StartConsumer
from tests.support.kafka_secured import PASSWORDS, SecuredKafka
from tests.support.kafka_server import KafkaServer
from tests.support.processes import wait_for

TIMEOUT_SECONDS = 3.0
LATE_SECONDS = 2.0  # a busy machine
UNREACHED = {"timeout", "refused", "reset", "unreachable", "coordinator"}


class Watch:
    """A check as the runner keeps it: each run is handed what the last one remembered, and must end in its time."""

    def __init__(self, brokers: str, *groups: str, **options: Any) -> None:
        # What was seen once counts, so that a test needs no half a minute.
        told = {"window": 60.0, "sustained": 0.0, "start_grace": 0.0, **options}
        self._kind = KafkaGroup(brokers=tuple(brokers.split(",")), consumer_groups=groups, **told)
        self._memory: str | None = None
        self.reasons: list[str | None] = []

    def run(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Outcome:
        """One run."""
        started_at = time.monotonic()
        outcome = self._kind.run(timeout_seconds, Past(time.time(), self._memory))
        assert time.monotonic() - started_at < timeout_seconds + LATE_SECONDS
        self._memory = outcome.memory or self._memory
        self.reasons.append(outcome.reason)
        return outcome

    def until(self, *reasons: str | None, seconds: float = 60) -> Outcome:
        """The first run with one of these reasons; None is that of a healthy group."""
        told: list[Outcome] = []

        def found() -> bool:
            told.append(self.run())
            return told[-1].reason in reasons and (None not in reasons or told[-1].status is Status.OK)

        try:
            wait_for(found, seconds=seconds, every=0.3)
        except pytest.fail.Exception:
            pytest.fail(f"none of {reasons} within {seconds} s: {self.reasons}, at last {told[-1]}")
        return told[-1]

    def stays_well(self, *, seconds: float = 1.5) -> None:
        """More runs, with nothing to complain of."""

        def after_a_while() -> bool:
            outcome = self.run()
            assert outcome.status is Status.OK, outcome
            assert "findings" not in outcome.data
            return time.monotonic() > until

        until = time.monotonic() + seconds
        wait_for(after_a_while, seconds=60, every=0.2)


@dataclass(frozen=True)
class World:
    """A broker that may be hurt, behind a proxy, and a group on it with a living member and a lag of four."""

    broker: KafkaServer
    proxy: FaultProxy
    group: str
    consumer: ConsumerProcess


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One for all tests of this file that leave it well."""
    proxies: list[FaultProxy] = []

    def proxy(host: str, port: int) -> int:
        proxies.append(FaultProxy(host, port))
        return proxies[0].port

    broker = KafkaServer(proxy=proxy)
    broker.wait_for_coordinator()
    consumer = member_with_lag(broker, "orders", replicas=1)
    yield World(broker, proxies[0], "orders", consumer)
    consumer.kill()
    broker.stop()
    proxies[0].close()


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def member_with_lag(kafka: KafkaClients, name: str, *, replicas: int) -> ConsumerProcess:
    """A consumer of the group and topic ``name`` that has stopped at record 5 of 9 and is a member still."""
    kafka.create_topic(name, partitions=2, replicas=replicas)
    kafka.produce(name, 9, partition=0)
    consumer = ConsumerProcess(kafka, name, name, session_seconds=30)
    try:
        consumer.limit({(name, 0): 5})
        consumer.wait_committed({(name, 0): 5, (name, 1): 0})
    except BaseException:
        consumer.kill()
        raise
    return consumer


def test_killed_broker_and_back(world: World) -> None:
    """Refused while it is gone, or the last verdict where one holds; then the same numbers, and nothing made of it."""
    watch, holding = (
        Watch(world.broker.bootstrap, world.group),
        Watch(world.broker.bootstrap, world.group, on_source_failure="hold"),
    )
    assert watch.until(None).data["lag"] == 4
    holding.until(None)
    world.broker.kill()
    gone, kept = watch.run(), holding.run()
    world.broker.start()
    assert (gone.status, gone.reason) == (Status.ERROR, "refused")
    assert kept.status is Status.OK
    assert "refused" in str(kept.data["note"])
    back = watch.until(None)
    assert (back.data["lag"], back.data["consumers"]) == (4, 1)
    watch.stays_well()
    assert {*watch.reasons} <= {None, *UNREACHED}


def test_frozen_broker_and_back(world: World, freezer: Freezer) -> None:
    """It takes connections and says nothing: late, within the time limit; then as before."""
    watch = Watch(world.broker.bootstrap, world.group)
    watch.until(None)
    freezer.freeze(world.broker.pid)
    frozen = watch.run()
    freezer.thaw(world.broker.pid)
    assert (frozen.status, frozen.reason) == (Status.ERROR, "timeout")
    assert watch.until(None).data["lag"] == 4
    watch.stays_well()
    assert {*watch.reasons} <= {None, *UNREACHED}


@pytest.mark.parametrize(
    ("mode", "reasons"), [("blackhole", {"timeout"}), ("refuse", {"refused"}), ("reset", {"reset", "unreachable"})]
)
def test_network_that_fails_and_heals(world: World, mode: Any, reasons: set[str]) -> None:
    """Each failure of the network has its reason; then as before."""
    watch = Watch(world.broker.behind, world.group)
    watch.until(None)
    world.proxy.set(mode, cut=mode == "refuse")
    failed = watch.run()
    world.proxy.set("ok", cut=True)
    assert failed.status is Status.ERROR
    assert failed.reason in reasons
    assert watch.until(None).data["lag"] == 4
    watch.stays_well()


def test_connection_that_is_half_open_amid_a_run(world: World) -> None:
    """What was open is swallowed from one moment on, without an end: late, within the time limit; then as before."""
    watch = Watch(world.broker.behind, world.group)
    watch.until(None)
    world.proxy.set("latency", seconds=0.2)
    timer = threading.Timer(0.5, world.proxy.abandon)
    timer.start()
    failed = watch.run()
    timer.join()
    world.proxy.set("ok", cut=True)
    assert failed.status is Status.ERROR
    assert failed.reason in {"timeout", "coordinator"}
    assert watch.until(None).data["lag"] == 4
    watch.stays_well()


def test_coordinator_moves(kafka_cluster: KafkaCluster, name: str) -> None:
    """The node that coordinates the group is killed: at worst it is not reached, and then nothing has changed."""
    consumer = member_with_lag(kafka_cluster, name, replicas=3)
    try:
        watch = Watch(kafka_cluster.bootstrap, name)
        assert watch.until(None).data["lag"] == 4
        # At once after a commit, the node that takes over would tell an older offset for a moment.
        watch.stays_well()
        before = kafka_cluster.coordinator(name)
        before.kill()
        for _ in range(3):
            watch.run()
        after = watch.until(None)
        assert kafka_cluster.coordinator(name) is not before
        assert after.data["lag"] == 4
        wait_for(lambda: watch.until(None).data["consumers"] == 1, seconds=60, what="the member is back")
        watch.stays_well()
    finally:
        consumer.kill()
    # Members join again, and their group rebalances; while they do, there may be none.
    assert {*watch.reasons} <= {None, *UNREACHED, "under_replicated", "rebalancing", "broker_error"}


def test_deleted_and_missing_groups(kafka: KafkaServer, name: str) -> None:
    """A group that was never there and one that has been deleted are unknown; one that matched a pattern is gone."""
    kafka.create_topic(name)
    kafka.commit(name, {(name, 0): 0})
    one, matched = Watch(kafka.bootstrap, name, min_consumers=0), Watch(kafka.bootstrap, f"{name}*", min_consumers=0)
    missing = Watch(kafka.bootstrap, f"{name}-none", min_consumers=0).run()
    one.until(None)
    assert matched.until(None).data["groups"] == 1
    kafka.delete_group(name)
    deleted, gone = one.run(), matched.run()
    for outcome in (missing, deleted):
        assert (outcome.status, outcome.reason, outcome.grace) == (Status.UNKNOWN, "unknown_group", False)
        assert "the name is wrong" in str(outcome.message)
    part = gone.children[name]
    assert part and (part.status, part.reason) == (Status.WARNING, "gone")


def test_frozen_consumer(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """While it counts as a member the group is stalled; then it has none; and when it goes on all is well again."""
    kafka.create_topic(name, partitions=2)
    consumer = start_consumer(kafka, name, name, session_seconds=10)
    consumer.wait_committed({(name, 0): 0, (name, 1): 0})
    watch = Watch(kafka.bootstrap, name, window=3.0, stalled_after=2.0)
    watch.until(None)
    consumer.freeze()
    kafka.produce(name, 12, partition=1)
    stalled = watch.until("stalled")
    assert (stalled.data["lag"], stalled.data["consumers"]) == (12, 1)
    alone = watch.until("under_replicated")
    assert (alone.data["lag"], alone.data["consumers"]) == (12, 0)
    consumer.thaw()
    well = watch.until(None)
    assert (well.data["lag"], well.data["consumers"]) == (0, 1)


def test_rebalance_storm(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """Members come and go all the time: no false alarm, and what they commit adds up in the end."""
    kafka.create_topic(name, partitions=4)
    start_consumer(kafka, name, name).wait_joined(4)
    watch = Watch(kafka.bootstrap, name)
    watch.until(None)
    for _ in range(4):
        passing = start_consumer(kafka, name, name)
        kafka.produce(name, 20)
        watch.run()
        passing.wait_joined()
        watch.run()
        passing.close()
        watch.run()
    wait_for(lambda: watch.until(None).data["lag"] == 0, seconds=60, what="all is consumed")
    assert {*watch.reasons} == {None}
    assert sum(each or 0 for each in kafka.committed(name, name).values()) == 80


def test_rebalance_that_does_not_end(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """A member that stands still holds up all the others until its session ends: that is what is said."""
    kafka.create_topic(name, partitions=2)
    still = start_consumer(kafka, name, name, session_seconds=12)
    still.wait_joined(2)
    watch = Watch(kafka.bootstrap, name, window=3.0)
    watch.until(None)
    still.freeze()
    start_consumer(kafka, name, name)
    assert watch.until("rebalancing").status is Status.ERROR
    still.kill()
    assert watch.until(None).data["consumers"] == 1


SASL = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-256"}


def test_strangers_are_told_what_they_lack(kafka_secured: SecuredKafka, name: str) -> None:
    """Wrong password, wrong authority, no certificate, a group that is denied: each by its reason, without a secret."""
    kafka_secured.create_topic(name)
    kafka_secured.commit(name, {(name, 0): 0})
    kafka_secured.deny("mallory", name)
    ca, foreign = str(kafka_secured.tls.ca), str(kafka_secured.tls.foreign_ca)
    alice = {**SASL, "tls_cafile": ca, "sasl_username": "alice", "sasl_password": SecretStr(PASSWORDS["alice"])}
    mallory = {**alice, "sasl_username": "mallory", "sasl_password": SecretStr(PASSWORDS["mallory"])}
    cases: list[tuple[str, dict[str, Any], Status, str | None]] = [
        ("SASL_SSL", alice, Status.OK, None),
        ("SASL_SSL", {**alice, "sasl_password": SecretStr(PASSWORDS["mallory"])}, Status.ERROR, "authentication"),
        ("SASL_SSL", {**alice, "tls_cafile": foreign}, Status.ERROR, "tls"),
        ("SASL_SSL", mallory, Status.ERROR, "authorization"),
        ("SSL", {"security_protocol": "SSL", "tls_cafile": foreign}, Status.ERROR, "tls"),
        ("MTLS", {"security_protocol": "SSL", "tls_cafile": ca}, Status.ERROR, "tls"),
    ]
    for listener, options, status, reason in cases:
        outcome = Watch(kafka_secured.addresses[listener], name, min_consumers=0, **options).run(10)
        assert (outcome.status, outcome.reason) == (status, reason), outcome
        assert not [secret for secret in PASSWORDS.values() if secret in repr(outcome)]
