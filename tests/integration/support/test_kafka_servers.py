"""The Kafkas that the tests run against do what the tests rely on."""

from __future__ import annotations

import uuid

import pytest
from kafka.errors import GroupAuthorizationFailedError, KafkaError

from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_old import OldKafka
from tests.support.kafka_secured import MECHANISMS, PASSWORDS, SecuredKafka
from tests.support.kafka_server import KafkaServer
from tests.support.kafkas import StartKafka
from tests.support.processes import wait_for


@pytest.fixture
def name() -> str:
    """A name of a topic or group that no other test uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


def test_lag_is_what_was_produced_less_what_was_committed(kafka: KafkaServer, name: str) -> None:
    """Records go to the partition that was asked for, and the lag is exact."""
    kafka.create_topic(name, partitions=3)
    kafka.produce(name, 40, partition=0)
    kafka.produce(name, 5, partition=2)
    kafka.commit(name, {(name, 0): 15, (name, 2): 5})
    assert kafka.end_offsets(name) == {0: 40, 1: 0, 2: 5}
    assert kafka.lag(name, name) == {0: 25, 2: 0}


def test_one_key_goes_to_one_partition(kafka: KafkaServer, name: str) -> None:
    """A hot key makes a hot partition."""
    kafka.create_topic(name, partitions=6)
    kafka.produce(name, 100, key=b"hot")
    assert sorted(kafka.end_offsets(name).values()) == [0, 0, 0, 0, 0, 100]


def test_deleted_group_is_dead(kafka: KafkaServer, name: str) -> None:
    """A group without members can be deleted; then the broker calls it dead."""
    kafka.create_topic(name)
    kafka.commit(name, {(name, 0): 0})
    kafka.delete_group(name)
    with kafka.admin() as admin:
        assert admin.describe_groups([name])[name]["group_state"] == "Dead"


def test_killed_node_comes_back_with_its_data(start_kafka: StartKafka, name: str) -> None:
    """After SIGKILL and start: same port, same records, same offsets."""
    server = start_kafka()
    server.create_topic(name, partitions=2)
    server.produce(name, 10, partition=1)
    server.commit(name, {(name, 1): 4})
    server.restart()
    server.wait_for_coordinator(name)
    assert server.lag(name, name) == {1: 6}


def test_consumer_commits_what_it_consumes(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """A member gets all partitions, drains them, and says the offsets that the broker has."""
    kafka.create_topic(name, partitions=3)
    kafka.produce(name, 30, partition=1)
    consumer = start_consumer(kafka, name, name, client_id="first")
    consumer.wait_committed({(name, 0): 0, (name, 1): 30, (name, 2): 0})
    assert kafka.lag(name, name) == {0: 0, 1: 0, 2: 0}
    with kafka.admin() as admin:
        (member,) = admin.describe_groups([name])[name]["members"]
    assert member["client_id"] == "first"
    consumer.close()
    assert not consumer.errors


def test_paused_partition_lags_exactly(kafka: KafkaServer, start_consumer: StartConsumer, name: str) -> None:
    """One partition paused, another consumed up to an offset: the rest is drained, also after a rebalance."""
    kafka.create_topic(name, partitions=3)
    consumer = start_consumer(kafka, name, name)
    consumer.wait_joined(3)
    consumer.pause((name, 0))
    consumer.limit({(name, 1): 7})
    for partition in range(3):
        kafka.produce(name, 20, partition=partition)
    consumer.wait_committed({(name, 0): 0, (name, 1): 7, (name, 2): 20})
    assert kafka.lag(name, name) == {0: 20, 1: 13, 2: 0}
    consumer.resume()
    consumer.wait_committed({(name, 0): 20, (name, 1): 20})


def test_killed_and_frozen_consumers_leave_when_their_session_ends(
    kafka: KafkaServer, start_consumer: StartConsumer, name: str
) -> None:
    """Two members share the partitions; one killed and one frozen are members until their session ends."""
    kafka.create_topic(name, partitions=4)
    first = start_consumer(kafka, name, name, session_seconds=2)
    first.wait_joined(4)
    second = start_consumer(kafka, name, name, session_seconds=2)
    second.wait_joined(2)
    first.wait_joined(2)
    second.kill()
    first.wait_joined(4)
    first.freeze()
    wait_for(lambda: _members(kafka, name) == 0, seconds=60, what="the frozen one is put out")
    first.thaw()
    wait_for(lambda: _members(kafka, name) == 1, seconds=60, what="it comes back")


def test_old_kafka_keeps_its_records_over_a_restart(old_kafka: OldKafka, name: str) -> None:
    """The same helpers work on 0.9: topics, records, offsets, and killed and back."""
    old_kafka.create_topic(name, partitions=2)
    old_kafka.produce(name, 9, partition=1)
    old_kafka.commit(name, {(name, 1): 2})
    old_kafka.restart()
    old_kafka.wait_for_coordinator(name)
    assert old_kafka.lag(name, name) == {1: 7}


def test_old_kafka_has_real_consumers(old_kafka: OldKafka, start_consumer: StartConsumer, name: str) -> None:
    """A member of a group on 0.9 consumes and commits."""
    old_kafka.create_topic(name, partitions=2)
    old_kafka.produce(name, 5, partition=0)
    consumer = start_consumer(old_kafka, name, name)
    consumer.wait_committed({(name, 0): 5, (name, 1): 0})


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_every_mechanism_lets_users_in_and_obeys_rules(
    kafka_secured: SecuredKafka, protocol: str, mechanism: str, name: str
) -> None:
    """Either user gets in by every mechanism; one that is denied a group cannot describe it, the other can."""
    kafka_secured.create_topic(name)
    kafka_secured.commit(name, {(name, 0): 0})
    kafka_secured.deny("mallory", name)
    options = {"bootstrap_servers": kafka_secured.addresses[protocol], "security_protocol": protocol}
    for user in PASSWORDS:
        with kafka_secured.admin(**options, **kafka_secured.credentials(user, mechanism)) as admin:
            if user == "mallory":
                with pytest.raises(GroupAuthorizationFailedError):
                    admin.describe_groups([name])
            else:
                assert admin.describe_groups([name])[name]["group_state"] == "Empty"


def test_certificates_are_asked_for_and_checked(kafka_secured: SecuredKafka) -> None:
    """TLS by our authority works, with a client's certificate where one is wanted; a foreign authority does not."""
    ours = {"security_protocol": "SSL", "ssl_cafile": str(kafka_secured.tls.ca)}
    own = {"ssl_certfile": str(kafka_secured.tls.client), "ssl_keyfile": str(kafka_secured.tls.client_key)}
    for options in (
        {"bootstrap_servers": kafka_secured.addresses["SSL"], **ours},
        {"bootstrap_servers": kafka_secured.addresses["MTLS"], **ours, **own},
    ):
        with kafka_secured.admin(**options) as admin:
            assert admin.describe_cluster()["brokers"]
    foreign = {**ours, "ssl_cafile": str(kafka_secured.tls.foreign_ca)}
    with (
        pytest.raises(KafkaError),
        kafka_secured.admin(bootstrap_servers=kafka_secured.addresses["SSL"], **foreign, bootstrap_timeout_ms=1000),
    ):
        pass


def _members(kafka: KafkaServer, group: str) -> int:
    with kafka.admin() as admin:
        return len(admin.describe_groups([group])[group]["members"])
